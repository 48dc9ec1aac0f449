"""`Job`: a named task that any fitting node can do."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Generic, cast

from typing_extensions import TypeVar

from actors.nodes.job_fit import answer_misfit, misfit
from actors.nodes.request import AnyTool

if TYPE_CHECKING:
    from actors.nodes.agent import Agent

Result = TypeVar("Result", default=str)


@dataclass(frozen=True, kw_only=True)
class Job(Generic[Result]):
    """What to do, what must be known for it, and what the node must bring along.

    Example:
        >>> Job(name="digest", prompt="Sum up the notes.").name
        'digest'
    """

    name: str
    """What it is called."""
    prompt: object
    """What the node is asked: a text, another prompt (see `actors.nodes.prompts`), or a function that returns one."""
    description: str | None = None
    """What it is for."""
    required_return_type: type[Result] = str  # type: ignore[assignment] # pyright: ignore[reportAssignmentType] - the default of Result
    """Type of the answer. Other than ``str`` it is asked of the model, and an answer of another type is an error."""
    required_dependency: type[Any] | None = None
    """Type that the node's dependencies must have; None for any."""
    knowledge: Sequence[object] = ()
    """Prompts and paths that the node reads for this job only."""
    tools: Sequence[AnyTool] = ()
    """Tools for this job only."""
    requires_vision: bool = False
    """Whether the model must see images. An agent whose model is known not to is refused."""
    min_context_tokens: int | None = None
    """Tokens that the model must be able to read at once. An agent whose model is known to read fewer is refused."""

    async def get_prompt(self) -> object:
        """Return the prompt; a function is called."""
        made: object = cast("Callable[[], object]", self.prompt)() if callable(self.prompt) else self.prompt
        return await cast("Awaitable[object]", made) if isawaitable(made) else made

    def get_tools(self) -> Sequence[AnyTool]:
        """Return the tools of the job."""
        return tuple(self.tools)

    async def can_be_executed_by(self, agent: "Agent[Any, Any]") -> bool:
        """Whether nothing is known that keeps an agent from doing it: dependencies, model, type of the answer."""
        return misfit(self, agent) is None and answer_misfit(self, agent) is None
