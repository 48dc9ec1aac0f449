"""`Job`: a named task that any fitting node can do."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from inspect import isawaitable, isclass
from types import UnionType
from typing import Annotated, Any, Generic, Protocol, cast

from typing_extensions import TypeVar

from actors.runs.request import TOOLS, AnyTool
from protocols.checks import FLAG, NAME, TEXT, Check, check_fields, declared_checks, is_a, list_of, whole
from protocols.errors import ConfigError, JobError
from protocols.keywords import named_keywords
from protocols.messages import ChatMessage

Result = TypeVar("Result", default=str)

_PROMPT = Check("text, another prompt, or a function", lambda value: not isinstance(value, str) or bool(value.strip()))
_DEPENDENCY = Check("a type", lambda value: isinstance(value, type | UnionType | tuple))
_RETURN_TYPE = Check("a type, not its name", lambda value: not isinstance(value, str))


@named_keywords
@dataclass(frozen=True, kw_only=True)
class Job(Generic[Result]):
    """A named task: its prompt, its knowledge and tools, and the requirements on the node.

    Example:
        >>> Job(name="digest", prompt="Sum up the notes.").name
        'digest'
    """

    name: Annotated[str, NAME]
    """Name of the job."""
    prompt: Annotated[object, _PROMPT]
    """Prompt of the node: a text, another prompt (see `actors.prompts.content`), or a function that returns one."""
    description: Annotated[str | None, TEXT] = None
    """Purpose of the job."""
    required_return_type: Annotated[type[Result], _RETURN_TYPE] = str  # type: ignore[assignment] # pyright: ignore[reportAssignmentType] - the default of Result
    """Type of the answer. A model is asked for any type but ``str``. An answer of another type is an error."""
    required_dependency: Annotated[type[Any] | None, _DEPENDENCY] = None
    """Type of the dependencies of the node; None for any."""
    knowledge: Annotated[Sequence[object], list_of("a list of texts, paths and objects", lambda _: True)] = ()
    """Prompts and paths that the node reads for this job only."""
    tools: Annotated[Sequence[AnyTool], TOOLS] = ()
    """Tools for this job only."""
    requires_vision: Annotated[bool, FLAG] = False
    """True if the model must see images. An agent is refused if its model is known not to."""
    min_context_tokens: Annotated[int | None, whole(1)] = None
    """Least context window of the model, in tokens. An agent is refused if its model is known to read fewer."""

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ConfigError: a field cannot be used.
        """
        never_none = ("name", "prompt", "knowledge", "tools")
        check_fields(
            _CHECKS, self, lambda _, problem: ConfigError(f"job {self.name!r}: {problem}"), never_none=never_none
        )

    async def get_prompt(self) -> object:
        """Return the prompt. Calls it if it is a function."""
        return await called(self.prompt)

    def get_tools(self) -> Sequence[AnyTool]:
        """Return the tools of the job."""
        return tuple(self.tools)

    async def can_be_executed_by(self, agent: "Worker") -> bool:
        """Return True if nothing is known against the dependencies, the model and the type of the answer."""
        return agent.job_problem(self) is None and agent.answer_problem(self) is None

    def deps_problem(self, agent: str, deps: object) -> str | None:
        """Return why these dependencies are not what the job requires. None if they are."""
        needed = self.required_dependency
        if needed is None or isinstance(deps, needed):
            return None
        kind = getattr(needed, "__name__", repr(needed))
        return f"it needs dependencies of type {kind}, but agent {agent!r} has {deps!r}"


_CHECKS = declared_checks(Job)


async def called(prompt: object) -> object:
    """Return a prompt. Calls a function, plain or async."""
    made: object = cast("Callable[[], object]", prompt)() if callable(prompt) else prompt
    return await cast("Awaitable[object]", made) if isawaitable(made) else made


class Worker(Protocol):
    """A node that can get a job."""

    def job_problem(self, job: Job[Any], *, deps: object = None, model: Any = None) -> str | None:
        """Return why the node cannot do the job. None if nothing is known against it."""
        ...

    def answer_problem(self, job: Job[Any]) -> str | None:
        """Return why the answers of the node cannot be what the job requires. None if they may be."""
        ...


def fits(content: object, wanted: Any) -> bool:
    """Return True if an answer is of the type that a job requires. In a list, each item must be."""
    if wanted is str or not isclass(wanted) or isinstance(content, wanted):
        return True
    return isinstance(content, list) and all(fits(item, wanted) for item in cast("list[object]", content))


def wrong_answer(job: Job[Any], node: str, answer: ChatMessage[Any]) -> JobError | None:
    """Return the error of an answer that is not of the type that the job requires."""
    wanted: Any = job.required_return_type
    if fits(answer.content, wanted):
        return None
    message = f"job {job.name!r}: node {node!r} answered {type(answer.content).__name__}, not {wanted.__name__}"
    return JobError(message, node=node, message=answer)


async def job_prompts(node: str, job: Job[Any], agents: Iterable[Worker], options: dict[str, Any]) -> list[object]:
    """Return the prompts of a job. Adds its tools and its type of answer to the options of the run.

    Raises:
        JobError: `job` is not a Job, or an agent does not fit.
    """
    if not is_a(job, Job):
        raise JobError(f"node {node!r}: run_job takes a Job, not {job!r}", node=node)
    for agent in agents:
        problem = agent.job_problem(job, deps=options.get("deps"), model=options.get("model"))
        if problem is not None:
            raise JobError(f"job {job.name!r} does not fit node {node!r}: {problem}", node=node)
    if job.tools:
        options["tools"] = [*job.get_tools(), *(options.get("tools") or ())]
    if job.required_return_type is not str:
        options.setdefault("output_type", job.required_return_type)
    if "tools" in options or "output_type" in options:
        options.setdefault("durable", False)  # they belong to this process, so no journal can keep the run
    return [*job.knowledge, await job.get_prompt()]
