"""Write history in batches: a run hands its messages over and never waits for a database."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Self

import msgspec

from actors.runtime.clock import LoopClock
from actors.storage.message_buffer import DropReason, MessageBuffer
from protocols.clock import Clock, pause
from protocols.errors import error_text
from protocols.history import StoredMessage
from protocols.stores import HistoryStore, StorageError, StoreRejectedError

Unmade = tuple[Callable[[Any, Any], StoredMessage], Any, Any]
"""A function that makes a message, and its two arguments."""
FIRST_RETRY: Final = 0.2
LAST_RETRY: Final = 30.0
"""Seconds between attempts while the store fails: doubled from the first to the last value."""
SLICE: Final = 50
"""Messages that are made without a break, to keep the event loop responsive."""

_log = logging.getLogger("understage.history")


class WriterStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot of a `HistoryWriter`; always ``accepted == stored + dropped + rejected + waiting``."""

    accepted: int
    stored: int
    dropped: int
    """Gave way to newer messages in a full buffer, or were left when the writer was closed."""
    rejected: int
    """Could not be made, or the store refused them."""
    waiting: int
    """Not yet written, including those that are just being written."""
    failures: int
    """Attempts that failed because the store was unavailable."""
    last_error: str | None
    """Last error of the store; None while the store works."""


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
        store: where to append; the caller opens and closes the store.
        capacity: messages that may wait.
        batch: messages that are written at once, at most.
        linger: seconds to wait for a batch to fill.
        clock: gives the delays; the real clock when None.
        on_dropped: called with each message that does not reach the store. Must not wait.

    Raises:
        ValueError: a capacity or batch below 1, or a negative linger.
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
            message = f"capacity and batch must be 1 or more, linger 0 or more, not {capacity!r}, {batch!r}, {linger!r}"
            raise ValueError(message)
        self.store = store
        self.batch = batch
        self.linger = linger
        self._clock = clock
        self._buffer = MessageBuffer(capacity, self._note_dropped)
        self._on_dropped = on_dropped
        self._unmade: deque[Unmade] = deque()
        self._wake_at = 1
        """Number of unmade messages at which `put` has more to do than to append."""
        self._unmade_dropped = self._unmade_rejected = 0
        self._lost = 0
        """Messages that found no room since the store worked last."""
        self._failures = 0
        self._last_error: str | None = None
        self._delay = FIRST_RETRY
        self._flushes: list[tuple[int, asyncio.Future[None]]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False
        self._work = asyncio.Event()
        """Set when a message waits, or at the end."""
        self._hurry = asyncio.Event()
        """Set to end the linger, or the delay before the next attempt."""

    async def open(self) -> None:
        """Start writing, beginning with what was offered before; does nothing when open.

        Raises:
            StorageError: the writer has been closed.
        """
        if self._is_closed:
            raise StorageError("the history writer is closed; make a new one", location=self.store.location)
        if self._task is None:
            self._loop = loop = asyncio.get_running_loop()
            self._task = loop.create_task(self._write_all(self._clock or LoopClock(loop)), name="history-writer")
            self._work.set()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()

    def put(self, message: Unmade) -> None:
        """Accept a message that is made later. Never waits and never raises; safe in every thread.

        A run pays one append for its history. When `capacity` unmade messages wait, the oldest is dropped.
        """
        unmade = self._unmade
        unmade.append(message)
        if len(unmade) >= self._wake_at:
            self._wake(len(unmade))

    def offer(self, message: StoredMessage) -> bool:
        """Accept a message; return True if it was accepted. Never waits and never raises; loop thread only.

        A message is refused after `close`, and when it alone is larger than the whole buffer.
        """
        if self._is_closed:
            self._buffer.tell_dropped(message, "closed")
            return False
        is_accepted = self._buffer.add(message)
        self._arrived()
        return is_accepted

    async def flush(self) -> None:
        """Wait until all that was accepted so far is in the store (or was dropped, which the statistics tell).

        Tries at once when the store was failing, and waits for as long as it fails: bound it with `asyncio.timeout`.

        Raises:
            StorageError: the writer is not open.
        """
        if not self._buffer.waiting and not self._unmade:
            return
        if self._task is None or self._task.done():
            message = "the history writer is not open; use `async with HistoryWriter(store):`"
            raise StorageError(message, location=self.store.location)
        await self._make_all()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (self._buffer.accepted, done)
        self._flushes.append(entry)
        self._press()
        self._report_settled()
        try:
            await done
        finally:
            self._flushes.remove(entry)

    async def close(self, timeout: float = 5.0) -> int:
        """Accept no more messages, and write those that wait for at most `timeout` seconds.

        Closing again does nothing and returns 0.

        Returns:
            How many messages were left. They are dropped with reason ``closed``.
        """
        task, self._task = self._task, None
        try:
            await self._make_all()
            self._is_closed = True
            if task is not None:
                self._press()
                await self._join(task, timeout)
        finally:  # also when close itself is cancelled
            self._is_closed = True
            self._unmade_dropped += (unmade := len(self._unmade))
            self._unmade.clear()
            left = unmade + self._buffer.drop_all()
            self._report_settled()
        return left

    def statistics(self) -> WriterStatistics:
        """Return a snapshot of the counters."""
        buffer, unmade = self._buffer, len(self._unmade)
        return WriterStatistics(
            accepted=buffer.accepted + self._unmade_dropped + self._unmade_rejected + unmade,
            stored=buffer.stored,
            dropped=buffer.dropped + self._unmade_dropped,
            rejected=buffer.rejected + self._unmade_rejected,
            waiting=buffer.waiting + unmade,
            failures=self._failures,
            last_error=self._last_error,
        )

    # -- unmade messages ------------------------------------------------------------------------------------------

    def _wake(self, count: int) -> None:
        """Start the linger at the first unmade message, and make messages when a batch of them waits."""
        if count > self._buffer.capacity:
            with suppress(IndexError):  # another thread took it
                self._unmade.popleft()
                self._unmade_dropped += 1
            return
        batch = min(self.batch, self._buffer.capacity)
        is_batch = count >= batch
        self._wake_at = self._buffer.capacity + 1 if is_batch else batch
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: nothing is written any more
                self._loop.call_soon_threadsafe(self._make_batch if is_batch else self._work.set)

    def _make_batch(self) -> None:
        """Make all unmade messages, also while the store does not answer: only made messages are bounded in bytes."""
        self._make(SLICE)
        self._arrived()
        if self._unmade and self._loop is not None:
            self._loop.call_soon(self._make_batch)

    async def _make_all(self) -> None:
        for _ in range(0, len(self._unmade), SLICE):
            self._make(SLICE)
            await asyncio.sleep(0)

    def _make(self, count: int) -> None:
        self._wake_at = 1  # before taking: a message that another thread puts meanwhile wakes the writer
        for _ in range(min(count, len(self._unmade))):
            try:
                make, subject, detail = self._unmade.popleft()
            except IndexError:  # another thread has dropped it
                return
            try:
                message = make(subject, detail)
            except Exception as error:  # the other messages are kept
                self._unmade_rejected += 1
                _log.warning("history: a message is not kept: %s", error)
            else:
                self._unmade_rejected += not self._buffer.add(message)

    # -- writing --------------------------------------------------------------------------------------------------

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

    async def _write_all(self, clock: Clock) -> None:
        while True:
            await self._work.wait()
            if self._buffer.depth or self._unmade:
                if not (self._flushes or self._is_closed or self._is_batch_full()):
                    await pause(clock, self.linger, self._hurry)
                await self._make_all()
                await self._write_batch(clock)
            elif self._is_closed:
                return
            else:
                self._work.clear()

    async def _write_batch(self, clock: Clock) -> None:
        self._hurry.clear()  # this attempt is what was hurried
        batch = self._buffer.take(self.batch)
        if not batch:
            return
        try:
            await self._append(batch)
        except (StorageError, OSError) as error:
            self._buffer.put_back()
            delay = self._note_failure(error)
            self._report_settled()
            await pause(clock, delay, self._hurry)
            self._hurry.clear()
        else:
            self._note_success()
            self._report_settled()

    async def _append(self, batch: Sequence[StoredMessage]) -> None:
        """Append the batch, the oldest messages; halve it until a message that is rejected is alone."""
        try:
            await self.store.append(batch)
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
        self._last_error = error_text(error)
        delay, self._delay = self._delay, min(self._delay * 2, LAST_RETRY)
        return delay

    def _note_success(self) -> None:
        if self._last_error is not None:
            place, lost = self.store.location, self._lost
            _log.warning("history store %r works again; %d messages had found no room", place, lost)
        self._last_error, self._delay, self._lost = None, FIRST_RETRY, 0

    def _note_dropped(self, message: StoredMessage, reason: DropReason) -> None:
        if reason == "overflow":
            self._lost += 1
            if self._lost == 1:
                place, room = self.store.location, self._buffer.capacity
                _log.warning("history store %r: no room for more than %d messages; the oldest are lost", place, room)
        if self._on_dropped is not None:
            self._on_dropped(message, reason)

    def _is_batch_full(self) -> bool:
        return self._buffer.depth + len(self._unmade) >= self.batch or self._buffer.has_full_batch

    def _arrived(self) -> None:
        """Start the linger; end it when there is a batch. The delay of a failing store is not shortened."""
        self._work.set()
        if self._last_error is None and self._is_batch_full():
            self._hurry.set()

    def _press(self) -> None:
        self._work.set()
        self._hurry.set()

    def _report_settled(self) -> None:
        """Wake the flushes whose messages are settled: stored, dropped or rejected."""
        for target, done in self._flushes:
            if self._buffer.settled >= target and not done.done():
                done.set_result(None)
