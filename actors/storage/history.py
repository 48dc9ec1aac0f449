"""Writing history in batches, off the run path: a run hands its messages over and never waits for a database."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import msgspec

from actors.runtime.clock import LoopClock
from actors.storage.message_buffer import DropReason, MessageBuffer
from protocols.stores import HistoryStore, StorageError, StoreRejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from actors.storage.backlog import Backlog
    from protocols.clock import Clock
    from protocols.history import StoredMessage

FIRST_RETRY = 0.2
LAST_RETRY = 30.0
"""Seconds between attempts while the store fails: doubled from the first to the last value."""

_log = logging.getLogger("understudy.history")


class WriterStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot of a `HistoryWriter`; always ``accepted == stored + dropped + rejected + waiting``."""

    accepted: int
    stored: int
    dropped: int
    """Gave way to newer ones in a full buffer, or were left when the writer was closed."""
    rejected: int
    """The store works but would not take them."""
    waiting: int
    """In the buffer or just being written."""
    failures: int
    """Attempts that failed because the store was unavailable."""
    last_error: str | None
    """What the store said last; None while it works."""

    def with_backlog(self, backlog: Backlog) -> WriterStatistics:
        """Return the numbers with those of the backlog that the writer is fed from."""
        waiting = len(backlog)
        return msgspec.structs.replace(
            self,
            accepted=self.accepted + backlog.dropped + backlog.rejected + waiting,
            dropped=self.dropped + backlog.dropped,
            rejected=self.rejected + backlog.rejected,
            waiting=self.waiting + waiting,
        )


