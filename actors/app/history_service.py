"""The history of a running pool: what its nodes say is kept, and agents go on where they stopped."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, Self

from actors.agents.agent import Agent
from actors.agents.memory import load_messages
from actors.app.history_feed import HistoryFeed
from actors.app.recorder import Recorder
from actors.app.store_paths import history_stores, retention_of
from actors.pool.services import PoolService, PoolView
from actors.runtime.background_loop import current_system
from actors.runtime.options import StartOptions
from actors.storage.session import conversation_of, restore
from actors.supervision.supervisor import Supervisor
from protocols.stores import StorageError

if TYPE_CHECKING:
    from actors.nodes.node import AnyNode
    from actors.runtime.ref import ActorRef
    from actors.storage.history import WriterStatistics
    from protocols.history import StoredMessage
    from protocols.stores import HistoryStore

FLUSH_TIMEOUT: Final = 5.0
"""Seconds that a node which is added waits for what has been said to be written, before it reads."""
_log = logging.getLogger("understudy.history")


class HistoryService(PoolService):
    """The history of a pool whose manifest has `storage`; without it, nothing.

    Entered before the nodes start, so that they find what they said in an earlier life, and left when they have ended,
    so that their last words are kept. Nodes that are added to the running pool are treated alike.
    """

    def __init__(self, pool: PoolView) -> None:
        """Take the pool; nothing is opened yet."""
        self._pool = pool
        self.feeds: tuple[HistoryFeed, ...] = ()
        """The ways to the stores, in the order of the manifest; none when nothing is kept."""
        self._recorders: dict[AnyNode, Recorder] = {}
        self._stack = AsyncExitStack()

    @property
    def stores(self) -> tuple[HistoryStore, ...]:
        """The open stores, in the order of the manifest; all hold the same, but for what one could not be given."""
        return tuple(feed.store for feed in self.feeds)

    @property
    def store(self) -> HistoryStore | None:
        """The first store; None when nothing is kept."""
        return self.stores[0] if self.feeds else None

    def statistics(self) -> dict[str, WriterStatistics]:
        """Return what became of the messages, by the location of the store."""
        return {feed.store.location: feed.statistics() for feed in self.feeds}

    async def flush(self) -> None:
        """Wait until everything that has been said is in all stores, for as long as it takes."""
        await asyncio.gather(*(feed.flush() for feed in self.feeds))

    async def __aenter__(self) -> Self:
        async with self._stack as stack:
            feeds = [await self._open(store, stack) for store in history_stores(self._pool.manifest)]
            if feeds:
                supervisor = self._supervisor()
                stack.push_async_callback(_stop, supervisor)
                for number, feed in enumerate(feeds, start=1):
                    await feed.start(supervisor, f"store-{number}")
            self.feeds = tuple(feeds)
            self._stack = stack.pop_all()
        return self

    async def _open(self, store: HistoryStore, stack: AsyncExitStack) -> HistoryFeed:
        spec = self._pool.manifest.storage
        assert spec is not None
        await stack.enter_async_context(store)
        return HistoryFeed(
            store, batch_size=spec.batch_size, batch_delay=spec.batch_delay, retention=retention_of(spec)
        )

    async def __aexit__(self, *_exc: object) -> None:
        for recorder in self._recorders.values():
            recorder.stop()
        self._recorders, self.feeds = {}, ()
        await self._stack.aclose()

    # -- the nodes of the pool ------------------------------------------------------------------------------------

    def joined(self, node: AnyNode) -> None:
        """Keep what a node says from now on."""
        is_helper = node.name not in self._pool
        if not self.feeds or is_helper or node in self._recorders:
            return
        recorder = self._recorders[node] = Recorder(node, tuple(feed.backlog for feed in self.feeds))
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
        if not self.feeds and isinstance(node, Agent) and node.settings.query.is_restored:
            _log.warning("agent %r: nothing is stored that its session could go on with; add `storage`", node.name)

    async def _restore(self, agent: Agent[Any, Any], recorder: Recorder) -> None:
        conversation, said = await self._read(agent)
        if conversation is not None or not agent.history:  # without memory it begins anew
            recorder.begin_conversation(conversation)
        memory = agent.execution.memory
        if not said or memory is None or agent.history:
            return
        try:
            messages = [one for each in said if each.payload is not None for one in load_messages(each.payload)]
        except ValueError as error:
            _log.warning("agent %r: the stored conversation cannot be read, it starts anew: %s", agent.name, error)
            return
        memory.replace(messages)

    async def _read(self, agent: Agent[Any, Any]) -> tuple[str | None, list[StoredMessage]]:
        """Return the conversation, and what the first store knows of it that can be read and knows anything."""
        session = agent.settings.query
        conversation = session.conversation
        if not session.is_restored:
            return conversation, []
        if self._pool.is_running:
            waiting = (feed.flush(FLUSH_TIMEOUT) for feed in self.feeds)
            await asyncio.gather(*waiting, return_exceptions=True)  # what cannot be written now is not there to read
        problems: list[StorageError] = []
        for store in self.stores:
            try:
                found = await conversation_of(store, session, node=agent.name)
                said = await restore(store, session, node=agent.name)
            except StorageError as error:
                _log.warning("agent %r: its conversation cannot be read: %s", agent.name, error)
                problems.append(error)
            else:
                conversation = conversation or found
                if said:
                    return conversation, said
        if len(problems) == len(self.stores):
            raise problems[0]
        return conversation, []

    def _supervisor(self) -> ActorRef[Supervisor]:
        system = self._pool.system or current_system()
        return system.start(Supervisor, options=StartOptions("history", is_registered=False))


async def _stop(supervisor: ActorRef[Supervisor]) -> None:
    await asyncio.shield(supervisor.stop(block=False))
