"""A journal in one SQLite file: one process writes it, and the command line looks at it meanwhile."""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from actors.runtime.daemon_thread import CALLS, DaemonExecutor, in_daemon_thread
from actors.storage.journal_file import MIB, JournalFile
from actors.storage.journal_sql import PATIENCE, SqlJournal, WaitingCall
from actors.storage.journal_tables import JournalTables
from protocols.journal import Commit, Entry, JournalBrokenError, JournalError, JournalFullError
from protocols.plain_text import size_text

T = TypeVar("T")

BUSY_TIMEOUT: Final = {"process": 0, "full": 1_000}
"""Milliseconds that a commit waits for another process: none on the loop, where it is tried again later."""

LOOK_EVERY: Final = 16
"""Commits between two looks at the size of the log: the call of the system costs 5 us."""


class SqliteJournal(SqlJournal):
    """Keep messages in a file of this user.

    Args:
        path: the file; made when it does not exist.
        pool: the pool it belongs to; empty for any.
        sync: ``process`` survives the death of the process and commits on the loop in less than 100 us; ``full``
            survives a loss of power and commits in a thread.
        reserve: bytes that accepting leaves free on the disk.
        max_size: bytes of the file beyond which nothing is accepted.
        as_guest: True to look at a journal that another process may have open: to read, replay and discard.
        now: wall time.
    """

    def __init__(  # noqa: PLR0913 - keywords, all of them optional
        self,
        path: str | Path,
        *,
        pool: str = "",
        sync: Literal["process", "full"] = "process",
        reserve: int = 64 * MIB,
        max_size: int = 2_048 * MIB,
        as_guest: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.path = Path(path).expanduser().absolute()
        super().__init__(str(self.path), now, is_guest=as_guest)
        self.sync = sync
        self.reserve = reserve
        self.max_size = max_size
        self.file = JournalFile(self.path, pool, is_guest=as_guest)
        self._thread: DaemonExecutor | None = None
        """Where commits are made with ``full``, and the file is closed."""
        self._reader: DaemonExecutor | None = None
        self._looked: float | None = None
        self._shortage = ""
        """Why nothing is accepted now."""
        self.is_checkpointing = False

    async def open(self) -> None:
        """Take the file for this process, bring it up to date and check it."""
        if self._tables is not None:
            return
        opening = asyncio.ensure_future(in_daemon_thread(self._here, self._open))
        try:
            tables = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(self._let_go)
            raise
        self._thread = DaemonExecutor(1, "understage-journal")
        self._reader = DaemonExecutor(1, "understage-journal-reader")
        self._looked = None
        self._begin_life(tables)

    async def close(self) -> None:
        """Commit what waits, and let go of the file."""
        if self._tables is None or self._thread is None or self._process != os.getpid():
            return
        await self._drain()
        self._tables = None
        released = asyncio.wrap_future(self._thread.submit(self.file.close))
        self._thread.shutdown()
        if self._reader is not None:
            self._reader.shutdown()
        await asyncio.wait([released], timeout=PATIENCE)  # a disk that hangs keeps its thread, and the lock

    def _let_go(self, opened: asyncio.Future[JournalTables]) -> None:
        if not opened.cancelled() and opened.exception() is None:
            self.file.close()

    def accept(self, entries: Sequence[Entry]) -> Commit[list[int | None]]:
        """Keep messages, all or none, if there is room."""
        if self._tables is not None:
            self._look()
        if not self._shortage:
            return super().accept(entries)
        refused: Commit[list[int | None]] = Commit(loop=self._loop)
        refused.finish(JournalFullError(self._shortage, location=self.location))
        return refused

    def prune(self, keep: float) -> asyncio.Future[int]:
        """Delete old settled messages and give their pages back to the disk, in a thread."""
        self.opened()
        self._check_guest()
        return asyncio.ensure_future(in_daemon_thread(self._here, lambda: self._prune(keep)))

    async def read(self, query: Callable[[JournalTables], T]) -> T:
        """Read by the second connection, in a thread."""
        self.opened()
        read = self.file.read
        work = partial(self._here, lambda: read(lambda one: query(JournalTables(one, self._now))))
        return await asyncio.get_running_loop().run_in_executor(self._reader, work)

    def _submit(self, batch: list[WaitingCall]) -> None:
        if self.file.is_paused:
            self._committed(batch, [])
        elif self.sync == "process" or self._thread is None:
            super()._submit(batch)
        else:
            self._thread.submit(self._commit, batch).add_done_callback(lambda done: self._hand_back(batch, done))

    def _hand_back(self, batch: list[WaitingCall], done: Future[list[Any]]) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop is closed: no caller waits any more
            self._loop.call_soon_threadsafe(self._committed, batch, done.result())

    def _committed(self, batch: list[WaitingCall], results: list[Any]) -> None:
        super()._committed(batch, results)
        is_due = not self._counts["commits"] % LOOK_EVERY and not self.is_checkpointing
        if is_due and self.file.needs_checkpoint():
            self.is_checkpointing = True
            CALLS.submit(self._checkpoint)

    def _check_writable(self, tables: JournalTables) -> None:
        self._look()
        super()._check_writable(tables)
        self.file.check_epoch(tables.connection)

    def _look(self) -> None:
        """Look at most once a second whether the file is still there, and whether there is room."""
        now = self._now()
        if self._looked is not None and abs(now - self._looked) < 1:
            return
        self._looked = now
        if not self.file.is_in_place():
            message = "was removed or replaced while it was open; restart the pool"
            self._end = JournalBrokenError(message, location=self.location)
            return
        disk = os.statvfs(self.path)
        free, size = disk.f_bavail * disk.f_frsize, self._size()
        self._shortage = ""
        if free < self.reserve:
            self._shortage = (
                f"only {size_text(free)} are free, and `reserve` is {size_text(self.reserve)}; free some disk space"
            )
        elif size > self.max_size:
            self._shortage = (
                f"has {size_text(size)}, and `max_size` is {size_text(self.max_size)}; raise it, or lower `keep`"
            )
        self.file.is_short = bool(self._shortage)

    def _size(self) -> int:
        return self.file.size()

    def _is_full(self) -> bool:
        return bool(self._shortage)

    # ------------------------------------------------------------------------------------------ in threads

    def _open(self) -> JournalTables:
        connection = self.file.open()
        connection.execute(f"PRAGMA synchronous = {'FULL' if self.sync == 'full' else 'NORMAL'}")
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT[self.sync]}")
        tables = JournalTables(connection, self._now)
        tables.version()
        return tables

    def _prune(self, keep: float) -> int:
        of = JournalTables
        return self.file.maintain(
            lambda one: of(one, self._now).surplus(keep), lambda one, found: of(one, self._now).delete(*found)
        )

    def _checkpoint(self) -> None:
        with suppress(JournalError):  # what breaks the journal is told to the next write
            self._here(self.file.checkpoint)
        self.is_checkpointing = False

    def _here(self, call: Callable[[], T]) -> T:
        """Call in this thread, with our errors."""
        try:
            return call()
        except Exception as error:
            raise self._fault(error) from error
