"""What the journals in memory and in a file share: writes wait for one commit per iteration of the loop."""

import asyncio
import os
import sqlite3
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar, Concatenate, Final, ParamSpec, TypeVar

from msgspec import Struct

from actors.storage.journal_tables import JournalTables
from protocols.errors import type_name
from protocols.journal import (
    MOST_WAITING,
    STALLED,
    Commit,
    DeadEntry,
    Entry,
    JournalBrokenError,
    JournalError,
    JournalFencedError,
    JournalFullError,
    JournalStatistics,
    Outcome,
)
from protocols.stores import StorageError

P = ParamSpec("P")
T = TypeVar("T")

GROUP: Final = 500
"""Writes in one transaction, at most."""
RETRY_DELAY: Final = 0.002
"""Seconds until a commit is tried again while another process, or a checkpoint, writes."""
PATIENCE: Final = 5.0
"""Seconds that `close` waits for the last commit."""
_FAULTS: Final[dict[int, tuple[type[JournalError], str]]] = {
    sqlite3.SQLITE_BUSY: (JournalError, "is locked by another program; close it, or wait and try again"),
    sqlite3.SQLITE_FULL: (JournalFullError, "has no room to grow; free some disk space"),
    sqlite3.SQLITE_IOERR_SHMSIZE: (JournalFullError, "has no room for the index of its log; free some disk space"),
    sqlite3.SQLITE_READONLY: (JournalBrokenError, "is read-only; make the file and its folder writable"),
    sqlite3.SQLITE_IOERR: (JournalBrokenError, "cannot be read or written; check the disk, then restart the pool"),
    sqlite3.SQLITE_CANTOPEN: (JournalBrokenError, "cannot be opened; check the path and its permissions"),
    sqlite3.SQLITE_PERM: (JournalBrokenError, "cannot be opened; check its permissions"),
    sqlite3.SQLITE_CORRUPT: (JournalBrokenError, "is damaged; move it away, or restore a copy of it"),
    sqlite3.SQLITE_NOTADB: (JournalBrokenError, "is not a SQLite database; choose another path, or move it away"),
}
"""https://www.sqlite.org/rescode.html; the lower byte of a code is the primary code."""


class WaitingCall(Struct, frozen=True):
    """A write that waits for its commit."""

    operation: Callable[[], Any]
    future: Commit[Any]
    since: float


