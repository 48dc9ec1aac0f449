"""The history of a running pool: store what nodes say, and restore the memory of agents."""

import asyncio
import logging
import time
from collections.abc import Container
from contextlib import AsyncExitStack, suppress
from decimal import Decimal
from functools import partial
from typing import Any, Final, Self

from actors.agents.agent import Agent
from actors.agents.memory import load_messages
from actors.app.recorder import Recorder
from actors.app.store_paths import history_stores, retention_of
from actors.config.storage import StorageSpec
from actors.models.budget import Ledger, Usage, day_begins, ledger_of
from actors.nodes.base_team import BaseTeam
from actors.nodes.node import AnyNode
from actors.pool.registry import NodeRegistry
from actors.pool.services import PoolService
from actors.runtime.background_loop import current_system
from actors.runtime.options import StartOptions
from actors.runtime.ref import ActorRef
from actors.storage.history import HistoryWriter, WriterStatistics
from actors.storage.history_actor import CLOSE_TIMEOUT, Flush, HistoryActor
from actors.storage.session import restore, restored_conversation
from actors.supervision.child import ChildSpec
from actors.supervision.supervisor import Supervisor
from protocols.history import HistoryQuery, StoredMessage
from protocols.limits import MAX_LIMIT
from protocols.session import SessionQuery, conversation_of
from protocols.stores import HistoryStore, StorageError

FLUSH_TIMEOUT: Final = 5.0
"""Seconds that an added node waits for pending writes, before its session is read."""
_log = logging.getLogger("understage.history")


