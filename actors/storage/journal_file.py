"""The SQLite file of a journal: its lock, its connections, what is checked and its upkeep. Every call blocks."""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, TypeVar

from actors.config.file_lock import FileLock, FileLockedError
from actors.storage.database_file import COMPANIONS, claim
from actors.storage.journal_tables import MIGRATIONS, JournalTables, check_layout, migrate, schema_of
from protocols.journal import (
    JournalBrokenError,
    JournalError,
    JournalFencedError,
    JournalLockedError,
    JournalVersionError,
)

T = TypeVar("T")

MIB: Final = 1024 * 1024
FULLY_CHECKED: Final = 4 * MIB
"""Size up to which rows and indices are compared when a journal is opened (0.1 s)."""
CHECKED: Final = 64 * MIB
"""Size up to which the pages are checked when a journal is opened (0.3 s)."""
PAGE_SIZE: Final = 2_048
"""A commit writes three or four pages: those of the usual size make it 12 % slower."""
CHECKPOINT: Final = 4 * MIB
"""Size of the write-ahead log at which it is moved into the database."""
SHORT_LOG: Final = MIB
"""Size of the log at which that is done, and writes wait for it, while the disk has little room."""
LOG_LIMIT: Final = 32 * MIB
"""Size of the log at which writes wait until that is done."""
TIMEOUT: Final = 5_000
"""Milliseconds that upkeep and reads wait for another connection."""
RESTART_TIMEOUT: Final = 100
"""Milliseconds that a new log waits, and with it all writes, for programs that read the old one."""
SPARE_PAGES: Final = 256
"""Free pages that the file keeps for the next rows."""
VACUUM_PAGES: Final = 200
"""Pages that one transaction gives back."""
_CONNECTION: Final = (
    "PRAGMA synchronous = NORMAL",
    "PRAGMA wal_autocheckpoint = 0",
    f"PRAGMA journal_size_limit = {SHORT_LOG // 2}",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
)


