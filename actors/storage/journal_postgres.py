"""A journal in a PostgreSQL database: the process that opens it last has it. Each pool has a schema of its own."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Final, TypeVar

from msgspec.structs import astuple
from sqlalchemy.util import await_only, greenlet_spawn

from actors.storage.fault import fault
from actors.storage.journal_sql import SqlJournal, WaitingCall
from actors.storage.journal_tables import FIRST, IS_OPEN, KEPT, JournalTables
from actors.storage.postgres import LOCK_CLASS
from actors.storage.postgres_connection import PostgresConnection
from protocols.journal import (
    Acknowledgement,
    Entry,
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
_POOLS: Final = "understage_journal.pool"
_CREATE: Final = (
    "CREATE SCHEMA understage_journal",
    f"""CREATE TABLE {_POOLS}(number INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name TEXT NOT NULL UNIQUE,
  version INTEGER DEFAULT 0, epoch BIGINT DEFAULT 0, commits BIGINT DEFAULT 0, changes BIGINT DEFAULT 0)""",
)
"""`commits`: transactions of the process that has the journal; `changes`: those of the command line."""
_LOCK: Final = f"SELECT set_config('lock_timeout', '15s', true), pg_advisory_xact_lock({LOCK_CLASS}, 3)"
_ACCEPT: Final = f"""INSERT INTO message({KEPT}, crc)
  SELECT {KEPT}, 0 FROM unnest(?::bytea[], ?::text[], ?::text[], ?::text[], ?::bytea[], ?::float8[], ?::float8[],
    ?::float8[], ?::bigint[]) WITH ORDINALITY AS new({KEPT}, place) ORDER BY place
  ON CONFLICT(id) DO NOTHING RETURNING id, seq"""
_SETTLE: Final = """UPDATE message
  SET payload = NULL, done = ?, outcome = new.outcome, reply = new.reply, error = new.error
  FROM unnest(?::bytea[], ?::text[], ?::bytea[], ?::text[]) AS new(id, outcome, reply, error)
  WHERE message.id = new.id AND done IS NULL RETURNING message.id, seq"""
_REMEMBER: Final = """INSERT INTO memory(mailbox, payload, crc) SELECT mailbox, payload, 0
  FROM unnest(?::text[], ?::bytea[]) WITH ORDINALITY AS new(mailbox, payload, place) ORDER BY place"""
_SIZE: Final = """SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
  WHERE relkind = 'r' AND relnamespace = to_regnamespace(current_schema())"""
_USED: Final = "SELECT count(*) FROM pg_stat_activity WHERE application_name = ? AND datname = current_database()"
_DISK_FULL: Final = "53100"
_MISSING: Final = ("3F000", "42P01")

_log = logging.getLogger("understage.journal")


def _first(connection: PostgresConnection, schema: str) -> None:
    connection.execute(f"CREATE SCHEMA {schema}")
    connection.use(schema)
    for statement in FIRST.strip().split(";"):
        if "meta" not in statement:
            connection.execute(statement.strip())


MIGRATIONS: Final[Sequence[Callable[[PostgresConnection, str], None]]] = (_first,)
"""The one at place n makes schema n + 1 of schema n."""


class PostgresTables(JournalTables):
    """The tables of one pool. Their rows are not checked: PostgreSQL has checksums of its own, for its pages."""

    size: int = 0
    """Bytes, as of the last `version`."""

    def __init__(self, connection: PostgresConnection, number: int, now: Callable[[], float]) -> None:
        super().__init__(connection, now)  # type: ignore[arg-type] # it is used as the connection of SQLite is
        self._number = number
        self._run = connection.run
        connection.before = self._catch_up
        self._accepted: list[tuple[Entry, list[int | None], int]] = []
        """Messages for one common statement, each with the list and the index where its place belongs."""
        self._ended: dict[bytes, tuple[Acknowledgement, list[int | None]]] = {}
        """Acknowledgements for one, each with the places of its outbox."""
        self._has_outbox = False

    def rolled_back(self) -> None:
        """Forget what the transaction has changed."""
        self._accepted.clear()
        self._ended.clear()
        super().rolled_back()

    def accept(self, entries: Iterable[Entry]) -> list[int | None]:
        """Insert messages that are not known; the list is filled before the commit."""
        given = tuple(entries)
        if self._has_outbox or not self._ended.keys().isdisjoint(entry.id for entry in given):
            self._catch_up()
        return self._later(given)

    def settle(self, one: Acknowledgement) -> list[int | None]:
        """End an open message; the list is filled before the commit."""
        if one.is_dead or one.also:
            return super().settle(one)
        if one.id in self._ended:
            self._catch_up()
        self._has_outbox = self._has_outbox or bool(one.outbox)
        places: list[int | None] = [None for _ in one.outbox]
        self._ended[one.id] = (one, places)
        return places

    def version(self) -> int:
        """Return the number of changes by others, and look at the size."""
        self.size = self._value(_SIZE)
        return super().version()

    def delete(self, messages: Sequence[tuple[int, bytes]], memories: Sequence[tuple[int]]) -> int:
        """Delete a surplus."""
        places, ids = [seq for seq, _ in messages], [id for _, id in messages]
        count = self._change("DELETE FROM message WHERE seq = ANY(?) AND done IS NOT NULL", places)
        known = "SELECT id FROM dead WHERE id = run UNION ALL SELECT id FROM message WHERE id = run"
        self._change(f"DELETE FROM step WHERE run = ANY(?) AND NOT EXISTS ({known})", ids)
        self._change("DELETE FROM memory WHERE seq = ANY(?)", [seq for (seq,) in memories])
        return count

    def _prepare(self) -> None:
        """Need no function of SQL."""

    def _next_place(self) -> int:
        place: int = self._value("SELECT nextval('message_seq_seq')")
        return place

    def _foreign_changes(self) -> int:
        number: int = self._value(f"SELECT changes FROM {_POOLS} WHERE number = ?", self._number)
        return number

    def _rename(self, old: str, new: str) -> None:
        if self._value(f"SELECT count(*) FROM {_POOLS} WHERE name = ?", new):
            raise JournalError(f"has a pool {new!r} already; choose another name")
        self._change(f"UPDATE {_POOLS} SET name = ?2 WHERE name = ?1", old, new)

    def _recount(self, table: str) -> str:
        return ""

    def _update(self, id: bytes, changes: str, *values: Any) -> int:
        rows = self._rows(f"UPDATE message SET {changes} WHERE {IS_OPEN} RETURNING attempts, 0", *values, id)
        return rows[0][0] if rows else 0

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return [row[:-1] for row in self.connection.execute(sql, values).fetchall()]

    # ------------------------------------------------------------------------------- common statements

    def _later(self, entries: Sequence[Entry], places: list[int | None] | None = None) -> list[int | None]:
        filled: list[int | None] = [None for _ in entries] if places is None else places
        self._accepted += [(entry, filled, index) for index, entry in enumerate(entries)]
        return filled

    def _catch_up(self) -> None:
        """Make the changes that wait for a common statement: before every other statement, and the commit."""
        while self._accepted or self._ended:
            self._insert_all()
            self._end_all()

    def _insert_all(self) -> None:
        given, self._accepted = self._accepted, []
        columns = zip(*(astuple(entry)[:-1] for entry, _, _ in given), strict=True)
        found = dict(self._run(_ACCEPT, [list(column) for column in columns]).rows) if given else {}
        for entry, places, index in given:
            places[index] = seq = found.pop(entry.id, None)
            self.tally["duplicates" if seq is None else "accepted"] += 1
            if seq is not None:
                self._opened(seq, entry.accepted)

    def _end_all(self) -> None:
        given, self._ended, self._has_outbox = self._ended, {}, False
        if not given:
            return
        columns = zip(*((id, one.outcome, one.reply, one.error) for id, (one, _) in given.items()), strict=True)
        found = dict(self._run(_SETTLE, [self._now(), *map(list, columns)]).rows)
        ended = [pair for id, pair in given.items() if id in found]
        self.tally["open"] -= len(ended)
        self.tally["settled"] += len(ended)
        self._is_stale = self._is_stale or (self.oldest is not None and self.oldest[0] in found.values())
        if runs := [one.steps_of for one, _ in ended if one.steps_of is not None]:
            self._run("DELETE FROM step WHERE run = ANY(?)", [runs])
        if memory := [row for one, _ in ended for row in one.memory]:
            self._run(_REMEMBER, [[name for name, _ in memory], [payload for _, payload in memory]])
        for one, places in ended:
            self._later(one.outbox, places)


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
                self._opened()
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
        return query(PostgresTables(self._reader, self._number, self._now))

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
        await asyncio.sleep(self._delay)
        self._delay = min(2 * self._delay, RETRY_DELAYS[1])

    def _start(self, tables: JournalTables) -> None:
        """Begin a transaction, by a change that others wait for and that only the last epoch can make."""
        self._check_writable(tables)
        self._writer.connect()
        name, epoch = ("changes", "") if self.is_guest else ("commits", f" AND epoch = {self._epoch}")
        change = f"UPDATE {_POOLS} SET {name} = {name} + 1 WHERE number = {self._number}{epoch}"
        if not self._writer.execute(f"BEGIN; {change}").rowcount:
            raise JournalFencedError("was taken over by another process; restart this one to use it again")

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
        sql = f"SELECT epoch, commits FROM {_POOLS} WHERE number = ? FOR UPDATE"
        while True:
            try:
                self._writer.drop()
                self._writer.connect()
                return self._writer.execute(sql, (self._number,)).fetchone() == (self._epoch, self._commits + 1)
            except Exception as error:
                if not self._may_pass(error):
                    raise
                await_only(self._pause())

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
        if not self.is_guest:
            if not self.takes_over and connection.execute(_USED, (schema,)).rows != [(0,)]:
                raise JournalLockedError("is used by another process; end it first")
            for step in MIGRATIONS[version:]:
                step(connection, schema)
            raised = "version = ?, epoch = epoch + 1, commits = 0"
            sql = f"UPDATE {_POOLS} SET {raised} WHERE number = ? RETURNING epoch"
            ((self._epoch,),) = connection.execute(sql, (newest, self._number)).rows
            self._commits = 0
        elif version < newest:
            raise JournalVersionError(f"has the old schema {version}; open its pool once")
        connection.execute("COMMIT")
        connection.use(schema)
        tables = PostgresTables(connection, self._number, self._now)
        tables.version()
        return tables

    def _find_pool(self, connection: PostgresConnection) -> tuple[int, int]:
        """Return number and version of the schema of the pool."""
        if connection.execute("SELECT to_regclass(?::text)", (_POOLS,)).rows == [(None,)]:
            if self.is_guest:
                raise JournalError("does not exist: nothing was kept")
            for statement in _CREATE:
                connection.execute(statement)
        if not self.is_guest:
            connection.execute(f"INSERT INTO {_POOLS}(name) VALUES (?) ON CONFLICT DO NOTHING", (self.pool,))
        found = connection.execute(f"SELECT number, version FROM {_POOLS} WHERE name = ?", (self.pool,)).rows
        if not found:
            raise JournalError("does not exist: nothing was kept")
        ((number, version),) = found
        return number, version


def _state(error: Exception) -> str:
    return str(getattr(error, "sqlstate", ""))
