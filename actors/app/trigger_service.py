"""The triggers of a running pool: supervised actors that start after the nodes and stop before them."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, cast

from msgspec.structs import replace

from actors.agents.manifest.imports import ImportScope
from actors.app.connection_events import ConnectionEvents, condition_for
from actors.app.journal_service import JournalService
from actors.app.trigger_paths import StateLockedError, TriggerFiles
from actors.config.manifest import Manifest
from actors.config.trigger import ConnectionTrigger, FunctionSettings, TriggerSpec, WebhookTrigger
from actors.nodes.node import AnyNode
from actors.pool.node_supervisor import EXIT_TIMEOUT
from actors.pool.registry import NodeRegistry
from actors.pool.services import PoolService
from actors.runs.request import RunRequest
from actors.runtime.background_loop import current_system
from actors.runtime.options import StartOptions
from actors.runtime.ref import ActorRef
from actors.runtime.system import ActorSystem
from actors.supervision.backoff import Backoff
from actors.supervision.child import ChildSpec
from actors.supervision.intensity import RestartIntensity
from actors.supervision.supervisor import Supervisor
from actors.talk.signal import Signal
from actors.triggers.function_source import FunctionEvents
from actors.triggers.plan import TriggerPlan, plan_triggers, queue_child, queue_name
from actors.triggers.prompt import session_of
from actors.triggers.source import Ready
from actors.triggers.trigger import Trigger, TriggerStatistics
from actors.triggers.trigger_type import TriggerChild, TriggerRequest
from protocols.clock import pause
from protocols.errors import NodeStoppedError
from protocols.ids import RunId
from protocols.journal import JournalError
from protocols.messages import ChatMessage
from protocols.tracing import Headers
from protocols.triggers import Accepted, RunKeeper, TriggerConfigError, TriggerEvent

LONGEST_DELAY: Final = 30.0
"""Longest delay in seconds between two attempts to start a trigger."""
STAND_BY: Final = 2.0
"""Seconds between two attempts to take over the triggers of a manifest that another process runs."""
_INTENSITY: Final = RestartIntensity(limit=1_000, period=1.0)
"""A source may fail while its server is down. Its backoff grows, and its supervisor never gives up."""

_COUNTED: Final = ("accepted", "completed", "failed")

_log: Final = logging.getLogger("understage.triggers")


@dataclass(frozen=True, slots=True)
class TriggerAnswer:
    """The answer of a node to an event."""

    node: str
    """Name of the node."""
    trigger: str
    """Name of the trigger within its node."""
    run_id: RunId
    event: TriggerEvent
    answer: ChatMessage[Any]


class TriggerService(PoolService):
    """The triggers of a pool. Their actors start after its nodes and stop before them.

    ``pool.service(TriggerService)`` returns the triggers of a running pool.

    Args:
        pool: the pool.
        answered: called with every answer of a node to an event; None for a new signal.
        running: gets the name of the trigger of each run while it lasts.
        files: files whose lock the caller holds. By default the service takes the lock, and stands by without
            triggers while another process has it.
    """

    def __init__(
        self,
        pool: NodeRegistry,
        answered: Signal[TriggerAnswer] | None = None,
        files: TriggerFiles | None = None,
        running: dict[str, str] | None = None,
    ) -> None:
        self.answered: Signal[TriggerAnswer] = Signal("answered") if answered is None else answered
        """Called with every answer of a node to an event."""
        self.plan = TriggerPlan()
        """The running triggers and their actors."""
        self.pool = pool
        """The pool."""
        self.running = {} if running is None else running
        """The name of the trigger of each run while it lasts."""
        self._events: list[FunctionEvents] = []
        self._functions: dict[str, Trigger] = {}
        self._files = files or TriggerFiles()
        self._stands_by = False
        """True while another process has the lock of the files."""
        self._taking_over: asyncio.Task[None] | None = None
        self._applying = asyncio.Lock()
        self._supervisor: ActorRef[Supervisor] | None = None
        self._host: Any = None
        """This process, as a host of a cluster; None for a pool in one process."""

    async def begin(self) -> None:
        """Start the actors, or stand by while another process runs the triggers."""
        journal: JournalService | None = cast("Any", self.pool).service(JournalService)
        self._host = None if journal is None else journal.host
        try:
            await self._system.in_thread(self._files.open)(self.pool.manifest)
            if self._host is not None:
                self._taking_over = asyncio.create_task(self._follow_shards(self._host), name="triggers of shards")
            await self.apply(self.pool.manifest)
        except StateLockedError as error:
            _log.warning("pool %r starts no triggers until it ends: %s", self.pool.manifest.name or "pool", error)
            self._stands_by = True
            self._taking_over = asyncio.create_task(self._take_over(), name="triggers stand by")
        except BaseException:
            self._files.close()
            raise

    async def _take_over(self) -> None:
        """Start the triggers when the process that runs them ends."""
        while True:
            await pause(self._system.clock, STAND_BY)
            try:
                await self._system.in_thread(self._files.open)(self.pool.manifest)
                self._stands_by = False
                await self.apply(self.pool.manifest)
            except StateLockedError:
                continue
            except Exception:
                _log.exception("pool %r cannot take its triggers over", self.pool.manifest.name or "pool")
            else:
                return

    async def _follow_shards(self, host: Any) -> None:
        """Start and stop triggers as their shards come here and go to other hosts."""
        moved = asyncio.Event()
        host.changed = moved.set
        while True:
            await moved.wait()
            moved.clear()
            try:
                await self.apply(self.pool.manifest)
            except Exception:
                _log.exception("pool %r cannot take its triggers over", self.pool.manifest.name or "pool")

    def _is_here(self, node: str, trigger: TriggerSpec) -> bool:
        """Return True if this process serves a trigger. Webhooks and connections are served where they are reached.

        The hosts that Ray runs listen to no webhooks: their ports are those of the processes that users have started.
        """
        if self._host is None or isinstance(trigger, ConnectionTrigger):
            return True
        if isinstance(trigger, WebhookTrigger):
            return not self._host.about.actor
        serves: bool = self._host.serves(f"{self.pool.manifest.name or 'pool'}/triggers/{node}/{trigger.name}")
        return serves

    async def look_back(self, now: float, runs: Iterable[tuple[float, RunId]]) -> float:
        """Return the last of the times of a schedule whose run the hosts of a cluster know; see `RunKeeper`.

        If they know none, the host of before may have died in such a time, but not long ago.
        """
        if self._host is None:
            return now
        past = [*runs]
        while True:
            try:
                found = await asyncio.gather(*(self._host.store.find(bytes.fromhex(id)) for _, id in past))
                served = [time for (time, _), known in zip(past, found, strict=True) if known is not None]
                return served[0] if served else await self._host.missed_since(now)
            except JournalError as error:
                if error.is_final or self._host.leases.is_draining:
                    raise
                _log.warning("a schedule cannot be taken over now: %s", error)
            await pause(self._system.clock, STAND_BY / 4)

    async def end(self) -> None:
        """Stop the actors."""
        if self._taking_over is not None:
            self._taking_over.cancel()
            await asyncio.wait([self._taking_over])
        for events in self._events:
            await events.close()
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            await asyncio.shield(supervisor.stop(block=False, timeout=EXIT_TIMEOUT))
        self._files.close()

    def prepare(self, manifest: Manifest) -> TriggerPlan:
        """Plan the actors for the triggers of a manifest; unchanged actors are reused, and nothing starts.

        Raises:
            TriggerExtraError: a library is missing.
            TriggerConfigError: a trigger can never work.
            TriggerError: a file cannot be written, or another process runs the triggers of the manifest.
            ConfigError: the function of a condition cannot be imported.
        """
        if not self._stands_by:
            self._files.open(manifest)
        scope = ImportScope(manifest.allow_imports)
        requests = [
            self._request(name, settings, scope)
            for name, node in manifest.nodes.items()
            for settings in node.triggers
            if self._is_here(name, settings)
        ]
        plan = plan_triggers(
            requests, root=manifest.root, previous=self.plan, journal=self._files.journal, progress=self._files.progress
        )
        taken = sorted(trigger.full_name for trigger in plan.triggers if trigger.full_name in self._functions)
        if taken:
            message = f"functions start runs under the names {', '.join(taken)} already; name these triggers otherwise"
            raise TriggerConfigError(message)
        return plan

    async def apply(self, manifest: Manifest) -> None:
        """Start and stop actors for the triggers of a manifest; unchanged actors are left alone.

        Raises:
            TriggerExtraError: a library is missing; nothing has changed.
            TriggerConfigError: a trigger can never work; nothing has changed.
            ConfigError: the function of a condition cannot be imported; nothing has changed.
        """
        async with self._applying:
            await self._follow(manifest)

    async def _follow(self, manifest: Manifest) -> None:
        old, new = self.plan, self.prepare(manifest)
        if self._stands_by:
            return
        if self._files.progress is not None:
            names = {trigger.full_name for trigger in new.triggers}
            await self._system.in_thread(self._files.progress.forget_others)(names)
        for child in reversed([one for one in old.children if one not in new.children]):
            await self._end(child)
        self.plan = new
        for child in new.children:
            if child not in old.children:
                await self._begin(child)

    async def events(self, node: str, **settings: Any) -> FunctionEvents:
        """Return decorators that make functions start runs of a node, while the pool is entered.

        Args:
            node: name of the node.
            **settings: as for `FunctionSettings`; function triggers of one node need different names.

        Raises:
            NodeNotFoundError: the node is unknown; a KeyError that offers the nearest names.
            TriggerConfigError: a setting is wrong, or the name is taken.
        """
        wanted = FunctionSettings(**settings)
        runs = NodeRuns(self, self.pool[node].name, wanted)
        trigger = Trigger(wanted, runs, node=node, keeper=runs)
        if trigger.full_name in {one.full_name for one in self.triggers}:
            message = f"node {node!r} has a trigger {wanted.name!r} already; pass another name="
            raise TriggerConfigError(message, node=node)
        self._functions[trigger.full_name] = trigger
        await self._begin(queue_child(trigger))
        self._events.append(FunctionEvents(trigger, self._system))
        return self._events[-1]

    async def ready(self, timeout: float | None = 30.0) -> None:
        """Wait until every source watches or listens.

        Raises:
            AskTimeoutError: a source is not ready within `timeout` seconds.
            TriggerError: a source fails; its supervisor starts it again.
        """
        if self._supervisor is None:
            return
        queues = {queue_name(trigger) for trigger in self.triggers}
        for child in await self._supervisor.proxy().children():
            if child.name not in queues:
                await child.ref.ask(Ready(), timeout=timeout)

    def statistics(self) -> tuple[TriggerStatistics, ...]:
        """Return the statistics of each trigger."""
        return tuple(trigger.statistics() for trigger in self.triggers)

    @property
    def triggers(self) -> tuple[Trigger, ...]:
        """The triggers of the manifest that are switched on, then those of functions."""
        return (*self.plan.triggers, *self._functions.values())

    @property
    def numbers(self) -> dict[str, dict[str, int]]:
        """The events and runs of all triggers of a node, for metrics."""
        counted: dict[str, Counter[str]] = {f"understage.trigger.{name}": Counter() for name in _COUNTED}
        for trigger in self.triggers:
            statistics = trigger.statistics()
            for name in _COUNTED:
                counted[f"understage.trigger.{name}"][trigger.node] += getattr(statistics, name)
        return {**counted}

    @property
    def _system(self) -> ActorSystem:
        return self.pool.system or current_system()

    def _request(self, node: str, settings: TriggerSpec, scope: ImportScope) -> TriggerRequest:
        runs = NodeRuns(self, node, settings)
        if not isinstance(settings, ConnectionTrigger) or not settings.enabled:
            return TriggerRequest(node, settings, runs, keeper=runs)
        flow = ConnectionEvents(self.pool.connection_registry)
        return TriggerRequest(node, settings, runs, flow, condition_for(settings, scope, node), keeper=runs)

    async def _begin(self, child: TriggerChild) -> None:
        if self._supervisor is None:
            self._supervisor = self._system.start(
                Supervisor, kwargs={"intensity": _INTENSITY}, options=StartOptions("triggers", is_registered=False)
            )
        longest = max(LONGEST_DELAY, child.backoff)
        backoff = Backoff(min=child.backoff or 0.01, max=longest)
        await self._supervisor.proxy().start_child(ChildSpec(**child.spec(backoff=backoff, shutdown=EXIT_TIMEOUT)))

    async def _end(self, child: TriggerChild) -> None:
        assert self._supervisor is not None
        await self._supervisor.proxy().terminate_child(child.name)
        await self._supervisor.proxy().delete_child(child.name)


class NodeRuns(RunKeeper):
    """The runs that one trigger starts of its node: in memory, or kept while the node is durable.

    Args:
        service: the triggers of the pool.
        node: name of the node, which may leave the pool and come again.
        trigger: the trigger.
    """

    def __init__(self, service: TriggerService, node: str, trigger: TriggerSpec) -> None:
        self._service = service
        self._name = node
        self._trigger = trigger

    @property
    def is_durable(self) -> bool:
        """True if the node keeps its runs."""
        node = self._service.pool.nodes.get(self._name)
        return node is not None and node.durable is not None

    async def __call__(self, prompt: str, *, run_id: RunId, event: TriggerEvent) -> None:
        """Start a run, and wait for its end."""
        node = self._node()
        self._service.running[run_id] = self._trigger.name
        try:
            answer = await node.ask(self._request(node, prompt, run_id, event))
        finally:
            del self._service.running[run_id]
        self._answered(run_id, event, answer)

    async def look_back(self, now: float, runs: Iterable[tuple[float, RunId]]) -> float:
        """Return the time since which times were missed; see `RunKeeper`. What was run in memory is not known."""
        return await self._service.look_back(now, runs) if self.is_durable else now

    def continue_trace(self, headers: Headers) -> None:
        """Have the runs of this context belong to the trace that an HTTP request names, if the pool is traced."""
        if (tracing := self._service.pool.tracing) is not None:
            tracing.continued(headers)

    async def keep(self, prompt: str, run_id: RunId, event: TriggerEvent, accepted: Accepted, *, waits: bool) -> bool:
        """Keep a run; see `RunKeeper`."""
        node = self._node()
        assert node.durable is not None

        def kept(reply: "asyncio.Future[Any]") -> None:
            self._service.running[run_id] = self._trigger.name
            accepted(reply)
            reply.add_done_callback(done)

        def done(reply: "asyncio.Future[Any]") -> None:
            del self._service.running[run_id]
            if not reply.cancelled() and reply.exception() is None:
                self._answered(run_id, event, reply.result())

        request = self._request(node, prompt, run_id, event)
        return (await node.durable.submit(request, kept, waits=waits)).is_new

    def _node(self) -> AnyNode:
        node = self._service.pool.nodes.get(self._name)
        if node is None:
            raise NodeStoppedError(f"node {self._name!r} is not in the pool any more", node=self._name)
        return node

    def _request(self, node: AnyNode, prompt: str, run_id: RunId, event: TriggerEvent) -> RunRequest:
        options = {"conversation_id": run_id, "session": session_of(event, self._trigger)}
        return replace(node.request((prompt,), options), run_id=run_id)

    def _answered(self, run_id: RunId, event: TriggerEvent, answer: ChatMessage[Any]) -> None:
        self._service.answered.emit(TriggerAnswer(self._name, self._trigger.name, run_id, event, answer))
