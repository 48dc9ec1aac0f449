"""The history of a running pool: what its nodes say is kept, and agents go on where they stopped."""

from __future__ import annotations

import asyncio
import logging
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from actors.nodes.agent import Agent
from actors.nodes.message_dump import dump_messages, load_messages
from actors.nodes.model_run import ModelRun
from actors.nodes.request import RunRequest
from actors.runtime.background import current_system
from actors.runtime.envelope import current
from actors.runtime.start import StartOptions
from actors.storage.history_actor import Flush, HistoryActor, Remember
from actors.storage.location import open_store
from actors.storage.session import restore
from protocols.history import Retention, StoredMessage
from protocols.ids import new_id

if TYPE_CHECKING:
    from types import TracebackType

    from actors.config.manifest import Manifest
    from actors.config.storage import StorageSpec, StoreSpec
    from actors.pool.pool import AgentPool
    from actors.pool.root import AnyNode
    from actors.runtime.ref import ActorRef
    from protocols.messages import ChatMessage
    from protocols.stores import HistoryStore

_log = logging.getLogger("understudy")


def history_store(manifest: Manifest) -> HistoryStore | None:
    """Return the store of a manifest, not yet open; None if nothing is to be kept.

    Raises:
        StorageExtraError: a library is missing.
        StorageError: there is no such store.
    """
    spec = manifest.storage
    return None if spec is None or not spec.log_messages else open_store(_target(spec.providers[0], manifest.root))


def _target(spec: StoreSpec, root: Path | None) -> str | Path:
    if spec.type == "memory":
        return "memory"
    if spec.url is not None:
        return spec.url.get_secret_value()
    if spec.path is not None:
        return (root or Path()) / spec.path
    return _data_folder() / "history.db"


def _data_folder() -> Path:
    given = os.environ.get("XDG_DATA_HOME")
    return (Path(given) if given else Path.home() / ".local" / "share") / "understudy"


def retention_of(spec: StorageSpec) -> Retention | None:
    """Return what the store may keep; None for everything."""
    limits = spec.retention
    if limits.max_age is None and limits.max_messages is None:
        return None
    return Retention(max_age=limits.max_age, max_per_conversation=limits.max_messages)


class PoolHistory:
    """The history of a pool whose manifest has `storage`; without it, nothing.

    Entered before the nodes start, so that they find what they said in an earlier life, and left when they have ended,
    so that their last words are kept.
    """

    def __init__(self, pool: AgentPool[Any]) -> None:
        """Take the pool; nothing is opened yet."""
        self.store: HistoryStore | None = None
        """The open store; None when nothing is kept."""
        self._pool = pool
        self._ref: ActorRef[HistoryActor] | None = None
        self._conversations: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        spec, store = self._pool.manifest.storage, history_store(self._pool.manifest)
        if spec is None or store is None:
            return self
        await store.open()
        self.store = store
        try:
            await asyncio.gather(*(self._restore(agent, store) for agent in self._pool.agents.values()))
        except BaseException:
            await store.close()
            raise
        options = {"batch": spec.batch_size, "linger": spec.batch_delay, "retention": retention_of(spec)}
        system = self._pool.system or current_system()
        self._ref = system.start(HistoryActor, (store,), options, options=StartOptions("history", is_registered=False))
        for node in self._pool.nodes.values():
            if not isinstance(node, Agent) or node.settings.query.is_enabled:
                node.message_received.connect(partial(self._note, node))
                node.message_sent.connect(partial(self._note, node))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        ref, store = self._ref, self.store
        self._ref = self.store = None
        try:
            if ref is not None:
                await asyncio.shield(ref.stop(block=False))
        finally:
            if store is not None:
                await store.close()

    async def flush(self) -> None:
        """Wait until everything that has been said is in the store."""
        if self._ref is not None:
            await self._ref.ask(Flush())

    async def _restore(self, agent: Agent[Any, Any], store: HistoryStore) -> None:
        """Give an agent the messages of the conversation that its session goes on with."""
        session = agent.settings.query
        said = await restore(store, session, node=agent.name)
        name = session.conversation or (said[-1].conversation_id if said else f"{agent.name}-{new_id()}")
        self._conversations[agent.name] = name
        execution = agent.execution
        if not said or not isinstance(execution, ModelRun) or execution.history is None:
            return
        try:
            messages = [one for each in said if each.payload is not None for one in load_messages(each.payload)]
        except ValueError as error:
            _log.warning("agent %r: the stored conversation %r cannot be read: %s", agent.name, name, error)
            return
        execution.history.replace(messages)

    def _note(self, node: AnyNode, message: ChatMessage[Any]) -> None:
        ref, envelope = self._ref, current.get()
        if ref is None:
            return
        request = envelope.message if envelope is not None else None
        run_id = request.run_id if isinstance(request, RunRequest) else new_id()
        is_memory = isinstance(request, RunRequest) and request.options.store_history is not False
        conversation = self._conversations.get(node.name) if is_memory else None
        ref.tell(Remember(partial(stored, node.name, message, run_id, conversation)))


def stored(node: str, message: ChatMessage[Any], run_id: str, conversation: str | None) -> StoredMessage:
    """Return a message as history keeps it.

    Args:
        node: who received or wrote it.
        message: the message.
        run_id: the run in which that happened.
        conversation: what the node remembers it as a part of; None when it does not remember it.
    """
    flow = message.conversation_id or run_id
    is_answer = message.role == "assistant"
    usage, cost = message.usage, message.cost_info
    return StoredMessage(
        id=message.message_id if is_answer else f"{run_id}-asked",
        conversation_id=conversation or flow,
        run_id=run_id,
        node=node,
        role=message.role,
        content=message.text,
        model=message.model_name,
        tokens=usage.total_tokens,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cost=float(cost.total_cost) if cost is not None and cost.cost_known else None,
        created=message.timestamp.timestamp(),
        payload=dump_messages(message.messages) if conversation and is_answer and message.messages else None,
        metadata={**message.metadata, "flow": flow},
    )
