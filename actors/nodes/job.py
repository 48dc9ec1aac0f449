"""`Job`: a named task that any fitting node can do."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import isawaitable
from types import UnionType
from typing import TYPE_CHECKING, Any, Generic, cast

from pydantic_ai.tools import Tool
from typing_extensions import TypeVar

from actors.nodes.accepted import FLAG, TEXT, Kind, series, whole
from actors.nodes.accepted import misfit as misfitting
from actors.nodes.job_fit import answer_misfit, misfit
from actors.nodes.request import AnyTool
from protocols.errors import ConfigError

if TYPE_CHECKING:
    from actors.nodes.agent import Agent

Result = TypeVar("Result", default=str)


def _is_blank(text: str) -> bool:
    return not text.strip()


_KINDS: Mapping[str, Kind] = {
    "name": Kind("some text", lambda value: isinstance(value, str) and not _is_blank(value)),
    "prompt": Kind(
        "text, another prompt, or a function", lambda value: not isinstance(value, str) or not _is_blank(value)
    ),
    "description": TEXT,
    "required_dependency": Kind("a type", lambda value: isinstance(value, type | UnionType | tuple)),
    "required_return_type": Kind("a type, not its name", lambda value: not isinstance(value, str)),
    "knowledge": series("a list of texts, paths and objects", lambda _: True),
    "tools": series("a list of functions and tools", lambda value: isinstance(value, Tool) or callable(value)),
    "requires_vision": FLAG,
    "min_context_tokens": whole(1),
}


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

    def __post_init__(self) -> None:
        """Refuse what no node could do.

        Raises:
            ConfigError: a field cannot be used.
        """
        problem = misfitting(_KINDS, vars(self), never_none=("name", "prompt", "knowledge", "tools"))
        if problem is not None:
            msg = f"job {self.name!r}: {problem}"
            raise ConfigError(msg)

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
