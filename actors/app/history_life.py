"""The history of a running pool: what its nodes say is kept, and agents go on where they stopped."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, Self

from actors.app.history_place import history_stores, retention_of
from actors.app.recorder import Recorder
from actors.nodes.agent import Agent
from actors.nodes.message_dump import load_messages
from actors.nodes.model_run import ModelRun
from actors.runtime.background import current_system
from actors.runtime.start import StartOptions
from actors.storage.backlog import Backlog
from actors.storage.history import HistoryWriter, WriterStatistics
from actors.storage.history_actor import CLOSE_TIMEOUT, Flush, HistoryActor
from actors.storage.session import restore
from actors.supervision.child import ChildSpec
from actors.supervision.supervisor import Supervisor
from protocols.stores import StorageError

if TYPE_CHECKING:
    from types import TracebackType

    from actors.config.storage import StorageSpec
    from actors.pool.pool import AgentPool
    from actors.pool.root import AnyNode
    from actors.runtime.ref import ActorRef
    from protocols.history import StoredMessage
    from protocols.stores import HistoryStore

FLUSH_TIMEOUT: Final = 5.0
"""Seconds that a node which is added waits for what has been said to be written, before it reads."""
_log = logging.getLogger("understudy")


class _Line:
    """The way to one store: a backlog, a writer, and the actor between them."""

    def __init__(self, store: HistoryStore, spec: StorageSpec) -> None:
        # Most of the delay is for collecting: messages are made as late as can be, and many at once.
        self.store = store
        self.backlog = Backlog(batch=spec.batch_size)
        self.writer = HistoryWriter(store, batch=spec.batch_size, linger=spec.batch_delay / 10)
        self._delay = spec.batch_delay * 0.9
        self._retention = retention_of(spec)
        self.ref: ActorRef[HistoryActor] | None = None

    async def start(self, supervisor: ActorRef[Supervisor], name: str) -> None:
        """Start the actor."""
        arguments = (self.store, self.writer, self.backlog)
        options = {"delay": self._delay, "retention": self._retention}
        spec = ChildSpec(HistoryActor, args=arguments, kwargs=options, name=name, shutdown=2 * CLOSE_TIMEOUT)
        self.ref = await supervisor.proxy().start_child(spec)

    def statistics(self) -> WriterStatistics:
        """Return the numbers of backlog and writer together."""
        return self.writer.statistics().with_backlog(self.backlog)


class PoolHistory:
    """The history of a pool whose manifest has `storage`; without it, nothing.

    Entered before the nodes start, so that they find what they said in an earlier life, and left when they have ended,
    so that their last words are kept. Nodes that are added to the running pool are treated alike.
    """

    def __init__(self, pool: AgentPool[Any]) -> None:
        """Take the pool; nothing is opened yet."""
        self._pool = pool
        self._lines: tuple[_Line, ...] = ()
        self._recorders: dict[AnyNode, Recorder] = {}
        self._stack = AsyncExitStack()

    @property
    def stores(self) -> tuple[HistoryStore, ...]:
        """The open stores, in the order of the manifest; all hold the same, but for what one could not be given."""
        return tuple(line.store for line in self._lines)

    @property
    def store(self) -> HistoryStore | None:
        """The first store; None when nothing is kept."""
        return self.stores[0] if self._lines else None

    def statistics(self) -> dict[str, WriterStatistics]:
        """Return what became of the messages, by the location of the store."""
        return {line.store.location: line.statistics() for line in self._lines}

    async def flush(self) -> None:
        """Wait until everything that has been said is in all stores.

        Raises:
            AskTimeoutError: A store has failed for as long as an ask may take.
        """
        refs = [line.ref for line in self._lines if line.ref is not None]
        await asyncio.gather(*(ref.ask(Flush()) for ref in refs))

    async def __aenter__(self) -> Self:
        spec = self._pool.manifest.storage
        async with self._stack as stack:
            lines = [_Line(store, spec) for store in history_stores(self._pool.manifest)] if spec is not None else []
            for line in lines:
                await stack.enter_async_context(line.store)
            if lines:
                supervisor = self._supervisor()
                stack.push_async_callback(_stop, supervisor)
                for number, line in enumerate(lines, start=1):
                    await line.start(supervisor, f"store-{number}")
            self._lines = tuple(lines)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for recorder in self._recorders.values():
            recorder.stop()
        self._recorders, self._lines = {}, ()
        await self._stack.aclose()

    # -- the nodes of the pool ------------------------------------------------------------------------------------

    def joined(self, node: AnyNode) -> None:
        """Keep what a node says from now on."""
        is_helper = not self._pool.is_running and self._pool.get(node.name) is not node
        if not self._lines or is_helper or node in self._recorders:
            return
        recorder = self._recorders[node] = Recorder(node, tuple(line.backlog for line in self._lines))
        recorder.start()

    async def opening(self, node: AnyNode) -> None:
        """Give an agent the messages of the conversation that its session goes on with.

        Raises:
            StorageError: No store could be read.
        """
        recorder = self._recorders.get(node)
        if recorder is None:
            self._warn(node)
        elif isinstance(node, Agent):
            await self._restore(node, recorder)

    def left(self, node: AnyNode) -> None:
        """Listen to a node no more."""
        recorder = self._recorders.pop(node, None)
        if recorder is not None:
            recorder.stop()

    def _warn(self, node: AnyNode) -> None:
        if not self._lines and isinstance(node, Agent) and node.settings.query.is_restored:
            _log.warning("agent %r: nothing is stored that its session could go on with; add `storage`", node.name)

    async def _restore(self, agent: Agent[Any, Any], recorder: Recorder) -> None:
        session = agent.settings.query
        said = await self._read(agent) if session.is_restored else []
        if session.conversation is not None:
            recorder.conversation = session.conversation
        elif said:
            recorder.conversation = said[-1].conversation_id
        execution = agent.execution
        if not said or not isinstance(execution, ModelRun) or execution.history is None or agent.history:
            return
        try:
            messages = [one for each in said if each.payload is not None for one in load_messages(each.payload)]
        except ValueError as error:
            _log.warning("agent %r: the stored conversation cannot be read, it starts anew: %s", agent.name, error)
            return
        execution.history.replace(messages)

    async def _read(self, agent: Agent[Any, Any]) -> list[StoredMessage]:
        """Return what the first store knows that can be read and knows anything."""
        if self._pool.is_running:
            await self._flushed()
        problem: StorageError | None = None
        is_read = False
        for store in self.stores:
            try:
                said = await restore(store, agent.settings.query, node=agent.name)
            except StorageError as error:
                _log.warning("agent %r: its conversation cannot be read: %s", agent.name, error)
                problem = problem or error
            else:
                is_read = True
                if said:
                    return said
        if problem is not None and not is_read:
            raise problem
        return []

    async def _flushed(self) -> None:
        """Have what was said written, as far as that is possible now."""
        refs = [line.ref for line in self._lines if line.ref is not None]
        asks = [ref.ask(Flush(), timeout=FLUSH_TIMEOUT) for ref in refs]
        await asyncio.gather(*asks, return_exceptions=True)

    def _supervisor(self) -> ActorRef[Supervisor]:
        system = self._pool.system or current_system()
        return system.start(Supervisor, options=StartOptions("history", is_registered=False))


async def _stop(supervisor: ActorRef[Supervisor]) -> None:
    await asyncio.shield(supervisor.stop(block=False))
