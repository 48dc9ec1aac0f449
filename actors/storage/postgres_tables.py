"""The tables of a journal in PostgreSQL: those in SQLite, with common statements for many messages."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Final

from msgspec.structs import astuple

from actors.storage.journal_tables import CLUSTER, ENDING, FIRST, IS_OPEN, KEPT, JournalTables
from actors.storage.postgres_connection import PostgresConnection
from protocols.journal import Acknowledgement, Entry, JournalError

POOLS: Final = "understage_journal.pool"
"""Which pools have a journal in the database."""
_ACCEPT: Final = f"""INSERT INTO message({KEPT}, crc)
  SELECT {KEPT}, 0 FROM unnest(?::bytea[], ?::text[], ?::text[], ?::text[], ?::bytea[], ?::float8[], ?::float8[],
    ?::float8[], ?::bigint[]) WITH ORDINALITY AS new({KEPT}, place) ORDER BY place
  ON CONFLICT(id) DO NOTHING RETURNING id, seq"""
SETTLE: Final = """UPDATE message
  SET payload = NULL, done = ?, outcome = new.outcome, reply = new.reply, error = new.error
  FROM unnest(?::bytea[], ?::text[], ?::bytea[], ?::text[]) AS new(id, outcome, reply, error)
  WHERE message.id = new.id AND done IS NULL RETURNING message.id, NULL AS host"""
_REMEMBER: Final = """INSERT INTO memory(mailbox, payload, crc) SELECT mailbox, payload, 0
  FROM unnest(?::text[], ?::bytea[]) WITH ORDINALITY AS new(mailbox, payload, place) ORDER BY place"""
_SIZE: Final = """SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
  WHERE relkind = 'r' AND relnamespace = to_regnamespace(current_schema())"""


def _first(connection: PostgresConnection, schema: str) -> None:
    connection.execute(f"CREATE SCHEMA {schema}")
    connection.use(schema)
    for statement in FIRST.strip().split(";"):
        if "meta" not in statement:
            connection.execute(statement.strip())


def _second(connection: PostgresConnection, schema: str) -> None:
    connection.use(schema)
    for statement in CLUSTER.strip().split(";"):
        connection.execute(statement.strip())


def _third(connection: PostgresConnection, schema: str) -> None:
    connection.use(schema)
    connection.execute("ALTER TABLE host ADD COLUMN IF NOT EXISTS life BIGINT NOT NULL DEFAULT 0")


MIGRATIONS: Final[Sequence[Callable[[PostgresConnection, str], None]]] = (_first, _second, _third)
"""The one at place n makes schema n + 1 of schema n."""


class PostgresTables(JournalTables):
    """The tables of one pool. Their rows are not checked: PostgreSQL has checksums of its own, for its pages."""

    _ending: ClassVar[str] = ENDING.format("0")
    _settle: ClassVar[str] = SETTLE
    """Ends messages; gives a row with the id for each, and for each host that waits for it."""

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
        number: int = self._value(f"SELECT changes FROM {POOLS} WHERE number = ?", self._number)
        return number

    def _rename(self, old: str, new: str) -> None:
        if self._value(f"SELECT count(*) FROM {POOLS} WHERE name = ?", new):
            raise JournalError(f"has a pool {new!r} already; choose another name")
        self._change(f"UPDATE {POOLS} SET name = ?2 WHERE name = ?1", old, new)

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
                self._opened(entry)

    def _end_all(self) -> None:
        given, self._ended, self._has_outbox = self._ended, {}, False
        if not given:
            return
        columns = zip(*((id, one.outcome, one.reply, one.error) for id, (one, _) in given.items()), strict=True)
        rows = self._run(self._settle, [self._now(), *map(list, columns)]).rows
        found = dict(rows)
        ended = [pair for id, pair in given.items() if id in found]
        self.ended_for([row for row in rows if row[1] is not None])
        self.tally["open"] -= len(ended)
        self.tally["settled"] += len(ended)
        self._is_stale = self._is_stale or (self.oldest is not None and self.oldest[0] in found)
        if runs := [one.steps_of for one, _ in ended if one.steps_of is not None]:
            self._run("DELETE FROM step WHERE run = ANY(?)", [runs])
        if memory := [row for one, _ in ended for row in one.memory]:
            self._run(_REMEMBER, [[name for name, _ in memory], [payload for _, payload in memory]])
        for one, places in ended:
            self._later(one.outbox, places)

    def ended_for(self, rows: Sequence[tuple[bytes, str]]) -> None:
        """Take note of hosts that wait for what was ended; there are some in a cluster only."""
