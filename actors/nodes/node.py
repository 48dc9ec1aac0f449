"""`MessageNode`: what users hold of every node. It runs, connects and combines."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, cast, overload
from weakref import WeakSet

import msgspec
from pydantic_ai.tools import Tool

from actors.nodes.as_tool import tool_of
from actors.nodes.connectable import Connecting
from actors.nodes.diagram import DiagramGroup
from actors.nodes.node_router import router_factory
from actors.nodes.operators import Operand, both, register, then
from actors.nodes.run_cancel import CancelMode, cancel_among
from actors.runs.background import BackgroundRuns
from actors.runs.durable import Ticket, submitted
from actors.runs.handle import Deps, Other, Out
from actors.runs.job import Job, Worker, job_prompts, wrong_answer
from actors.runs.node_actor import NodeFactory
from actors.runs.request import NO_OPTIONS, AnyTool, OutputKeywords, RunKeywords, RunOptions
from actors.runs.selection import MultiPick, Selection, SelectionRules, choose
from actors.runs.stream import RunStream
from actors.runtime.cell import Cell
from actors.runtime.clock import running_loop
from actors.supervision.replicas import Routing
from protocols.errors import JobError, error_text
from protocols.keywords import spelled_out
from protocols.messages import ChatMessage
from protocols.tracing import RunTracing

if TYPE_CHECKING:
    from actors.nodes.team import Team
    from actors.nodes.team_run import TeamRun
    from actors.supervision.replicas import Routing as RoutingWord

T = TypeVar("T")
Pool = Mapping[str, Any]
"""A pool, as nodes see it: the nodes by name."""


class NodeContext(msgspec.Struct, frozen=True, eq=False):
    """Where a node lives, as of the moment in which it was asked."""

    node_name: str
    """Name of the node."""
    pool: Pool | None = None
    """The pool that it belongs to, a team that of its members; None outside of any pool."""
    config: Any = None
    """What it was made with: `AgentSettings` or `TeamSettings`."""
    data: Any = None
    """Dependencies of its tools and instructions; None for a team."""

    @property
    def manifest(self) -> Any:
        """The manifest of the pool; None without a pool."""
        return getattr(self.pool, "manifest", None)


def common_pool(node: str, pools: Iterable[Pool | None]) -> Pool | None:
    """Return the one pool among these; None when there is none.

    Raises:
        ValueError: there are several.
    """
    found = {id(pool): pool for pool in pools if pool is not None}
    if len(found) > 1:
        names = ", ".join(sorted(repr(getattr(pool, "name", "pool")) for pool in found.values()))
        raise ValueError(f"team {node!r}: its members are in different pools ({names}); make it of nodes of one pool")
    return next(iter(found.values()), None)


class MessageNode(Connecting, BackgroundRuns[Deps, Out]):
    """Anything that answers messages: an agent, a team, a chain, or a kind of the user's own.

    A node is a handle: it holds configuration, and its actor does the work. Several event loops may use one node. A
    subclass needs one method, `perform`; docs/add-a-node-kind.md shows a complete one.
    """

    _groups: "WeakSet[Any] | None" = None

    def __init_subclass__(cls, *, makes: Operand | None = None, **keywords: Any) -> None:
        """Register the class if an operator makes it.

        Args:
            makes: the operator, ``&`` or ``|``; ``function`` if functions become nodes of this class.
            **keywords: for other base classes.
        """
        super().__init_subclass__(**keywords)
        if makes is not None:
            register(makes, cls)

    @overload
    def __and__(self, other: "Team[Any, Other]") -> "Team[Deps, Out | Other]": ...
    @overload
    def __and__(self, other: "MessageNode[Any, Other]") -> "Team[Deps, Out | Other]": ...
    @overload
    def __and__(self, other: Callable[..., Awaitable[Other]]) -> "Team[Deps, Out | Other]": ...
    @overload
    def __and__(self, other: Callable[..., Other]) -> "Team[Deps, Out | Other]": ...

    def __and__(self, other: object) -> Any:
        return both(self, other)

    @overload
    def __rand__(self, other: Callable[..., Awaitable[Other]]) -> "Team[Deps, Other | Out]": ...
    @overload
    def __rand__(self, other: Callable[..., Other]) -> "Team[Deps, Other | Out]": ...

    def __rand__(self, other: object) -> Any:
        return both(other, self)

    @overload
    def __or__(self, other: "MessageNode[Any, Other]") -> "TeamRun[Deps, Other]": ...
    @overload
    def __or__(self, other: Callable[..., Awaitable[Other]]) -> "TeamRun[Deps, Other]": ...
    @overload
    def __or__(self, other: Callable[..., Other]) -> "TeamRun[Deps, Other]": ...

    def __or__(self, other: object) -> Any:
        return then(self, other)

    def __ror__(self, other: Callable[..., object]) -> "TeamRun[Deps, Out]":
        return cast("TeamRun[Deps, Out]", then(other, self))

    def leaves(self) -> Iterator[Any]:
        """Yield the nodes that do the work: the members of a team, and of the teams inside it; else the node itself.

        Jobs have to fit these nodes, and `distribute` and `add_context` of a team reach them.
        """
        yield self

    def iter_agents(self) -> Iterator[Any]:
        """Yield the agents among the `leaves`.

        Raises:
            ValueError: a leaf is not an agent.
        """
        raise ValueError(f"{self!r} is neither an agent nor a team")

    def take_tools(self, tools: Sequence[AnyTool]) -> None:
        """Give the model of the node more tools. A node without a model ignores them."""

    def members(self) -> "Sequence[AnyNode]":
        """Return the nodes that this node supervises; none but for a team or chain."""
        return ()

    def supervision(self) -> tuple[object, ...]:
        """Return how the node supervises its members or replicas; a change needs a restart of its actor."""
        return (Routing, self.routing) if self.replicas > 1 else ()

    @property
    def routing(self) -> "RoutingWord":
        """Which of them gets a run."""
        return getattr(self.definition.settings, "routing", "least_busy")

    def factory(self) -> NodeFactory:
        """Return what makes the node's actor; see `NodeHandle.factory`."""
        return router_factory(self) if self.replicas > 1 else super().factory()

    def structure(self) -> DiagramGroup | None:
        """Return what a diagram shows inside the node. None for a node without members."""
        return None

    @property
    def groups(self) -> tuple[Any, ...]:
        """The living teams and chains that contain this node, in no order. The node does not hold them."""
        return () if self._groups is None else tuple(self._groups)

    def join_group(self, group: object) -> None:
        """Note that a team or chain contains this node."""
        if self._groups is None:
            self._groups = WeakSet()
        self._groups.add(group)
        if self.tracing is not None:
            self.trace(self.tracing)

    def trace(self, tracing: RunTracing | None) -> None:
        """Have spans made of the runs of the node, and of those of the teams and chains that contain it."""
        self.tracing = tracing
        for group in self.groups:
            if group.tracing is not tracing:
                group.trace(tracing)

    @property
    def context(self) -> NodeContext:
        """The pool of the node, its settings, and its dependencies.

        Raises:
            ValueError: the members of a team are in different pools.
            RuntimeError: the context is set.
        """
        settings: Any = getattr(self, "settings", None)
        return NodeContext(self.name, self.find_pool(), settings, getattr(settings, "deps", None))

    @context.setter
    def context(self, _: object) -> None:
        raise RuntimeError(f"node {self.name!r}: its context cannot be set; it is that of its pool (pool.add_node)")

    def find_pool(self) -> Pool | None:
        """Return the pool that the node belongs to. None for a node outside any pool."""
        return self.directory

    def _actor_parent(self) -> Cell | None:
        """Return the supervisor of the running pool that the node belongs to, or of the one that its members are of."""
        try:
            supervisor: Cell | None = getattr(self.find_pool(), "supervisor", None)
        except ValueError:  # members of several pools
            return None
        is_here = supervisor is not None and supervisor.can_decide and supervisor.loop is running_loop()
        return supervisor if is_here else None

    @overload
    def run_stream(
        self, *prompts: object, output_type: type[Other], **options: Unpack[RunKeywords[Deps]]
    ) -> RunStream[Other]: ...
    @overload
    def run_stream(
        self, *prompts: object, output_type: None = None, **options: Unpack[RunKeywords[Deps]]
    ) -> RunStream[Out]: ...

    @spelled_out(OutputKeywords, NO_OPTIONS)
    def run_stream(self, *prompts: object, **options: Any) -> RunStream[Any]:
        """Return a stream over one run: ``async with``, ``async for``, `RunStream.stream`.

        Args:
            prompts: as for `run`.
            **options: what differs for this run only, see `RunOptions`. ``require_all=False`` lets a chain skip a stage
                that fails.

        Raises:
            EmptyPromptError: the prompts are empty.
            TypeError: an unknown option.

        Reading the stream raises what `run` raises, except that a chain raises ChainBrokenError (also a ValueError),
        which names the stage and has the exception of the stage as its cause.
        """
        return RunStream(self, prompts, RunOptions.of(self.name, options) if options else NO_OPTIONS)

    @overload
    def run_iter(
        self, *prompt_groups: object, output_type: type[Other], **options: Unpack[RunKeywords[Deps]]
    ) -> AsyncIterator[ChatMessage[Other]]: ...
    @overload
    def run_iter(
        self, *prompt_groups: object, output_type: None = None, **options: Unpack[RunKeywords[Deps]]
    ) -> AsyncIterator[ChatMessage[Out]]: ...

    @spelled_out(OutputKeywords, NO_OPTIONS)
    async def run_iter(self, *prompt_groups: object, **options: Any) -> AsyncIterator[ChatMessage[Any]]:
        """Run once per group of prompts, one after the other, and yield each answer.

        A list or tuple is a group; anything else, such as a text, is a group of one. No group at all is an
        EmptyPromptError.
        """
        if not prompt_groups:
            self.request((), options)
        for group in prompt_groups:
            prompts = cast("Sequence[object]", group) if isinstance(group, list | tuple) else (group,)
            yield await self.run(*prompts, **options)

    @spelled_out(RunKeywords, NO_OPTIONS)
    async def submit(self, *prompts: object, **options: Unpack[RunKeywords[Deps]]) -> Ticket[Out]:
        """Have a durable node run, and return when the run is kept: it is done even if the process dies now.

        Args:
            prompts: as for `run`. Files are read now.
            **options: as for `run`. A `request_id` is the name of the run: a second run of that name within the `keep`
                of the journal is the same run.

        Raises:
            NotDurableError: the node is not durable, or the run has an option that cannot be kept, such as `deps`.
            MailboxFullError: too many runs wait for the node.
            JournalError: the journal cannot keep the run. Nothing was accepted.
        """
        return await submitted(self, self.request(prompts, options))

    async def pick(self, options: Sequence[T], task: object, *, prompt: str | None = None) -> Selection[T]:
        """Have the node choose exactly one option.

        Args:
            options: texts, classes, nodes or anything else, named by their text, their name, or their `repr`.
            task: what the choice is for.
            prompt: question in place of the usual one, which contains the task and the options.

        Raises:
            PickError: there are no options, or the answer is not a valid choice.
            Exception: what the run raised.
        """
        return await choose(self, SelectionRules(options, f"node {self.name!r}", most=1), task, prompt)

    async def pick_multiple(
        self,
        options: Sequence[T],
        task: object,
        *,
        min_picks: int = 1,
        max_picks: int | None = None,
        prompt: str | None = None,
    ) -> Selection[T]:
        """Have the node choose several options, in the order in which they are to be used; see `pick`.

        Args:
            options: as for `pick`.
            task: what the choice is for.
            min_picks: least number.
            max_picks: greatest number; None for all.
            prompt: question in place of the usual one.

        Raises:
            PickError: as for `pick`; also when `max_picks` is below `min_picks`.
        """
        rules = SelectionRules(options, f"node {self.name!r}", least=min_picks, most=max_picks)
        return await choose(self, rules, task, prompt, kind=MultiPick)

    def to_tool(self, *, name: str | None = None, description: str | None = None) -> Tool[Any]:
        """Return a tool of pydantic_ai that runs this node with a prompt and returns the content of the answer.

        The deadline and the cancellation of the calling run reach this node. Its usage limits hold for both together.

        Args:
            name: by default ``ask_<name of the node>``.
            description: by default the name and the purpose of the node.
        """
        return tool_of(self, name=name, description=description)

    def job_agents(self) -> Sequence[Worker]:
        """Return the nodes that a job must fit."""
        return tuple(self.leaves())

    def job_problem(self, job: Job[Any], *, deps: object = None, model: Any = None) -> str | None:
        """Return why the node cannot do a job. None if nothing is known against it.

        Args:
            job: the job.
            deps: dependencies for this run; None for those of the node.
            model: model for this run; None for that of the node.
        """
        del model  # only an agent has one
        return job.deps_problem(self.name, self.context.data if deps is None else deps)

    def answer_problem(self, job: Job[Any]) -> str | None:
        """Return why the answers of the node cannot be what a job requires. None if they may be."""
        del job
        return None

    def cancel_run(self, run_id: str, *, mode: CancelMode = "now") -> bool:
        """Cancel an open run of this node, from any thread.

        Args:
            run_id: id of the run, as in its events.
            mode: ``now`` cancels at once, and the caller of the run gets a RunCancelledError. ``step`` lets the step
                under way end (the request to a model, the calls of tools, the stage of a chain, the members of a team),
                and begins no further one. If one was left, the caller gets a RunCancelledError with what there is;
                else the answer. A run that waits for an approval ends at once.

        Returns:
            False for a run that is not open: unknown, finished, or in the mailbox of the node.

        Raises:
            ValueError: the mode is unknown.
        """
        return cancel_among(tuple(self.home.refs.values()), run_id, mode)

    @spelled_out(RunKeywords, NO_OPTIONS)
    async def run_job(self, job: Job[Other], **options: Unpack[RunKeywords[Deps]]) -> ChatMessage[Other]:
        """Do a job once. Its tools and its knowledge hold for this run only.

        Args:
            job: what to do.
            **options: as for `run`. The exchange is kept in the history unless ``store_history=False``; with
                ``include_agent_tools=False`` only the tools of the job can be used.

        Raises:
            JobError: an agent does not fit, and nothing was run; or the run failed (the cause is chained); or the
                answer is of another type than the job requires.
        """
        given: dict[str, Any] = {"store_history": True, **options}
        prompts = await job_prompts(self.name, job, self.job_agents(), given)
        try:
            answer: ChatMessage[Any] = await self.run(*prompts, **given)
        except Exception as error:
            message = f"job {job.name!r}: node {self.name!r} failed: {error_text(error)}"
            raise JobError(message, node=self.name) from error
        problem = wrong_answer(job, self.name, answer)
        if problem is not None:
            raise problem
        return cast("ChatMessage[Other]", answer)


AnyNode = MessageNode[Any, Any]
"""Any node."""
