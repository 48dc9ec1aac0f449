"""One connection of a journal to PostgreSQL, used as one to SQLite is: `JournalTables` runs on both.

Its methods are called within `greenlet_spawn`, where they wait for the server without blocking the event loop.
"""

import re
from collections.abc import Callable, Coroutine, Sequence
from functools import lru_cache
from importlib import import_module
from itertools import count
from typing import Any, Final, NamedTuple, cast

from sqlalchemy.util import await_only

from actors.storage.postgres import PostgresBackend

TIMEOUT: Final = 5.0
"""Seconds to wait for a connection."""
STATEMENTS: Final = 500
"""Translations that are remembered; the code has fewer statements."""
_SESSION: Final = """
SET default_transaction_isolation = 'read committed';
SET idle_in_transaction_session_timeout = {};
SET statement_timeout = {};
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
"""
"""A process that stands still in a transaction does not keep the next one from taking over; what is said is on disk."""
_END_STUCK: Final = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()
  AND application_name = ANY(?) AND datname = current_database() AND state = 'active' AND wait_event = 'ClientRead'
  AND state_change < clock_timestamp() - ? * interval '1 second'"""
_USE: Final = "SET search_path = {0}; SET application_name = '{0}{1}'"
_DIALECT: Final = {
    "BEGIN IMMEDIATE": "BEGIN",
    "BLOB": "BYTEA",
    "REAL": "DOUBLE PRECISION",
    "INTEGER PRIMARY KEY": "BIGSERIAL PRIMARY KEY",
    "INTEGER NOT NULL": "BIGINT NOT NULL",
    "WITHOUT ROWID": "",
    "max(0, ": "greatest(0, ",
    "wall()": "extract(epoch FROM clock_timestamp())::float8",
}
"""What PostgreSQL writes in another way than SQLite."""


class PostgresReply(NamedTuple):
    """What a statement has found or changed."""

    rows: list[tuple[Any, ...]]
    rowcount: int

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return all rows."""
        return self.rows

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the first row."""
        return self.rows[0] if self.rows else None


class PostgresConnection:
    """A connection that can be made anew when it is lost."""

    def __init__(self, url: str) -> None:
        self._backend = PostgresBackend(f"postgresql+asyncpg://{url.strip().partition('://')[2]}", timeout=TIMEOUT)
        self.location = self._backend.location
        self.schema = ""
        """Where the tables are; set before the first statement that names one."""
        self.use_name = ""
        """Added to the name of the schema, to tell other processes what the connection is for."""
        self.patience = 10.0
        """Seconds after which the server ends a transaction in which this process stands still."""
        self.limit = 0.0
        """Seconds that a statement may take, so that none waits whose answer is not wanted; 0 for no limit."""
        self.channel = ""
        """Where it listens."""
        self.told: Callable[[str], object] = lambda _: None
        """Called with what it hears, and with an empty text when it may have missed something."""
        self.before: Callable[[], None] = lambda: None
        self._driver: Any = import_module("asyncpg")  # it has no types
        self._link: Any = None
        self._statements: dict[str, Any] = {}

    @property
    def is_lost(self) -> bool:
        """Return whether statements need another connection."""
        return self._link is None or self._link.is_closed()

    def connect(self) -> None:
        """Connect, unless it is connected."""
        if self.is_lost:
            await_only(self._connect())

    def use(self, schema: str) -> None:
        """Find tables in a schema, and tell other processes that it is used."""
        self.schema = schema
        self.execute(_USE.format(schema, self.use_name))

    def end_stuck(self, schema: str, patience: float) -> None:
        """End the connections of processes that have stood still in the middle of a statement for so many seconds.

        The driver prepares a statement in two steps. The server takes a session for active between them, so its limits
        do not apply, and what the transaction has locked would be locked for as long as the process stands still.
        """
        self.execute(_END_STUCK, ([schema, f"{schema}_host", f"{schema}_guest"], patience))

    def execute(self, sql: str, values: Sequence[Any] = ()) -> PostgresReply:
        """Run one statement, after what has to come before each."""
        self.before()
        return self.run(sql, values)

    def run(self, sql: str, values: Sequence[Any] = ()) -> PostgresReply:
        """Run one statement."""
        return self._wait(self._run(sql, values))

    def send(self, sql: str) -> PostgresReply:
        """Run statements as they are written: with texts of users, or no two alike, which nothing should remember."""
        self.before()
        return self._wait(self._send(sql))

    def _wait(self, reply: Coroutine[Any, Any, PostgresReply]) -> PostgresReply:
        try:
            return await_only(reply)
        except self._driver.InternalClientError as error:  # the server has just ended it
            self.drop()
            raise ConnectionResetError("the server has ended the connection") from error

    def roll_back(self) -> None:
        """End a transaction that has failed; without an answer the connection is given up, and the server ends it."""
        if self.is_lost:
            return
        try:
            if self._link.is_in_transaction():
                self.run("ROLLBACK")
        except Exception:
            self.drop()

    def drop(self) -> None:
        """End the connection without a word to the server."""
        if self._link is not None:
            self._link.terminate()
            self._link = None

    async def close(self) -> None:
        """End the connection."""
        if not self.is_lost:
            try:
                await self._link.close(timeout=TIMEOUT)
            except Exception:
                self.drop()

    async def _connect(self) -> None:
        self._statements = {}
        self._link = link = await self._driver.connect(**self._backend.arguments())
        await link.execute(_SESSION.format(max(1, int(self.patience * 1_000)), int(self.limit * 1_000)))
        if self.schema:
            await link.execute(_USE.format(self.schema, self.use_name))
        if self.channel:
            await link.add_listener(self.channel, self._hear)
            self.told("")

    def _hear(self, _link: Any, _process: int, _channel: str, text: str) -> None:
        self.told(text)

    async def _run(self, sql: str, values: Sequence[Any]) -> PostgresReply:
        if not values and not sql.startswith("SELECT"):
            return await self._send(translated(sql))
        if (statement := self._statements.get(sql)) is None:
            statement = self._statements[sql] = await self._link.prepare(translated(sql))
        rows = [tuple(map(_plain, row)) for row in await statement.fetch(*map(_escaped, values))]
        return _reply(rows, statement.get_statusmsg())

    async def _send(self, sql: str) -> PostgresReply:
        return _reply([], await self._link.execute(sql))


def _reply(rows: list[tuple[Any, ...]], status: str) -> PostgresReply:
    last = status.rpartition(" ")[2]
    return PostgresReply(rows, int(last) if last.isdecimal() else -1)


@lru_cache(STATEMENTS)
def translated(sql: str) -> str:
    """Return a statement as PostgreSQL writes it."""
    for theirs, ours in _DIALECT.items():
        sql = sql.replace(theirs, ours)
    numbers = count(1)
    return re.sub(r"\?(\d*)", lambda mark: f"${mark[1] or next(numbers)}", sql)


def _escaped(value: Any) -> Any:
    """Return a value whose texts are without NUL, which no text of PostgreSQL can hold."""
    if isinstance(value, str):
        return value.replace("\x1a", "\x1a1").replace("\0", "\x1a0")
    return [_escaped(one) for one in cast("Sequence[Any]", value)] if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    is_escaped = isinstance(value, str) and "\x1a" in value
    return value.replace("\x1a0", "\0").replace("\x1a1", "\x1a") if is_escaped else value
