"""`Job`: a named task that any fitting node can do."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from inspect import isawaitable, isclass
from types import UnionType
from typing import Any, Generic, Protocol, cast

from pydantic_ai.tools import Tool
from typing_extensions import TypeVar

from actors.runs.request import AnyTool
from protocols.checks import FLAG, NAME, TEXT, Check, Checks, check_fields, is_a, list_of, whole
from protocols.errors import ConfigError, JobError
from protocols.messages import ChatMessage

Result = TypeVar("Result", default=str)


_CHECKS: Checks = {
    "name": NAME,
    "prompt": Check(
        "text, another prompt, or a function", lambda value: not isinstance(value, str) or bool(value.strip())
    ),
    "description": TEXT,
    "required_dependency": Check("a type", lambda value: isinstance(value, type | UnionType | tuple)),
    "required_return_type": Check("a type, not its name", lambda value: not isinstance(value, str)),
    "knowledge": list_of("a list of texts, paths and objects", lambda _: True),
    "tools": list_of("a list of functions and tools", lambda value: isinstance(value, Tool) or callable(value)),
    "requires_vision": FLAG,
    "min_context_tokens": whole(1),
}
_NEVER_NONE = ("name", "prompt", "knowledge", "tools")


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
    """What the node is asked: a text, another prompt (see `actors.prompts.content`), or a function that returns one."""
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
        check_fields(
            _CHECKS, self, lambda _, problem: ConfigError(f"job {self.name!r}: {problem}"), never_none=_NEVER_NONE
        )

    async def get_prompt(self) -> object:
        """Return the prompt; a function is called."""
        made: object = cast("Callable[[], object]", self.prompt)() if callable(self.prompt) else self.prompt
        return await cast("Awaitable[object]", made) if isawaitable(made) else made

    def get_tools(self) -> Sequence[AnyTool]:
        """Return the tools of the job."""
        return tuple(self.tools)

    async def can_be_executed_by(self, agent: "Worker") -> bool:
        """Return True if dependencies, model and type of the answer may fit, as far as they are known."""
        return agent.job_problem(self) is None and agent.answer_problem(self) is None

    def deps_problem(self, agent: str, deps: object) -> str | None:
        """Return why these dependencies are not what the job requires; None if they are."""
        needed = self.required_dependency
        if needed is None or isinstance(deps, needed):
            return None
        kind = getattr(needed, "__name__", repr(needed))
        return f"it needs dependencies of type {kind}, but agent {agent!r} has {deps!r}"


class Worker(Protocol):
    """A node that may be given a job."""

    def job_problem(self, job: Job[Any], *, deps: object = None, model: Any = None) -> str | None:
        """Return why the node cannot do the job; None if nothing is known that speaks against it."""
        ...

    def answer_problem(self, job: Job[Any]) -> str | None:
        """Return why the answers of the node cannot be what the job requires."""
        ...


def fits(content: object, wanted: Any) -> bool:
    """Whether an answer is of the type that a job requires; of the answer of a team each item must be."""
    if wanted is str or not isclass(wanted) or isinstance(content, wanted):
        return True
    return isinstance(content, list) and all(fits(item, wanted) for item in _items(content))


def _items(content: Any) -> list[object]:
    return list(content)


def wrong_answer(job: Job[Any], node: str, answer: ChatMessage[Any]) -> JobError | None:
    """Return the error of an answer that is not of the type that the job requires."""
    wanted: Any = job.required_return_type
    if fits(answer.content, wanted):
        return None
    msg = f"job {job.name!r}: node {node!r} answered {type(answer.content).__name__}, not {wanted.__name__}"
    return JobError(msg, node=node, message=answer)


async def job_prompts(node: str, job: Job[Any], agents: Iterable[Worker], options: dict[str, Any]) -> list[object]:
    """Return what a job asks, and put what else it needs into the options of the run.

    Raises:
        JobError: it is no job, or an agent does not fit.
    """
    if not is_a(job, Job):
        msg = f"node {node!r}: run_job takes a Job, not {job!r}"
        raise JobError(msg, node=node)
    for agent in agents:
        problem = agent.job_problem(job, deps=options.get("deps"), model=options.get("model"))
        if problem is not None:
            msg = f"job {job.name!r} does not fit node {node!r}: {problem}"
            raise JobError(msg, node=node)
    if job.tools:
        options["tools"] = [*job.get_tools(), *(options.get("tools") or ())]
    if job.required_return_type is not str:
        options.setdefault("output_type", job.required_return_type)
    return [*job.knowledge, await job.get_prompt()]
