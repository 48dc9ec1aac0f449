"""A journal in a PostgreSQL database: the process that opens it last has it. Each pool has a schema of its own."""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from typing import Any, ClassVar, Final, TypeVar

from sqlalchemy.util import await_only, greenlet_spawn

from actors.storage.fault import fault
from actors.storage.journal_sql import SqlJournal, WaitingCall
from actors.storage.journal_tables import JournalTables
from actors.storage.postgres import LOCK_CLASS
from actors.storage.postgres_connection import PostgresConnection
from actors.storage.postgres_tables import MIGRATIONS, POOLS, PostgresTables
from protocols.journal import (
    JournalBrokenError,
    JournalError,
    JournalFencedError,
    JournalFullError,
    JournalLockedError,
    JournalVersionError,
)
from protocols.stores import StorageError, StoreCorruptError, StoreUnavailableError

T = TypeVar("T")

RETRY_DELAYS: Final = (0.05, 1.0)
"""Seconds until a lost connection is made again: the first ones, and at most."""
_CREATE: Final = (
    "CREATE SCHEMA understage_journal",
    f"""CREATE TABLE {POOLS}(number INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name TEXT NOT NULL UNIQUE,
  version INTEGER DEFAULT 0, epoch BIGINT DEFAULT 0, commits BIGINT DEFAULT 0, changes BIGINT DEFAULT 0)""",
)
"""`commits`: transactions of the process that has the journal; `changes`: those of the command line."""
_LOCK: Final = f"SELECT set_config('lock_timeout', '15s', true), pg_advisory_xact_lock({LOCK_CLASS}, 3)"
USED: Final = "SELECT count(*) FROM pg_stat_activity WHERE application_name = ? AND datname = current_database()"
_DISK_FULL: Final = "53100"
_FORBIDDEN: Final = "42501"
_MISSING: Final = ("3F000", "42P01")

_log = logging.getLogger("understage.journal")