class HistoryService(PoolService):
    """The history of a pool whose manifest has `storage`; without `storage` it stores nothing.

    It is entered before the nodes start, so agents find their memory, and left after the nodes stop, so their last
    messages are stored. Nodes that are added to the running pool are treated alike.
    """

    def __init__(self, pool: NodeRegistry) -> None:
        self._pool = pool
        self.writers: tuple[HistoryWriter, ...] = ()
        """The writers of the stores, in the order of the manifest; empty when nothing is stored."""
        self._actors: list[ActorRef[HistoryActor]] = []
        self._recorders: dict[AnyNode, Recorder] = {}
        self._stack = AsyncExitStack()

    @property
    def stores(self) -> tuple[HistoryStore, ...]:
        """The open stores, in the order of the manifest. All hold the same messages, unless a store failed."""
        return tuple(writer.store for writer in self.writers)

    @property
    def store(self) -> HistoryStore | None:
        """The first store; None when nothing is stored."""
        return self.stores[0] if self.writers else None

    def statistics(self) -> dict[str, WriterStatistics]:
        """Return the numbers of messages, by the location of the store."""
        return {writer.store.location: writer.statistics() for writer in self.writers}

    async def flush(self, timeout: float | None = None) -> None:
        """Wait until all stores have everything that was said.

        Args:
            timeout: seconds; None to wait without limit.

        Raises:
            AskTimeoutError: a store failed for so long. The other stores have everything.
        """
        waiting = (actor.ask(Flush(), timeout=timeout) for actor in self._actors)
        for result in await asyncio.gather(*waiting, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def __aenter__(self) -> Self:
        spec, stores = self._pool.manifest.storage, history_stores(self._pool.manifest)
        async with self._stack as stack:
            writers = [await self._open(store, spec, stack) for store in stores if spec is not None]
            if spec is not None and writers:
                await self._start(writers, spec, stack)
            self.writers = tuple(writers)
            await self._restore_day(self._pool.ledger)
            self._stack = stack.pop_all()
        return self

    async def _open(self, store: HistoryStore, spec: StorageSpec, stack: AsyncExitStack) -> HistoryWriter:
        await stack.enter_async_context(store)
        writer = HistoryWriter(store, batch=spec.batch_size, linger=spec.batch_delay)
        stack.push_async_callback(writer.close)  # its actor has closed it, unless its supervisor gave the actor up
        return writer

    async def _start(self, writers: list[HistoryWriter], spec: StorageSpec, stack: AsyncExitStack) -> None:
        system = self._pool.system or current_system()
        supervisor = system.start(Supervisor, options=StartOptions("history", is_registered=False))
        stack.push_async_callback(_stop, supervisor)
        options = {"retention": retention_of(spec)}
        for number, writer in enumerate(writers, start=1):
            child = ChildSpec(
                HistoryActor, args=(writer,), kwargs=options, name=f"store-{number}", shutdown=2 * CLOSE_TIMEOUT
            )
            self._actors.append(await supervisor.proxy().start_child(child))

    async def __aexit__(self, *_exc: object) -> None:
        for recorder in self._recorders.values():
            recorder.stop()
        self._recorders, self._actors, self.writers = {}, [], ()
        await self._stack.aclose()

    # -- the nodes of the pool ------------------------------------------------------------------------------------

    def joined(self, node: AnyNode) -> None:
        """Record the messages of a node of the pool, but not those of helper nodes of connections."""
        if self.writers and node.name in self._pool and node not in self._recorders:
            self._recorders[node] = Recorder(node, self.writers)

    async def opening(self, node: AnyNode) -> None:
        """Give an agent the messages of the conversation that its session continues.

        Raises:
            StorageError: no store could be read.
        """
        recorder = self._recorders.get(node)
        await self._restore_day(ledger_of(node), _names(node))
        if not isinstance(node, Agent):
            return
        if recorder is not None:
            if node.execution.sessions is not None:
                node.execution.sessions.load = partial(self._load, node)
            await self._restore(node, recorder)
        elif not self.writers and node.settings.query.is_restored:
            _log.warning("agent %r: nothing is stored that its session could go on with; add `storage`", node.name)

    def left(self, node: AnyNode) -> None:
        """Record the messages of a node no more."""
        recorder = self._recorders.pop(node, None)
        if recorder is not None:
            recorder.stop()

    async def _restore(self, agent: Agent[Any, Any], recorder: Recorder) -> None:
        conversation, said = await self._read(agent, agent.settings.query)
        if conversation is not None or not agent.history:  # without memory it begins anew
            recorder.begin_conversation(conversation)
        sessions = agent.execution.sessions
        if said and sessions is not None and not agent.history:
            sessions.own.replace(_messages(agent, said))

    async def _load(self, agent: Agent[Any, Any], session: str) -> list[Any]:
        """Return what is stored of a session of an agent."""
        limit = min(agent.settings.history_limit, MAX_LIMIT)
        query = SessionQuery(is_restored=True, conversation=conversation_of(agent.name, session), limit=limit)
        _, said = await self._read(agent, query)
        await self._restore_day(ledger_of(agent, session), {agent.name}, query.conversation)
        lifetime = agent.settings.session_ttl
        is_over = lifetime is not None and bool(said) and said[-1].created < time.time() - lifetime
        return [] if is_over else _messages(agent, said)

    async def _restore_day(
        self, ledger: Ledger | None, nodes: Container[str] | None = None, conversation: str | None = None
    ) -> None:
        """Count in a budget per day what is stored of this day: answers of some nodes, and of one conversation."""
        if ledger is None or ledger.budget.per is None or self.store is None:
            return
        query = HistoryQuery(role="assistant", conversation=conversation, since=day_begins(), limit=MAX_LIMIT)
        spent = Usage()
        for one in await self.store.stats(query, group_by="agent"):
            if one.tokens and (nodes is None or one.key in nodes):  # a team's own answer has taken nothing
                spent.add(Usage(one.tokens, Decimal(str(one.cost)), one.messages))
        ledger.restore(spent)

    async def forget(self, session: str) -> int:
        """Delete what is stored of a session.

        Raises:
            StorageError: a store failed. The others have deleted it.
        """
        with suppress(Exception):  # what cannot be written now, is not there to delete
            await self.flush(FLUSH_TIMEOUT)
        done = await asyncio.gather(*(store.forget(session) for store in self.stores), return_exceptions=True)
        for error in done:
            if isinstance(error, BaseException):
                raise error
        return max((number for number in done if isinstance(number, int)), default=0)

    async def _read(self, agent: Agent[Any, Any], session: SessionQuery) -> tuple[str | None, list[StoredMessage]]:
        """Return the conversation, and its messages in the first readable store that has any."""
        conversation = session.conversation
        if not session.is_restored:
            return conversation, []
        if self._pool.is_open:
            with suppress(Exception):  # messages that cannot be written now are not there to read
                await self.flush(FLUSH_TIMEOUT)
        problems: list[StorageError] = []
        for store in self.stores:
            try:
                found = await restored_conversation(store, session, node=agent.name)
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


def _names(node: AnyNode) -> set[str]:
    """Return the names of a node and of all its members."""
    members = node.members() if isinstance(node, BaseTeam) else ()
    return {node.name}.union(*map(_names, members))


def _messages(agent: Agent[Any, Any], said: list[StoredMessage]) -> list[Any]:
    """Return the messages of the model in a conversation. None, with a warning, if they cannot be read."""
    try:
        return [one for each in said if each.payload is not None for one in load_messages(each.payload)]
    except ValueError as error:
        _log.warning("agent %r: the stored conversation cannot be read, it starts anew: %s", agent.name, error)
        return []


async def _stop(supervisor: ActorRef[Supervisor]) -> None:
    await asyncio.shield(supervisor.stop(block=False))