def is_locked(error: Exception) -> bool:
    """Return whether another connection writes now."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def journal_error(error: Exception, location: str) -> JournalError:
    """Return what an error of SQLite, of the system or of a wrong value means. The text holds no data."""
    if isinstance(error, JournalError):
        return error if error.location else type(error)(str(error), location=location)
    code = getattr(error, "sqlite_errorcode", 0)
    if (known := _FAULTS.get(code) or _FAULTS.get(code & 0xFF)) is not None:
        kind, meaning = known
        return kind(f"{meaning} ({error})", location=location)
    if isinstance(error, StorageError):
        return JournalError(str(error).replace("history store", "journal", 1))
    if isinstance(error, OSError):
        return JournalError(f"cannot be used: {error.strerror} ({error.filename!r})", location=location)
    return JournalError(f"does not take or give this ({type_name(error)})", location=location)


def _write(
    operation: Callable[Concatenate[JournalTables, P], T], *, may_guest: bool = False
) -> Callable[Concatenate["SqlJournal", P], Commit[T]]:
    """Return the method of a journal that makes a change of the tables."""
    name = operation.__name__  # a kind of table may have its own

    def write(journal: "SqlJournal", /, *args: P.args, **kwargs: P.kwargs) -> Commit[T]:
        return journal.write(partial(getattr(journal.opened(), name), *args, **kwargs), may_guest=may_guest)

    return write


class SqlJournal:
    """A journal with one writing connection, whose commits are made on the event loop."""

    obstacle: ClassVar[str] = "another program had locked it"
    """What keeps writes waiting."""

    def __init__(self, location: str, now: Callable[[], float], *, is_guest: bool = False) -> None:
        self.location = location
        self.is_guest = is_guest
        self._now = now
        self._queue: deque[WaitingCall] = deque()
        self._is_scheduled = False
        """True from the first write that waits until the queue is empty again."""
        self._last: Commit[Any] | None = None
        self._end: JournalError | None = None
        """Why the journal writes no more."""
        self._tables: JournalTables | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = 0
        self._counts: defaultdict[str, int] = defaultdict(int)
        self._times: deque[float] = deque(maxlen=1_000)
        self._writing_since: float | None = None

    settle = _write(JournalTables.settle)
    begin = _write(JournalTables.begin)
    postpone = _write(JournalTables.postpone)
    keep_step = _write(JournalTables.keep_step)
    forget = _write(JournalTables.forget)
    replay = _write(JournalTables.replay, may_guest=True)
    discard = _write(JournalTables.discard, may_guest=True)
    move = _write(JournalTables.move)

    def accept(self, entries: Sequence[Entry]) -> Commit[list[int | None]]:
        """Keep messages, all or none."""
        return self.write(partial(self.opened().accept, tuple(entries)))

    def prune(self, keep: float) -> asyncio.Future[int]:
        """Delete old settled messages."""
        return self.write(partial(self.opened().prune, keep))

    async def version(self) -> int:
        """Return a number that changes when another process has written."""
        return await self.write(self.opened().version, may_guest=True)

    async def steps(self, run: bytes) -> dict[str, tuple[bytes, bytes]]:
        """Return the steps of a message."""
        return await self.read(lambda tables: tables.steps(run))

    async def waiting(self, mailbox: str, after: int, limit: int) -> list[Entry]:
        """Return open messages of a mailbox."""
        return await self.read(lambda tables: tables.waiting(mailbox, after, limit))

    async def counts(self) -> dict[str, int]:
        """Return the number of open messages of each mailbox."""
        return await self.read(lambda tables: tables.counts())

    async def memory(self, name: str, limit: int) -> list[bytes]:
        """Return the last payloads of a memory."""
        return await self.read(lambda tables: tables.memory(name, limit))

    async def find(self, id: bytes) -> Outcome | None:
        """Return what is known of a message."""
        return await self.read(lambda tables: tables.find(id))

    async def dead(self, *, mailbox: str | None = None, after: int = 0, limit: int = 100) -> list[DeadEntry]:
        """Return dead letters."""
        return await self.read(lambda tables: tables.dead(mailbox=mailbox, after=after, limit=limit))

    def stalled(self) -> Commit[Any] | None:
        """Return the last write, while too many wait, or one for too long."""
        last = self._last
        if last is None or last.done() or (since := self._waiting_since()) is None:
            return None
        is_slow = len(self._queue) >= MOST_WAITING or self._now() - since > STALLED
        return last if is_slow else None

    def _waiting_since(self) -> float | None:
        return self._queue[0].since if self._writing_since is None and self._queue else self._writing_since

    def statistics(self) -> JournalStatistics:
        """Return the numbers as they are now."""
        times = sorted(self._times) or [0.0]
        counts, tables = self._counts, self._tables
        oldest = tables.oldest if tables is not None and counts["open"] else None
        return JournalStatistics(
            open=counts["open"],
            dead=counts["dead"],
            oldest=None if oldest is None else oldest[1],
            accepted=counts["accepted"],
            duplicates=counts["duplicates"],
            settled=counts["settled"],
            redelivered=counts["redelivered"],
            commits=counts["commits"],
            commit_p50=times[len(times) // 2],
            commit_p99=times[len(times) * 99 // 100],
            waiting_since=self._waiting_since(),
            bytes=self._size(),
            is_full=self._is_full(),
            broken="" if self._end is None else str(self._end),
        )

    # ------------------------------------------------------------------------------------- for the kinds

    def _size(self) -> int:
        return 0

    def _is_full(self) -> bool:
        return False

    def _check_writable(self, tables: JournalTables) -> None:
        """Raise a `JournalError` if the transaction may not be made."""
        if self._end is not None:
            raise self._end.with_traceback(None)

    def _start(self, tables: JournalTables) -> None:
        """Begin a transaction."""
        tables.connection.execute("BEGIN IMMEDIATE")
        self._check_writable(tables)

    def _seal(self, tables: JournalTables) -> None:
        """Commit the transaction."""
        tables.commit()

    def _may_pass(self, error: Exception) -> bool:
        """Return whether a transaction that has failed is tried again."""
        return is_locked(error)

    def _meaning(self, error: Exception) -> JournalError:
        return journal_error(error, self.location)

    async def read(self, query: Callable[[JournalTables], T]) -> T:
        """Read what is committed."""
        try:
            return query(self.opened())
        except Exception as error:
            raise self._fault(error) from error

    def _submit(self, batch: list[WaitingCall]) -> None:
        """Commit a batch here and now."""
        self._committed(batch, self._commit(batch))

    # ------------------------------------------------------------------------------------------- commits

    def _begin_life(self, tables: JournalTables) -> None:
        self._tables, self._loop, self._process, self._end = tables, asyncio.get_running_loop(), os.getpid(), None
        self._counts.clear()
        self._times.clear()
        self._count(tables)

    def opened(self) -> JournalTables:
        """Return the tables. Raises JournalError if the journal is not open in this process."""
        if self._tables is None:
            raise JournalError("is not open", location=self.location)
        if self._process != os.getpid():
            message = f"was opened by process {self._process}, and this is a fork of it; open a journal of its own here"
            raise JournalError(message, location=self.location)
        return self._tables

    def _check_guest(self) -> None:
        if self.is_guest:
            message = "may be in use by its pool: it can be read, and dead letters replayed or discarded; end the pool"
            raise JournalError(f"{message} for more", location=self.location)

    def write(self, operation: Callable[[], T], *, may_guest: bool = False) -> Commit[T]:
        """Have a change made with the next commit."""
        loop = self._loop
        assert loop is not None
        if self.is_guest and not may_guest:
            self._check_guest()
        future: Commit[T] = Commit(loop=loop)
        self._last = future
        self._queue.append(WaitingCall(operation, future, self._now()))
        if not self._is_scheduled:
            self._is_scheduled = True
            loop.call_soon(self._flush)
        return future

    def _flush(self) -> None:
        batch = [self._queue.popleft() for _ in range(min(GROUP, len(self._queue)))]
        if batch:
            self._writing_since = batch[0].since
            self._submit(batch)

    def _commit(self, batch: list[WaitingCall]) -> list[Any]:
        """Return results or errors of the first writes of a batch; the others wait until another one has written."""
        try:
            return self._transact(batch)
        except Exception as error:
            self._roll_back()
            if self._may_pass(error):
                return []
            fault = self._fault(error)
            if self._end is not None or len(batch) == 1:
                return [fault for _ in batch]
        results: list[Any] = []
        for write in batch:
            if not (result := self._commit([write])):
                break
            results += result
        return results

    def _transact(self, batch: list[WaitingCall]) -> list[Any]:
        began = time.perf_counter()
        tables = self.opened()
        self._start(tables)
        results = [write.operation() for write in batch]
        self._seal(tables)
        self._times.append(time.perf_counter() - began)
        self._count(tables)
        self._counts["commits"] += 1
        return results

    def _fault(self, error: Exception) -> JournalError:
        """Return what an error means. After some of them nothing is written any more: a sync is never tried again."""
        fault = self._meaning(error)
        if fault is not error:
            fault.__cause__ = error
        if isinstance(fault, (JournalBrokenError, JournalFencedError)):
            self._end = fault
        return fault

    def _count(self, tables: JournalTables) -> None:
        tally = tables.tally
        if tally.pop("counted", 0):
            self._counts["open"] = self._counts["dead"] = 0
        for name, change in tally.items():
            self._counts[name] += change
        tally.clear()

    def _roll_back(self) -> None:
        tables = self._tables
        assert tables is not None
        tables.rolled_back()
        if tables.connection.in_transaction:
            with suppress(sqlite3.Error):
                tables.connection.execute("ROLLBACK")

    def _committed(self, batch: list[WaitingCall], results: list[Any]) -> None:
        """Tell the callers, in order, and go on with what waits."""
        assert self._loop is not None
        for write, result in zip(batch, results, strict=False):
            write.future.finish(result)
        self._writing_since = None
        if len(results) < len(batch):
            self._queue.extendleft(reversed(batch[len(results) :]))
            self._loop.call_later(RETRY_DELAY, self._flush)
        elif self._queue:
            self._loop.call_soon(self._flush)
        else:
            self._is_scheduled = False

    async def _drain(self) -> None:
        """Wait for the last commit, and give up what another program keeps from being committed."""
        clock = asyncio.get_running_loop().time
        end = clock() + PATIENCE
        while (last := self._last) is not None and not last.done():  # the last of now: more may be written meanwhile
            await asyncio.wait([last], timeout=max(0.0, end - clock()))
            if clock() >= end:
                break
        self._give_up()

    def _give_up(self) -> None:
        while self._queue:
            message = f"was closed before it could write this, because {self.obstacle}"
            self._queue.popleft().future.finish(JournalError(message, location=self.location))