class PostgresJournal(SqlJournal):
    """Keep messages in a database. A second process that opens it takes it over, and this one is refused from then on.

    While the server is away writes wait. A commit whose answer was lost is looked up, so nothing is written twice.

    Args:
        url: ``postgresql://user:password@host/name``.
        pool: the pool whose messages they are; several pools may have journals in one database.
        as_guest: True to read, replay and discard while another process has the journal.
        takes_over: False to be refused while another process uses it.
        now: wall time.
    """

    obstacle: ClassVar[str] = "the server was away"
    fenced: ClassVar[str] = "was taken over by another process; restart this one to use it again"

    def __init__(
        self,
        url: str,
        *,
        pool: str,
        as_guest: bool = False,
        takes_over: bool = True,
        now: Callable[[], float] = time.time,
    ) -> None:
        try:
            self._writer, self._reader = PostgresConnection(url), PostgresConnection(url)
        except StorageError as error:
            raise JournalError(str(error)) from error
        super().__init__(self._writer.location, now, is_guest=as_guest)
        self.pool = pool
        self.takes_over = takes_over
        self._writer.use_name = self._reader.use_name = "_guest" if as_guest else ""
        self._reading = asyncio.Lock()
        self._number = self._epoch = self._commits = 0
        self._writing: asyncio.Task[None] | None = None
        self._delay = RETRY_DELAYS[0]

    async def open(self) -> None:
        """Take the journal over, and bring its tables up to date."""
        if self._tables is not None:
            return
        try:
            tables = await greenlet_spawn(self._take)
        except BaseException as error:
            self._writer.drop()
            if isinstance(error, Exception):
                raise self._fault(error) from error
            raise
        self._begin_life(tables)

    async def close(self) -> None:
        """Commit what waits, and disconnect."""
        if self._tables is None or self._process != os.getpid():
            return
        await self._drain()
        if self._writing is not None and not self._writing.done():
            self._writing.cancel()
            await asyncio.wait([self._writing])
            self._give_up()
        self._tables = None
        await self._writer.close()
        if self._reading.locked():
            self._reader.drop()
        async with self._reading:
            await self._reader.close()

    async def read(self, query: Callable[[JournalTables], T]) -> T:
        """Read by the second connection; wait while the server is away."""
        delay = RETRY_DELAYS[0]
        async with self._reading:
            while True:
                self.opened()
                try:
                    return await greenlet_spawn(lambda: self._query(query))
                except Exception as error:
                    if not self._may_pass(error, self._reader):
                        raise self._fault(error) from error
                self._reader.drop()
                await asyncio.sleep(delay)
                delay = min(2 * delay, RETRY_DELAYS[1])

    def _query(self, query: Callable[[JournalTables], T]) -> T:
        self._reader.schema = self._writer.schema
        self._reader.connect()
        return query(self._tables_of(self._reader))

    def _tables_of(self, connection: PostgresConnection) -> PostgresTables:
        return PostgresTables(connection, self._number, self._now)

    # -------------------------------------------------------------------------------------- transactions

    def _submit(self, batch: list[WaitingCall]) -> None:
        self._writing = asyncio.ensure_future(self._write(batch))

    async def _write(self, batch: list[WaitingCall]) -> None:
        results: list[Any] = []
        try:
            results = await greenlet_spawn(self._commit, batch)
            if results:
                self._delay = RETRY_DELAYS[0]
            else:
                await self._pause()
        finally:
            self._committed(batch, results)

    async def _pause(self) -> None:
        if self._delay == RETRY_DELAYS[0]:
            _log.warning("journal %r: the server did not take a commit; writes wait until it does", self.location)
        await asyncio.sleep(self._delay)
        self._delay = min(2 * self._delay, RETRY_DELAYS[1])

    def _start(self, tables: JournalTables) -> None:
        """Begin a transaction, by a change that others wait for and that only the last epoch can make."""
        self._check_writable(tables)
        self._writer.connect()
        if self.is_guest:
            self._writer.execute(f"BEGIN; UPDATE {POOLS} SET changes = changes + 1 WHERE number = {self._number}")
            self._writer.execute("SELECT no FROM shard ORDER BY no FOR UPDATE")  # its places follow those of all hosts
        elif not self._writer.execute(f"BEGIN; {self._mark()}").rowcount:
            raise JournalFencedError(self.fenced)

    def _mark(self) -> str:
        return f"UPDATE {POOLS} SET commits = commits + 1 WHERE number = {self._number} AND epoch = {self._epoch}"

    def _seal(self, tables: JournalTables) -> None:
        try:
            super()._seal(tables)
        except Exception as error:
            if not self._may_pass(error):
                raise
            if not self._was_committed():
                raise ConnectionResetError("a commit was not made") from error
        self._commits += 1

    def _was_committed(self) -> bool:
        """Look, when the server is back, whether the last transaction was committed."""
        while True:
            try:
                self._writer.drop()
                self._writer.connect()
                return self._last_commit() == (self._epoch, self._commits + 1)
            except Exception as error:
                if not self._may_pass(error):
                    raise
                await_only(self._pause())

    def _last_commit(self) -> tuple[int, int] | None:
        sql = f"SELECT epoch, commits FROM {POOLS} WHERE number = ? FOR UPDATE"
        return self._writer.execute(sql, (self._number,)).fetchone()

    def _roll_back(self) -> None:
        if self._tables is not None:
            self._tables.rolled_back()
        self._writer.roll_back()

    def _may_pass(self, error: Exception, connection: PostgresConnection | None = None) -> bool:
        if self.is_guest or isinstance(error, JournalError):
            return False
        is_away = isinstance(fault(error, ""), StoreUnavailableError) and _state(error) != _DISK_FULL
        return is_away or (connection or self._writer).is_lost

    def _meaning(self, error: Exception) -> JournalError:
        if isinstance(error, JournalError):
            return super()._meaning(error)
        found, state = fault(error, ""), _state(error)
        if state == _DISK_FULL:
            return JournalFullError("has no room to grow; free some disk space of the server", location=self.location)
        if state == _FORBIDDEN:
            message = f"cannot make or use its tables: {error}; GRANT CREATE ON DATABASE to its user, once"
            return JournalError(message, location=self.location)
        is_broken = isinstance(found, StoreCorruptError) or state in _MISSING
        return (JournalBrokenError if is_broken else JournalError)(str(found), location=self.location)

    def _size(self) -> int:
        return self._tables.size if isinstance(self._tables, PostgresTables) else 0

    # -------------------------------------------------------------------------------------------- opening

    def _take(self) -> PostgresTables:
        """Make what is missing, and raise the epoch so that an earlier process is refused."""
        connection = self._writer
        connection.connect()
        connection.execute("BEGIN")
        connection.execute(_LOCK)
        self._number, version = self._find_pool(connection)
        schema, newest = f"understage_journal_{self._number}", len(MIGRATIONS)
        if version > newest:
            message = f"has schema {version}, and this version knows {newest}; use the version that wrote it"
            raise JournalVersionError(message)
        connection.end_stuck(schema, connection.patience)
        if not self.is_guest:
            if not self.takes_over and connection.execute(USED, (schema,)).rows != [(0,)]:
                raise JournalLockedError("is used by another process; end it first")
            for step in MIGRATIONS[version:]:
                step(connection, schema)
        elif version < newest:
            raise JournalVersionError(f"has the old schema {version}; open its pool once")
        connection.use(schema)
        tables = self._tables_of(connection)
        if not self.is_guest:
            sql = f"UPDATE {POOLS} SET version = ?, epoch = epoch + 1, commits = 0 WHERE number = ? RETURNING epoch"
            ((self._epoch,),) = connection.execute(sql, (newest, self._number)).rows
            self._commits = 0
            self._enter(tables)
        connection.execute("COMMIT")
        tables.version()
        return tables

    def _enter(self, tables: PostgresTables) -> None:
        """Refuse to share the journal with the hosts of a cluster, and fence those that are late."""
        sql = "SELECT cluster, name FROM host WHERE until > wall() ORDER BY name LIMIT 1"
        for cluster, name in tables.connection.execute(sql).fetchall():
            advice = "add `cluster:` to this manifest, or end its hosts" if self.takes_over else "end its hosts first"
            raise JournalLockedError(f"is used by the cluster {cluster!r} (host {name!r}); {advice}")
        tables.connection.execute("DELETE FROM lane")

    def _find_pool(self, connection: PostgresConnection) -> tuple[int, int]:
        """Return number and version of the schema of the pool."""
        if connection.execute("SELECT to_regclass(?::text)", (POOLS,)).rows == [(None,)]:
            if self.is_guest:
                raise JournalError("does not exist: nothing was kept")
            for statement in _CREATE:
                connection.execute(statement)
        if not self.is_guest:
            connection.execute(f"INSERT INTO {POOLS}(name) VALUES (?) ON CONFLICT DO NOTHING", (self.pool,))
        found = connection.execute(f"SELECT number, version FROM {POOLS} WHERE name = ?", (self.pool,)).rows
        if not found:
            raise JournalError("does not exist: nothing was kept")
        ((number, version),) = found
        return number, version


def _state(error: Exception) -> str:
    return str(getattr(error, "sqlstate", ""))