class JournalFile:
    """The file, taken for this process; a guest takes nothing and changes no schema."""

    def __init__(self, path: Path, pool: str, *, is_guest: bool) -> None:
        self.path = path
        self.pool = pool
        self.is_guest = is_guest
        self._log = path.with_name(f"{path.name}-wal")
        self._lock = FileLock(path.with_name(f"{path.name}.lock"))
        self._file: os.stat_result | None = None
        self._epoch = 0
        self.connections: list[sqlite3.Connection] = []
        """Those that write, read and maintain."""
        self._locks = {1: threading.Lock(), 2: threading.Lock()}
        self.is_paused = False
        """True while writes must wait for a checkpoint."""
        self.is_short = False
        """True while the disk has little room."""
        self.next_checkpoint = CHECKPOINT

    def open(self) -> sqlite3.Connection:
        """Take the file and check it; return the connection that writes."""
        if not self.is_guest:
            self._take_lock()
        elif not self.path.exists():
            raise JournalError("does not exist: nothing was kept")
        try:
            if not self.path.exists():
                self._create()
            claim(self.path)
            self._file = self.path.stat()
            self.connections += [_connected(self.path)]
            self._check(self.connections[0])
            self._take(self.connections[0])
            self.connections += [_connected(self.path), _connected(self.path)]
        except BaseException:
            self.close()
            raise
        return self.connections[0]

    def close(self) -> None:
        """Close all connections, after a checkpoint, and release the lock."""
        with self._locks[1], self._locks[2]:
            while self.connections:
                self.connections.pop().close()
        self._lock.release()

    def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Read by a connection that sees only what is committed."""
        with self._used(1) as connection:
            return query(connection)

    def check_epoch(self, connection: sqlite3.Connection) -> None:
        """Raise `JournalFencedError` if another process has opened the file since."""
        (epoch,) = connection.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
        if epoch != self._epoch and not self.is_guest:
            raise JournalFencedError("was taken over by another process; restart this one to use it again")

    def is_in_place(self) -> bool:
        """Return whether the path leads to the file that was opened."""
        try:
            return self._file is not None and os.path.samestat(self.path.stat(), self._file)
        except OSError:
            return False

    def size(self) -> int:
        """Return the bytes of the file and of its log."""
        return _size(self.path) + _size(self._log)

    def needs_checkpoint(self) -> bool:
        """Return whether the log has grown."""
        return _size(self._log) >= (SHORT_LOG if self.is_short else self.next_checkpoint)

    def checkpoint(self) -> None:
        """Move the log into the database, and begin it anew if that is possible without making writers wait for long.

        The first write of a new log syncs, so it is made here, not on the loop.
        """
        try:
            with self._used(2) as connection:
                _, pages, moved = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                if pages == moved or self.is_short or _size(self._log) > LOG_LIMIT:
                    self.is_paused = True
                    connection.execute(f"PRAGMA busy_timeout = {RESTART_TIMEOUT}")
                    connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
                    connection.execute(f"PRAGMA busy_timeout = {TIMEOUT}")
                    connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'checkpoints'")
        finally:
            self.is_paused = False
            left = _size(self._log)
            self.next_checkpoint = CHECKPOINT if left < CHECKPOINT else left + CHECKPOINT

    def maintain(self, find: Callable[[sqlite3.Connection], T], delete: Callable[[sqlite3.Connection, T], int]) -> int:
        """Delete what was found, in one transaction, and give free pages back to the disk in small ones."""
        with self._used(2) as connection:
            found = find(connection)
            with connection:  # commits, or rolls back
                connection.execute("BEGIN IMMEDIATE")
                self.check_epoch(connection)
                count = delete(connection, found)
            free = -1
            while (now := connection.execute("PRAGMA freelist_count").fetchone()[0]) > SPARE_PAGES and now != free:
                free = now
                # Only a script runs this statement, which has steps but no rows, further than its first page.
                connection.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")
            return count

    @contextmanager
    def _used(self, place: int) -> Generator[sqlite3.Connection]:
        with self._locks[place]:
            if not self.connections:
                raise JournalError("is not open")
            yield self.connections[place]

    def _take_lock(self) -> None:
        try:
            self._lock.acquire()
        except FileLockedError as error:
            raise JournalLockedError(f"is used by {error}; end it first, or give this pool another journal") from error
        except OSError as error:
            message = f"cannot be locked: {error.strerror} ({error.filename or str(self._lock.path)!r})"
            raise JournalError(f"{message}; choose a local folder that this user may write to") from error

    def _create(self) -> None:
        """Make the file under another name first, so that an empty one is never taken for a new one."""
        if _size(self._log):
            message = f"is missing, but its log {self._log.name!r} is there; restore both, or remove the log"
            raise JournalBrokenError(message)
        new = self.path.with_name(f"{self.path.name}.new")
        for suffix in COMPANIONS:
            new.with_name(new.name + suffix).unlink(missing_ok=True)
        claim(new)
        with closing(_connected(new)) as connection:
            connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            if mode != "wal":
                raise JournalError(f"cannot have a log here (journal mode {mode!r}); choose a local file system")
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                migrate(connection)
        new.replace(self.path)

    def _check(self, connection: sqlite3.Connection) -> None:
        if not _size(self.path):
            raise JournalBrokenError("is empty, as a journal never is; restore a copy, or remove it to begin anew")
        number = schema_of(connection)
        if self.is_guest:
            if number != len(MIGRATIONS):
                raise JournalVersionError(f"has the old schema {number}; open its pool once")
            return
        if (size := self.size()) <= CHECKED:
            check = "integrity_check" if size <= FULLY_CHECKED else "quick_check"
            (answer,) = connection.execute(f"PRAGMA {check}(1)").fetchone()
            if answer != "ok":
                raise JournalBrokenError(f"is damaged; move it away, or restore a copy of it ({answer!r:.200})")
        if size <= FULLY_CHECKED and number:
            JournalTables(connection, time.time).check()

    def _take(self, connection: sqlite3.Connection) -> None:
        """Bring the schema up to date, check the pool, and raise the epoch so that an earlier process is refused."""
        if not self.is_guest:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
        with connection:
            connection.execute("BEGIN IMMEDIATE" if not self.is_guest else "BEGIN")
            meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
            if self.pool and meta["pool"] not in {"", self.pool}:
                owner = meta["pool"]
                remedy = "choose another file, or name the pool as before"
                raise JournalBrokenError(f"belongs to pool {owner!r}, not to {self.pool!r}; {remedy}")
            if not self.is_guest:
                migrate(connection)
                check_layout(connection)
                self._epoch = meta["epoch"] + 1
                connection.execute("UPDATE meta SET value = ? WHERE key = 'epoch'", (self._epoch,))
                if self.pool:
                    connection.execute("UPDATE meta SET value = ? WHERE key = 'pool'", (self.pool,))


def _connected(path: Path) -> sqlite3.Connection:
    place = f"{path.as_uri()}?mode=rw"  # makes no file
    connection = sqlite3.connect(
        place, uri=True, timeout=TIMEOUT / 1_000, isolation_level=None, check_same_thread=False
    )
    try:
        for statement in _CONNECTION:
            connection.execute(statement)
    except BaseException:
        connection.close()
        raise
    return connection


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
