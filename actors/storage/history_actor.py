"""The history actor: whatever is told to it is written in batches, and what is too old is removed now and then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec
import structlog

from actors.runtime.actor import AsyncioActor
from actors.runtime.mailbox import MailboxConfig
from actors.storage.history import HistoryWriter
from protocols.history import StoredMessage
from protocols.mailbox import Overflow
from protocols.stores import StorageError

if TYPE_CHECKING:
    from protocols.history import Retention
    from protocols.stores import HistoryStore

PRUNE_EVERY: Final = 3_600.0
"""Seconds between two looks for messages that are too old or too many."""
_log = structlog.get_logger(__name__)


class Remember(msgspec.Struct, frozen=True):
    """Tell it to keep a message; made only when its turn comes, so that whoever tells it need not wait for that."""

    make: Callable[[], StoredMessage]


class Flush(msgspec.Struct, frozen=True):
    """Ask it: is answered when everything that was told before is in the store."""


class _Prune(msgspec.Struct, frozen=True):
    pass


class HistoryActor(AsyncioActor):
    """Writes messages to an open store, beside the runs: telling it never waits, and never fails.

    Of more than 10,000 messages that wait, the oldest become dead letters. When it stops, it writes what waits.
    """

    mailbox: ClassVar[MailboxConfig | None] = MailboxConfig(capacity=10_000, overflow=Overflow.DROP_OLDEST)

    def __init__(
        self, store: HistoryStore, *, batch: int = 200, linger: float = 0.5, retention: Retention | None = None
    ) -> None:
        super().__init__()
        self._store = store
        self._retention = retention
        self.writer = HistoryWriter(store, batch=batch, linger=linger)

    async def on_start(self) -> None:
        """Begin to write."""
        await self.writer.open()
        if self._retention is not None:
            self.schedule(PRUNE_EVERY, _Prune(), interval=PRUNE_EVERY)
            self.actor_ref.tell(_Prune())

    async def on_receive(self, message: Any) -> None:
        """Take a message over, or do what is asked."""
        match message:
            case Remember():
                self._remember(message)
            case Flush():
                await self.writer.flush()
            case _Prune():
                await self._prune()
            case _:
                self.unhandled(message)

    async def on_stop(self) -> None:
        """Write what waits."""
        left = await self.writer.close()
        if left:
            _log.warning("history_lost", store=self._store.location, messages=left)

    def _remember(self, message: Remember) -> None:
        try:
            self.writer.offer(message.make())
        except Exception as error:  # one that cannot be kept does not keep others from being kept
            _log.warning("history_message_rejected", store=self._store.location, error=str(error))

    async def _prune(self) -> None:
        assert self._retention is not None
        try:
            async with asyncio.timeout(PRUNE_EVERY):
                await self._store.prune(self._retention)
        except (StorageError, OSError, TimeoutError) as error:
            _log.warning("history_not_pruned", store=self._store.location, error=str(error))
