"""The history actor: runs the writer of one store, and prunes the store."""

import asyncio
import logging
from typing import Any, ClassVar, Final

import msgspec

from actors.runtime.actor import AsyncioActor
from actors.storage.history import HistoryWriter
from protocols.history import Retention

PRUNE_EVERY: Final = 3_600.0
"""Seconds between two searches for messages that are too old or too many."""
CLOSE_TIMEOUT: Final = 5.0
"""Seconds for writing the waiting messages at the end."""
_log = logging.getLogger("understage.history")


class Flush(msgspec.Struct, frozen=True):
    """Ask the actor to write; the reply arrives when every message put before is stored or dropped."""


class _Prune(msgspec.Struct, frozen=True):
    pass


class HistoryActor(AsyncioActor):
    """Open a writer at the start, flush it on request, and close it at the end.

    The writer belongs to the caller, so a crash of the actor loses nothing.

    Args:
        writer: a writer that is not open yet.
        retention: what the store may keep; None for everything.
    """

    max_concurrency: ClassVar[int] = 8  # a flush may wait for a store that is down, while other messages are handled

    def __init__(self, writer: HistoryWriter, *, retention: Retention | None = None) -> None:
        super().__init__()
        self._writer = writer
        self._retention = retention

    async def on_start(self) -> None:
        """Start writing, and prune at once and every hour."""
        await self._writer.open()
        if self._retention is not None:
            self.schedule(PRUNE_EVERY, _Prune(), interval=PRUNE_EVERY)
            self.actor_ref.tell(_Prune())

    async def on_receive(self, message: Any) -> None:
        """Flush or prune."""
        match message:
            case Flush():
                await self._writer.flush()
            case _Prune() if self._retention is not None:
                await self._prune(self._retention)
            case _:
                self.unhandled(message)

    async def on_stop(self) -> None:
        """Write the waiting messages and close the writer."""
        left = await self._writer.close(CLOSE_TIMEOUT)
        if left:
            location = self._writer.store.location
            _log.warning("history store %r: %d messages could not be written before the end", location, left)

    async def _prune(self, retention: Retention) -> None:
        try:
            async with asyncio.timeout(PRUNE_EVERY):
                await self._writer.store.prune(retention)
        except Exception as error:  # old messages stay for an hour; nothing depends on it
            location, text = self._writer.store.location, str(error) or type(error).__name__
            _log.warning("history store %r: what is too old could not be removed: %s", location, text)
