"""SQLite in WAL mode as a backend of history: one writer, any number of readers, also from other processes."""

import os
import sqlite3
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from actors.runtime.daemon_thread import in_daemon_thread
from actors.storage.database_file import claim
from actors.storage.sql import SqlBackend
from protocols.stores import StorageError, StoreCorruptError, StoreMissingError, StoreUnavailableError

CHECKED_SIZE = 64 * 1024 * 1024
"""Bytes up to which the whole file is checked when opened (about 0.1 s); damage in a larger one is found on reading."""
CONNECTIONS = 4
BUSY_POLL = 0.02
VACUUM_PAGES = 1_000


class SqliteBackend(SqlBackend):
    """How `SqlHistoryStore` talks to one SQLite file. BEGIN IMMEDIATE is its lock, of migrations too."""

    def __init__(self, path: Path, *, timeout: float, read_only: bool = False) -> None:
        self.path = Path(path).expanduser().absolute()
        self.location = str(self.path)
        self.timeout = timeout
        self.read_only = read_only
        self._file: os.stat_result | None = None
        self._writer: sqlite3.Connection | None = None
        self._is_used = threading.Lock()

    async def prepare(self) -> None:
        """Make or check the file and switch it to WAL, in a thread."""
        await in_daemon_thread(self._prepare)

    def check(self) -> None:
        """Raise `StoreUnavailableError` if the path has led to another file, or to none, since the opening."""
        with suppress(OSError):
            if self._file is not None and os.path.samestat(self.path.stat(), self._file):
                return
        message = "was removed or replaced while it was open; open the store again"
        raise StoreUnavailableError(message, location=self.location)

    def engine(self) -> AsyncEngine:
        """Return a new engine."""
        place = URL.create("sqlite+aiosqlite", database=self.location)
        if self.read_only:
            # A log needs files beside it; where none can be made, nobody can write either.
            is_fixed = not os.access(self.path.parent, os.W_OK)
            options = {"uri": "true", **({"immutable": "1"} if is_fixed else {"mode": "ro"})}
            place = URL.create("sqlite+aiosqlite", database=self.path.as_uri(), query=options)
        engine = create_async_engine(
            place,
            hide_parameters=True,
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_timeout=self.timeout * 2,
            connect_args={"timeout": self.timeout},
        )
        event.listen(engine.sync_engine, "connect", _configure)
        event.listen(engine.sync_engine, "begin", _begin)
        return engine

    async def append(self, sql: str, rows: list[tuple[Any, ...]]) -> bool:
        """Insert rows by one call in a thread: SQLAlchemy makes nine, which take the processor 2 ms instead of 0.6."""
        if not self.read_only:
            await in_daemon_thread(self._append, sql, rows)
        return not self.read_only

    async def close(self) -> None:
        """Close the connection that inserts."""
        await in_daemon_thread(self._disconnect)

    async def tidy(self) -> None:
        """Give the pages that pruning has freed back to the file system, in a thread."""
        await in_daemon_thread(self._vacuum)

    def _prepare(self) -> None:
        if self.read_only:
            self._file = self.path.stat() if self.path.exists() else None
            if self._file is None or not self._file.st_size:
                raise StoreMissingError("does not exist yet: nothing was kept", location=self.location)
            return
        claim(self.path)
        self._file = self.path.stat()
        with closing(sqlite3.connect(self.path, timeout=self.timeout, isolation_level=None)) as connection:
            if self.path.stat().st_size == 0:
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            elif self.path.stat().st_size <= CHECKED_SIZE:
                self._check(connection)
            self._use_wal(connection)

    def _append(self, sql: str, rows: list[tuple[Any, ...]]) -> None:
        with self._is_used:
            if self._writer is None:
                place = f"{self.path.as_uri()}?mode=rw"  # makes no file
                writer = sqlite3.connect(place, uri=True, timeout=self.timeout, check_same_thread=False)
                _configure(writer, None)
                writer.isolation_level = "IMMEDIATE"  # the lock with which executemany begins
                self._writer = writer
            with self._writer:  # commits, or rolls back
                self._writer.executemany(sql, rows)

    def _disconnect(self) -> None:
        with self._is_used:
            writer, self._writer = self._writer, None
            if writer is not None:
                writer.close()

    def _vacuum(self) -> None:
        with closing(sqlite3.connect(self.path, timeout=self.timeout, isolation_level=None)) as connection:
            before = sys.maxsize
            while 0 < (pages := connection.execute("PRAGMA freelist_count").fetchone()[0]) < before:
                before = pages
                # Only a script runs this statement, which has steps but no rows, further than its first page.
                connection.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")

    def _check(self, connection: sqlite3.Connection) -> None:
        (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if answer != "ok":
            message = f"is damaged; move it away, or restore a copy of it ({answer!r:.200})"
            raise StoreCorruptError(message, location=self.location)

    def _use_wal(self, connection: sqlite3.Connection) -> None:
        """Switch to WAL, which SQLite refuses at once, without its busy timeout, while anybody else is switching."""
        deadline = time.monotonic() + self.timeout
        while True:
            try:
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(BUSY_POLL)
        if mode != "wal":
            message = f"cannot use a write-ahead log here (journal mode {mode!r}); choose a local file system"
            raise StorageError(message, location=self.location)


def _configure(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by _begin, not by the driver's guess
    connection.create_function("lower", 1, _lower, deterministic=True)  # SQLite's own knows ASCII only
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA trusted_schema = OFF")
    cursor.close()


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
