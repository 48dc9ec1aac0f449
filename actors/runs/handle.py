"""`NodeHandle`: what every node is: a name, one way to be run, and an actor on every event loop it is used from.

What users hold is `actors.nodes.node.MessageNode`, which adds operators, connections and background runs.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, Unpack, overload

from msgspec import UNSET
from msgspec.structs import replace
from typing_extensions import TypeVar

from actors.runs.blocking_call import run_blocking
from actors.runs.correlation import correlation_of, kept_part, session_here
from actors.runs.durable import KeepsRuns, not_durable
from actors.runs.errors import ENGINE_ERRORS, run_failure, stopped
from actors.runs.event_channel import StreamSink
from actors.runs.lifecycle import Definition, NodeLifecycle, NodeSettings
from actors.runs.node_actor import NodeActor, NodeFactory
from actors.runs.request import (
    DEFAULT_TIMEOUT,
    NO_OPTIONS,
    AddContext,
    OutputKeywords,
    Route,
    RunKeywords,
    RunOptions,
    RunRequest,
    Settle,
)
from actors.runs.request import Deps as Deps
from actors.runs.run_cost import RunCost
from actors.runtime.clock import running_loop
from actors.runtime.envelope import current
from actors.runtime.errors import BlockingCallError
from actors.runtime.future import AsyncioFuture
from actors.runtime.log import warn_once
from actors.runtime.ref import ActorRef
from actors.talk.detached_ask import Settled, failed_reply, post_outside
from actors.talk.signal import Signal
from actors.talk.target_queue import TargetQueue
from protocols.budget import drawn
from protocols.checks import TEXT, Checks, check_values, is_a
from protocols.delivery_tracker import DeliveryTracker
from protocols.errors import EmptyPromptError, NodeNameError
from protocols.handle import Handle, Named
from protocols.ids import new_id
from protocols.keywords import spelled_out
from protocols.messages import ChatMessage
from protocols.node import Origin, Outlet
from protocols.session import SESSION

Out = TypeVar("Out", default=str)
Other = TypeVar("Other")

_log = logging.getLogger("understage")
_CONTEXT: Checks = {"text": TEXT, "session": SESSION}


class NodeHandle(Handle, NodeLifecycle, Generic[Deps, Out]):
    """A name and a way to run it. It holds configuration; what changes with a run belongs to the node's actor.

    The actor starts by itself at the first use on an event loop, or is started by a supervisor (`factory`).
    """

    _of_the_engine = (
        "actor_class answer_problem ask at_work cancelled cost_of counts_members definition delivered directory "
        "durable fail find_pool follow_cost groups home is_opened_in_parallel is_serial job_agents job_problem "
        "join_group keep_context make_mailbox message_key most_runs notes offer outlets pass_on perform place post "
        "prepared queue reconfigure request resources route runs_until_stopped send structure supervision "
        "take_context take_tools trace tracing"
    )
    actor_class: ClassVar[type[Any]] = NodeActor
    """Class of the actor behind the node."""

    def __init__(
        self,
        name: str,
        *,
        description: str | None = None,
        display_name: str | None = None,
        timeout: float | None = DEFAULT_TIMEOUT,
        crash_on: tuple[type[Exception], ...] = (),
    ) -> None:
        if not is_a(name, str) or not name.strip():
            raise NodeNameError(f"a node needs a name, got {name!r}")
        settings = NodeSettings(description=description, display_name=display_name, timeout=timeout, crash_on=crash_on)
        super().__init__(Definition(settings=settings))
        self.name = name
        self.message_sent: Signal[ChatMessage[Any]] = Signal("message_sent")
        """Called with every answer, before it goes to the connections."""
        self.run_failed: Signal[Exception] = Signal("run_failed")
        """Called with the exception of every run that failed, before the caller gets it."""
        self.outlets: dict[Outlet, None] = {}
        """The node's connections, in order."""
        self.queue: TargetQueue | None = None
        """Messages that wait for the node, in order of priority; None until a connection has a priority."""
        self.durable: KeepsRuns | None = None
        """What keeps the runs of a durable node in a journal; None for a node whose runs are in memory."""
        self._trackers: set[DeliveryTracker] = set()

    @property
    def display_name(self) -> str:
        """Name for people; the name when none was given."""
        return self.definition.settings.display_name or self.name

    @property
    def description(self) -> str | None:
        """What the node is good for."""
        return self.definition.settings.description

    @description.setter
    def description(self, description: str | None) -> None:
        self._change(description=description)

    @property
    def timeout(self) -> float | None:
        """Seconds that a run may take unless it says otherwise, waiting in the mailbox included; None for no limit."""
        return self.definition.settings.timeout

    @timeout.setter
    def timeout(self, seconds: float | None) -> None:
        self._change(timeout=seconds)

    @property
    def crash_on(self) -> tuple[type[Exception], ...]:
        """Exceptions of a run that crash the actor, so that its supervisor restarts it."""
        return self.definition.settings.crash_on

    @crash_on.setter
    def crash_on(self, kinds: tuple[type[Exception], ...]) -> None:
        self._change(crash_on=kinds)

    def _change(self, **settings: Any) -> None:
        self.definition = replace(self.definition, settings=replace(self.definition.settings, **settings))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    @overload
    async def run(
        self, *prompts: object, output_type: type[Other], **options: Unpack[RunKeywords[Deps]]
    ) -> ChatMessage[Other]: ...
    @overload
    async def run(
        self, *prompts: object, output_type: None = None, **options: Unpack[RunKeywords[Deps]]
    ) -> ChatMessage[Out]: ...

    @spelled_out(OutputKeywords, NO_OPTIONS)
    async def run(self, *prompts: object, **options: Any) -> ChatMessage[Any]:
        """Run the node once and return its answer.

        Args:
            prompts: text, messages of other nodes, paths of files, structured objects; see `actors.prompts.content`.
            **options: what differs for this run only, see `RunOptions`.

        Raises:
            Exception: whatever the model, a tool or a callable raised, unchanged but for a note.
            EmptyPromptError: there is nothing in the prompts.
            RunTimeoutError: the run was not finished within its time; it has been cancelled.
            NodeStoppedError: the node has been closed.
            RunCancelledError: the node was stopped while it worked.
        """
        return await self.ask(self.request(prompts, options))

    @overload
    def run_sync(
        self, *prompts: object, output_type: type[Other], **options: Unpack[RunKeywords[Deps]]
    ) -> ChatMessage[Other]: ...
    @overload
    def run_sync(
        self, *prompts: object, output_type: None = None, **options: Unpack[RunKeywords[Deps]]
    ) -> ChatMessage[Out]: ...

    @spelled_out(OutputKeywords, NO_OPTIONS)
    def run_sync(self, *prompts: object, **options: Any) -> ChatMessage[Any]:
        """Do the same as `run`, blocking the caller: in scripts, threads, and notebooks with a running loop.

        The run happens on the loop on which the node lives in another thread, else on the one background loop.

        Raises:
            BlockingCallError: called by an actor, a tool or a callback on its event loop, or on the event loop of the
                pool that has the node.
        """
        nodes: Any = (self, *getattr(self, "leaves", tuple)()) if current.get() is None else ()
        if any(node.home.is_owned and node.home.find() is not None for node in nodes):
            text = f"node {self.name!r}: run_sync would block the event loop of its pool; use `await node.run(...)`"
            raise BlockingCallError(text, node=self.name)
        return run_blocking(self.name, self.run(*prompts, **options), self.home.elsewhere())

    def request(  # noqa: PLR0913 - keywords, all of them optional
        self,
        prompts: Sequence[object],
        options: RunOptions | Mapping[str, Any],
        *,
        parent: RunRequest | None = None,
        origin: Origin | None = None,
        route: Route | None = None,
        sink: StreamSink | None = None,
        cost: RunCost | None = None,
    ) -> RunRequest:
        """Make the request of a run.

        Args:
            prompts: see `run`.
            options: see `run`.
            parent: the run this one is a part of; None takes the run whose handler calls this, if any.
            origin: the run whose answer a connection passes on; the new run is one hop further.
            route: the rest of the chain.
            sink: where the events go.
            cost: what takes the cost of the run.

        Raises:
            EmptyPromptError: nothing, or one text of blanks, was given.
            TypeError: an unknown option.
        """
        if not prompts:
            prompts = self._default_prompts()
        first = prompts[0] if prompts else ""
        if type(first) is str and len(prompts) <= 1 and (not first or first.isspace()):
            raise EmptyPromptError(f"node {self.name!r}: the prompt is empty; pass some text", node=self.name)
        if not isinstance(options, RunOptions):
            options = RunOptions.of(self.name, options) if options else NO_OPTIONS
            if options.request_id is not None and self.durable is None:
                raise not_durable(self.name)
        conversation, downstream, parent_run_id, hops, options = correlation_of(options, first, parent, origin)
        ledgers = () if origin is not None or self.durable is not None else drawn.get()
        if ledgers and not isinstance(options.budget, tuple):
            own = () if options.budget is None else (options.budget,)
            options = replace(options, budget=(*own, *ledgers))
        kept = kept_part(parent, self.name) if parent_run_id and origin is None else None
        run_id = new_id() if kept is None else kept.run_id
        return RunRequest(
            self, tuple(prompts), run_id, conversation or run_id, downstream, options, parent_run_id, hops, route, sink,
            cost, kept=kept,
        )  # fmt: skip

    def _default_prompts(self) -> Sequence[object]:
        """Return what a run is asked that is given no prompt; nothing unless the node was made with prompts."""
        return ()

    async def ask(self, request: RunRequest) -> ChatMessage[Any]:
        """Send a request to the node's actor and wait for the answer, and for the connections if that was wanted."""
        timeout = request.options.timeout
        if timeout is UNSET:
            timeout = self.definition.settings.timeout
        try:
            if self.durable is not None and self.durable.takes(request):
                answer: ChatMessage[Any] = await self.durable.ask(request, timeout)
            else:
                answer = await self.ref().ask(request, timeout=timeout)
        except ENGINE_ERRORS as error:
            translated = run_failure(error, self.name, timeout)
            if translated is error:
                raise
            raise translated from error
        if request.downstream.open:
            await self._wait_for_connections(request)
        return answer

    @spelled_out(OutputKeywords, NO_OPTIONS)
    def post(
        self,
        prompts: Sequence[object],
        *,
        origin: Origin | None = None,
        settled: Settled | None = None,
        **options: Any,
    ) -> AsyncioFuture[ChatMessage[Any]]:
        """Have the node run without waiting; see `protocols.node.Target`. What goes wrong is in the future."""
        outbox = None if origin is None or origin.kept is None else origin.kept.outbox
        if outbox is not None and self.durable is None:
            deferred: AsyncioFuture[ChatMessage[Any]] = outbox.defer(self.post, prompts, settled, options)
            return deferred
        try:
            request = self.request(prompts, options, origin=origin)
            ref = self.ref()
        except Exception as error:  # whoever posts is told by the future
            return failed_reply(error, settled)
        if self.durable is not None and self.durable.takes(request, is_own=True):
            return self.durable.post(request, origin, settled)
        timeout = request.options.timeout
        if timeout is UNSET:
            timeout = self.definition.settings.timeout
        return post_outside(ref, request, timeout, origin, settled)

    async def _wait_for_connections(self, request: RunRequest) -> None:
        wait = request.options.wait_for_connections
        # A run inside another one shares its deliveries, and must not wait for the run that it is a part of.
        if wait or (wait is None and request.downstream.is_required and not request.parent_run_id):
            await request.downstream.wait()

    def factory(self) -> NodeFactory:
        """Return what makes the node's actor, for a supervisor: ``ChildSpec(node.factory(), name=node.name)``."""
        return NodeFactory(self, self.actor_class, self.max_concurrency)

    def _actor_owner(self) -> Named:
        """Return the object that keeps the actor alive. An actor without a supervisor stops when it is garbage."""
        return self

    def ref(self) -> ActorRef[Any]:
        """Return the node's actor on the running loop, starting it if need be.

        Raises:
            NodeStoppedError: the node has been closed, or its supervisor has given it up.
        """
        ref = self.home.refs.get(running_loop())
        if ref is None or self._is_closed or not ref.is_alive():
            if self._is_closed or self.home.is_owned:
                raise stopped(self.name, None if self._is_closed else self.home.end_cause())
            if self.definition.settings.durable and self.durable is None and self._actor_parent() is None:
                warn_once(f"node {self.name!r} is durable, and in no AgentPool(journal=True): nothing is kept")
            ref = self.home.start(self.factory(), self._actor_owner(), parent=self._actor_parent())
        return ref

    def send(self, answer: ChatMessage[Any], request: RunRequest) -> None:
        """Give an answer to the subscribers and to the connections, inside the actor. Does not wait.

        The answer of a kept run is passed on by its mailbox, after the acknowledgement.
        """
        if request.kept is None or request.kept.is_part:
            self.pass_on(answer, request)

    def pass_on(self, answer: ChatMessage[Any], request: Origin) -> None:
        """Give an answer to the subscribers and to the connections. Does not wait."""
        if self.message_sent.subscribers:
            self.message_sent.emit(answer)
        if self.outlets:
            self.offer(answer, request)

    def fail(self, error: Exception, request: RunRequest) -> None:
        """Report a failed run, inside the actor."""
        if self.run_failed.subscribers:
            self.run_failed.emit(error)

    def offer(self, message: ChatMessage[Any], origin: Origin) -> None:
        """Pass a message on through the node's connections without running the node."""
        for talk in tuple(self.outlets):
            try:
                talk.offer(message, origin)
            except Exception:
                _log.exception("a connection of node %s failed", self.name)
        tracker = origin.downstream
        if tracker.open and tracker not in self._trackers:
            self._trackers.add(tracker)
            tracker.then(lambda: self._trackers.discard(tracker))

    def add_context(self, text: str, *, session: str | None = None) -> None:
        """Give text that the node reads before the prompt of its next run (once), or of the next one of a session.

        A durable node keeps it with the next commit of its journal. Raises NotDurableError or JournalError, TypeError
        for anything but text, and ValueError for what cannot be the name of a session.
        """
        kind = ValueError if is_a(text, str) and is_a(session, str) else TypeError
        given = {"text": text, "session": session}
        check_values(_CONTEXT, given, lambda _, problem: kind(f"node {self.name!r}: {problem}"), never_none=("text",))
        if self.durable is not None:
            self.durable.add_context(text, session or session_here())
        else:
            self.ref().tell(AddContext(self, text, session or session_here()))

    async def complete_tasks(self) -> None:
        """Wait until the runs that the node has accepted, and what they caused through connections, have ended."""
        if self.durable is not None:
            await self.durable.drained()
        ref = self.home.find()
        if ref is not None:
            await ref.ask(Settle(), timeout=None)
        await self.delivered()

    async def delivered(self) -> None:
        """Wait until what the node has given to its connections has been worked on, by indirect targets too."""
        for tracker in tuple(self._trackers):
            await tracker.wait()

    async def route(self, message: ChatMessage[Any], *, wait: bool | None = None) -> None:
        """Give a message to the connections as if the node had answered it; the node does not run.

        Args:
            message: what is passed on.
            wait: whether to return only when all that it causes has finished; None when a connection asks for it.
        """
        request = self.request((message,), {"wait_for_connections": wait})
        self.offer(message, request)
        if request.downstream.open:
            await self._wait_for_connections(request)