class HistoryWriter:
    """Buffer messages and append them to a store in batches, through failures of the store.

    At most `capacity` messages (and 64 MiB of them) wait, besides the batch being written; when there are more, the
    oldest are dropped, counted and given to `on_dropped`. While the store fails, the batch is tried again with a
    growing delay; appending is idempotent, so an attempt with an unknown outcome is simply repeated. A message that
    the store rejects is separated from its batch and dropped alone.

    Example:
        >>> from actors.storage import MemoryHistoryStore
        >>> async def example(message: StoredMessage) -> None:
        ...     async with MemoryHistoryStore() as store, HistoryWriter(store) as writer:
        ...         writer.offer(message)
        ...         await writer.flush()

    Args:
        store: Where to append; whoever made it opens and closes it.
        capacity: Messages that may wait.
        batch: Messages that are written at once, at most.
        linger: Seconds to wait for a batch to fill.
        clock: Gives the delays; the real one when None.
        on_dropped: Told of each message that does not reach the store. Must not wait.

    Raises:
        ValueError: A capacity or batch below 1, or a negative linger.
    """

    def __init__(
        self,
        store: HistoryStore,
        *,
        capacity: int = 10_000,
        batch: int = 500,
        linger: float = 0.05,
        clock: Clock | None = None,
        on_dropped: Callable[[StoredMessage, DropReason], object] | None = None,
    ) -> None:
        if capacity < 1 or batch < 1 or not linger >= 0:
            msg = f"capacity and batch must be 1 or more, linger 0 or more, not {capacity!r}, {batch!r}, {linger!r}"
            raise ValueError(msg)
        self._store = store
        self._batch, self._linger = batch, linger
        self._clock = clock
        self._buffer = MessageBuffer(capacity, self._note_dropped)
        self._on_dropped = on_dropped
        self._lost = 0
        """Messages that found no room since the store worked last."""
        self._failures = 0
        self._last_error: str | None = None
        self._delay = FIRST_RETRY
        self._flushes: list[tuple[int, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False
        self._work = asyncio.Event()
        """There is something to write, or the end has come."""
        self._hurry = asyncio.Event()
        """Do not linger."""
        self._retry = asyncio.Event()
        """Do not wait for the next attempt."""

    async def open(self) -> None:
        """Start writing; does nothing when open. What was offered before is written now.

        Raises:
            StorageError: It has been closed.
        """
        if self._is_closed:
            msg = "the history writer is closed; make a new one"
            raise StorageError(msg, location=self._store.location)
        if self._task is None:
            loop = asyncio.get_running_loop()
            self._task = loop.create_task(self._write_all(self._clock or LoopClock(loop)), name="history-writer")

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        await self.close()

    def offer(self, message: StoredMessage) -> bool:
        """Take a message over; return whether it was accepted. Never waits and never raises; loop thread only.

        It is refused after `close` and when it alone is larger than the whole buffer.
        """
        if self._is_closed:
            self._buffer.tell_dropped(message, "closed")
            return False
        is_accepted = self._buffer.add(message)
        self._work.set()
        if self._is_batch_full():
            self._hurry.set()
        return is_accepted

    async def flush(self) -> None:
        """Wait until all that was accepted so far is in the store (or was dropped, which the statistics tell).

        Tries at once when the store was failing, and waits for as long as it fails: bound it with `asyncio.timeout`.

        Raises:
            StorageError: The writer is not open.
        """
        if not self._buffer.waiting:
            return
        if self._task is None or self._task.done():
            msg = "the history writer is not open; use `async with HistoryWriter(store):`"
            raise StorageError(msg, location=self._store.location)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (self._buffer.accepted, done)
        self._flushes.append(entry)
        self._press()
        try:
            await done
        finally:
            self._flushes.remove(entry)

    async def close(self, timeout: float = 5.0) -> int:
        """Take no more messages, write those that wait for at most `timeout` seconds; return how many were left.

        Those left are dropped with reason ``closed``. Closing again does nothing and returns 0.
        """
        self._is_closed = True
        task, self._task = self._task, None
        try:
            if task is not None:
                self._work.set()
                self._press()
                await self._join(task, timeout)
        finally:  # also when close itself is cancelled
            left = self._buffer.drop_all()
            self._report_settled()
        return left

    def statistics(self) -> WriterStatistics:
        """Return a snapshot of the counters."""
        return WriterStatistics(
            accepted=self._buffer.accepted,
            stored=self._buffer.stored,
            dropped=self._buffer.dropped,
            rejected=self._buffer.rejected,
            waiting=self._buffer.waiting,
            failures=self._failures,
            last_error=self._last_error,
        )

    async def _join(self, task: asyncio.Task[None], timeout: float) -> None:
        clock = self._clock or LoopClock(asyncio.get_running_loop())
        timer = clock.call_later(timeout, task.cancel)
        try:
            await asyncio.wait({task})
        finally:
            timer.cancel()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _write_all(self, clock: Clock | LoopClock) -> None:
        while True:
            await self._work.wait()
            if self._buffer.depth:
                if not (self._flushes or self._is_closed or self._is_batch_full()):
                    await _pause(clock, self._linger, self._hurry)
                await self._write_batch(clock)
            elif self._is_closed:
                return
            else:
                self._work.clear()

    async def _write_batch(self, clock: Clock | LoopClock) -> None:
        self._hurry.clear()
        self._retry.clear()  # a wish to try at once is fulfilled by this attempt
        try:
            await self._append(self._buffer.take(self._batch))
        except (StorageError, OSError) as error:
            self._buffer.put_back()
            delay = self._note_failure(error)
            self._report_settled()
            await _pause(clock, delay, self._retry)
        else:
            self._note_success()
            self._report_settled()

    async def _append(self, batch: Sequence[StoredMessage]) -> None:
        """Append the batch, the oldest of what is in hand; halve it until a message that is rejected is alone."""
        try:
            await self._store.append(batch)
        except Exception as error:
            if isinstance(error, (StorageError, OSError)) and not isinstance(error, StoreRejectedError):
                raise
            if len(batch) == 1:
                message = self._buffer.reject()
                _log.warning("history: message %s of %r is not kept: %s", message.id, message.node, error)
                return
            middle = len(batch) // 2
            await self._append(batch[:middle])
            await self._append(batch[middle:])
        else:
            self._buffer.note_stored(len(batch))

    def _note_failure(self, error: Exception) -> float:
        """Count the failure and return the delay before the next attempt."""
        self._failures += 1
        if self._last_error is None:
            _log.warning("history is kept waiting, and no run: %s", error)
        self._last_error = str(error) or type(error).__name__
        delay, self._delay = self._delay, min(self._delay * 2, LAST_RETRY)
        return delay

    def _note_success(self) -> None:
        if self._last_error is not None:
            place, lost = self._store.location, self._lost
            _log.warning("history store %r works again; %d messages had found no room", place, lost)
        self._last_error, self._delay, self._lost = None, FIRST_RETRY, 0

    def _note_dropped(self, message: StoredMessage, reason: DropReason) -> None:
        if reason == "overflow":
            self._lost += 1
            if self._lost == 1:
                place, room = self._store.location, self._buffer.capacity
                _log.warning("history store %r: no room for more than %d messages; the oldest are lost", place, room)
        if self._on_dropped is not None:
            self._on_dropped(message, reason)

    def _is_batch_full(self) -> bool:
        return self._buffer.depth >= self._batch or self._buffer.has_full_batch

    def _press(self) -> None:
        self._hurry.set()
        self._retry.set()

    def _report_settled(self) -> None:
        """Wake the flushes whose messages are settled; nothing is in hand now, so the waiting ones are the newest."""
        for target, done in self._flushes:
            if self._buffer.settled >= target and not done.done():
                done.set_result(None)


async def _pause(clock: Clock | LoopClock, delay: float, event: asyncio.Event) -> None:
    timer = clock.call_later(delay, event.set)
    try:
        await event.wait()
    finally:
        timer.cancel()
        event.clear()
