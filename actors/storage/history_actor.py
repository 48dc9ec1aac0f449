"""The history actor: what nodes have said is made into messages and written in batches, beside the runs."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec

from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import ActorStoppingError, RuntimeClosedError

if TYPE_CHECKING:
    from actors.storage.backlog import Backlog
    from actors.storage.history import HistoryWriter
    from protocols.history import Retention
    from protocols.stores import HistoryStore

PRUNE_EVERY: Final = 3_600.0
"""Seconds between two looks for messages that are too old or too many."""
SLICE: Final = 50
"""Messages that are made at once, so that the event loop is never held up for long."""
CLOSE_TIMEOUT: Final = 5.0
"""Seconds in which what waits is written at the end."""
_log = logging.getLogger("understudy.history")


class Flush(msgspec.Struct, frozen=True):
    """Ask it: is answered when everything that was said before is in the store, or was given up."""


class _Waiting(msgspec.Struct, frozen=True):
    """There is something in the backlog."""


class _Collect(msgspec.Struct, frozen=True):
    """The time has come to take it."""


class _Prune(msgspec.Struct, frozen=True):
    pass


class HistoryActor(AsyncioActor):
    """Takes what waits in a backlog, after a delay or as soon as it is a batch, and hands it to the writer of a store.

    Backlog and writer belong to whoever made them, so that a crash of this actor loses nothing. When it stops, it
    writes what waits and closes the writer.
    """

    max_concurrency: ClassVar[int] = 8  # a flush may wait for a store that is down, and everything else goes on

    def __init__(
        self,
        store: HistoryStore,
        writer: HistoryWriter,
        backlog: Backlog,
        *,
        delay: float = 0.5,
        retention: Retention | None = None,
    ) -> None:
        super().__init__()
        self._store = store
        self._writer = writer
        self._backlog = backlog
        self._delay = delay
        self._retention = retention
        self._is_waiting = False

    async def on_start(self) -> None:
        """Begin to write, with what an earlier incarnation has left."""
        await self._writer.open()
        self._backlog.listen(self._wake)
        if len(self._backlog):
            self._wake()
        if self._retention is not None:
            self.schedule(PRUNE_EVERY, _Prune(), interval=PRUNE_EVERY)
            self.actor_ref.tell(_Prune())

    async def on_receive(self, message: Any) -> None:
        """Do what is asked."""
        match message:
            case _Waiting():
                self._wait()
            case _Collect():
                self._is_waiting = False
                await self._collect()
            case Flush():
                await self._collect()
                await self._writer.flush()
            case _Prune():
                await self._prune()
            case _:
                self.unhandled(message)

    async def on_stop(self) -> None:
        """Write what waits."""
        self._backlog.listen(None)
        await self._collect()
        left = await self._writer.close(CLOSE_TIMEOUT)
        if left:
            _log.warning(
                "history store %r: %d messages could not be written before the end", self._store.location, left
            )

    def _wake(self) -> None:
        try:
            self.actor_ref.tell(_Waiting())
        except (ActorStoppingError, RuntimeClosedError):  # given up by its supervisor: the backlog stays bounded
            self._backlog.listen(None)

    def _wait(self) -> None:
        if self._backlog.is_batch:
            self.actor_ref.tell(_Collect())
        elif not self._is_waiting:
            self._is_waiting = True
            self.schedule(self._delay, _Collect())

    async def _collect(self) -> None:
        while taken := self._backlog.take(SLICE):
            for make, subject, detail in taken:
                try:
                    message = make(subject, detail)
                except Exception as error:  # one that cannot be kept does not keep others from being kept
                    self._backlog.rejected += 1
                    _log.warning("history: a message is not kept: %s", error)
                else:
                    self._writer.offer(message)
            if len(self._backlog):
                await asyncio.sleep(0)

    async def _prune(self) -> None:
        assert self._retention is not None
        try:
            async with asyncio.timeout(PRUNE_EVERY):
                await self._store.prune(self._retention)
        except Exception as error:  # what is too old stays for an hour; nothing else depends on it
            text = str(error) or type(error).__name__
            _log.warning("history store %r: what is too old could not be removed: %s", self._store.location, text)
