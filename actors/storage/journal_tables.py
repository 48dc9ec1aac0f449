"""The tables of a journal in SQLite: each read and each change of them. The caller begins and commits.

Every row has a checksum, because the pages of SQLite have none.
"""

import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from sqlite3 import Connection, connect
from typing import Any, ClassVar, Final

import msgspec
from msgspec.structs import astuple, replace

from protocols.journal import (
    Acknowledgement,
    DeadEntry,
    EndOutcome,
    Entry,
    JournalBrokenError,
    JournalVersionError,
    Outcome,
)

MEMORY_LIMIT: Final = 1_000
"""Payloads of one memory that pruning leaves."""
PRUNED: Final = 1_000
"""Rows that one pruning deletes at most."""
FIRST: Final = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE message(seq INTEGER PRIMARY KEY, id BLOB NOT NULL, mailbox TEXT NOT NULL, sender TEXT NOT NULL,
  kind TEXT NOT NULL, payload BLOB, accepted REAL NOT NULL, due REAL, expires REAL, attempts INTEGER NOT NULL,
  done REAL, outcome TEXT, reply BLOB, error TEXT, crc INTEGER NOT NULL);
CREATE UNIQUE INDEX message_id ON message(id);
CREATE INDEX message_open ON message(mailbox, seq) WHERE done IS NULL;
CREATE INDEX message_done ON message(done) WHERE done IS NOT NULL;
CREATE TABLE dead(seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, mailbox TEXT NOT NULL, sender TEXT NOT NULL,
  kind TEXT NOT NULL, payload BLOB, accepted REAL NOT NULL, attempts INTEGER NOT NULL, died REAL NOT NULL,
  reason TEXT NOT NULL, error TEXT NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE step(run BLOB, key TEXT, digest BLOB, payload BLOB, crc INTEGER NOT NULL, PRIMARY KEY(run, key))
  WITHOUT ROWID;
CREATE TABLE memory(seq INTEGER PRIMARY KEY, mailbox TEXT NOT NULL, payload BLOB NOT NULL, crc INTEGER NOT NULL);
CREATE INDEX memory_mailbox ON memory(mailbox, seq);
INSERT INTO meta VALUES ('epoch', 0), ('pool', ''), ('checkpoints', 0)
"""
CLUSTER: Final = """
CREATE TABLE shard(no INTEGER NOT NULL PRIMARY KEY, owner TEXT, epoch INTEGER NOT NULL);
CREATE TABLE host(id TEXT NOT NULL PRIMARY KEY, cluster TEXT NOT NULL, name TEXT NOT NULL, about BLOB NOT NULL,
  snapshot BLOB NOT NULL, until REAL NOT NULL, asked INTEGER NOT NULL, life INTEGER NOT NULL);
CREATE TABLE lane(host TEXT NOT NULL PRIMARY KEY, commits INTEGER NOT NULL);
CREATE TABLE caller(id BLOB NOT NULL, host TEXT NOT NULL, gave_up TEXT, PRIMARY KEY(id, host));
CREATE INDEX caller_gave_up ON caller(id) WHERE gave_up IS NOT NULL
"""
"""What hosts that share a journal write as well: see `ClusterTables`."""
KEPT: Final = "id, mailbox, sender, kind, payload, accepted, due, expires, attempts"
ENDED: Final = "id, mailbox, accepted, outcome, reply, error"
_DIED: Final = "id, mailbox, sender, kind, payload, accepted, attempts, died, reason, error"
_CHECKSUMS: Final = {
    "message": f"CASE WHEN done IS NULL THEN checksum({KEPT}, error) ELSE checksum({ENDED}) END",
    "dead": f"checksum({_DIED})",
    "memory": "checksum(mailbox, payload)",
    "step": "checksum(run, key, digest, payload)",
}
ENDING: Final = """UPDATE message SET payload = NULL, done = ?1, outcome = ?2, reply = ?3, error = ?4, crc = {}
  WHERE id = ?5 AND done IS NULL"""
IS_OPEN: Final = "id = ? AND done IS NULL"
_WITHIN: Final = "(mailbox = ?1 OR substr(mailbox, 1, length(?1) + 1) IN (?1 || '/', ?1 || '#', ?1 || '@'))"
_MOVED: Final = "?2 || substr(mailbox, length(?1) + 1)"
_SURPLUS: Final = """SELECT seq FROM (SELECT seq, row_number() OVER (PARTITION BY mailbox ORDER BY seq DESC) AS place
  FROM memory) AS ranked WHERE place > ? LIMIT ?"""


def checksum(*values: Any) -> int:
    """Return the checksum of the values of a row."""
    return zlib.crc32(msgspec.msgpack.encode(values))


def _first(connection: Connection) -> None:
    for statement in FIRST.split(";"):
        connection.execute(statement)


MIGRATIONS: Final[Sequence[Callable[[Connection], None]]] = (_first,)
"""The one at place n makes schema n + 1 of schema n."""


def schema_of(connection: Connection) -> int:
    """Return the number of the schema, 0 for an empty database.

    Raises:
        JournalBrokenError: it is a database of another kind.
        JournalVersionError: a newer version has written it.
    """
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    found = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone() if "meta" in names else None
    if found is None and names:
        raise JournalBrokenError(f"holds tables of something else ({', '.join(sorted(names))}); choose another file")
    number: Any = 0 if found is None else found[0]
    if not isinstance(number, int) or number > len(MIGRATIONS):
        message = f"has schema {number!r}, and this version knows {len(MIGRATIONS)}; use the version that wrote it"
        raise JournalVersionError(message)
    return number


def check_layout(connection: Connection) -> None:
    """Raise `JournalBrokenError` if the tables are not those of this version."""
    sql = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_stat%' ORDER BY name"
    with closing(connect(":memory:", isolation_level=None)) as model:
        migrate(model)
        if connection.execute(sql).fetchall() != model.execute(sql).fetchall():
            raise JournalBrokenError("has other tables than it should; restore a copy of it")


def migrate(connection: Connection) -> None:
    """Bring the schema up to date."""
    for step in MIGRATIONS[schema_of(connection) :]:
        step(connection)
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('schema', ?)", (len(MIGRATIONS),))


class JournalTables:
    """Reads and changes by one connection."""

    _ending: ClassVar[str] = ENDING.format("checksum(id, mailbox, accepted, ?2, ?3, ?4)")

    def __init__(self, connection: Connection, now: Callable[[], float]) -> None:
        self.connection = connection
        self._now = now
        self._seen: int = -1
        self._prepare()
        self.tally: defaultdict[str, int] = defaultdict(int)
        """What the transaction has changed, by names of `JournalStatistics`."""
        self.oldest: tuple[bytes, float] | None = None
        """Id and time of acceptance of the oldest open message; looked up again by `version`."""
        self._is_stale = True

    def _prepare(self) -> None:
        self.connection.create_function("checksum", -1, checksum, deterministic=True)

    def commit(self) -> None:
        """Commit the transaction."""
        self.connection.execute("COMMIT")

    def rolled_back(self) -> None:
        """Forget what the transaction has changed."""
        self.tally.clear()
        self._seen = -1

    def check(self) -> None:
        """Raise `JournalBrokenError` if a row is damaged."""
        for table, crc in _CHECKSUMS.items():
            if self._value(f"SELECT count(*) FROM {table} WHERE crc IS NOT {crc}"):
                raise JournalBrokenError(f"has a damaged row of its table {table!r}; restore a copy of it")

    # ------------------------------------------------------------------------------------------ changes

    def accept(self, entries: Iterable[Entry]) -> list[int | None]:
        """Insert messages that are not known."""
        return [self._insert(entry) for entry in entries]

    def settle(self, one: Acknowledgement) -> list[int | None]:
        """End an open message, with all that follows."""
        if not self._end(one.id, one.outcome, one):
            return [None for _ in one.outbox]
        for id in one.also:
            self._end(id, "handled", None)
        if one.steps_of is not None:
            self._change("DELETE FROM step WHERE run = ?", one.steps_of)
        for name, payload in one.memory:
            values = (name, payload, checksum(name, payload))
            self._change("INSERT INTO memory(mailbox, payload, crc) VALUES (?, ?, ?)", *values)
        return self.accept(one.outbox) if one.outbox else []

    def begin(self, id: bytes, change: int = 1) -> int:
        """Count an attempt of an open message, or take it back."""
        self.tally["redelivered"] += change > 0 and self._is_open(id)
        return self._update(id, "attempts = max(0, attempts + ?)", change)

    def postpone(self, id: bytes, due: float, error: str) -> int:
        """Give an open message another time."""
        return self._update(id, "attempts = attempts + 1, due = ?, error = ?", float(due), error)

    def keep_step(self, run: bytes, key: str, digest: bytes, payload: bytes) -> None:
        """Insert or replace a step of an open message."""
        if self._is_open(run):
            values = (run, key, digest, payload)
            new = "digest = excluded.digest, payload = excluded.payload, crc = excluded.crc"
            sql = f"INSERT INTO step VALUES (?, ?, ?, ?, ?) ON CONFLICT(run, key) DO UPDATE SET {new}"
            self._change(sql, *values, checksum(*values))

    def forget(self, name: str) -> int:
        """Delete a memory."""
        return self._change("DELETE FROM memory WHERE mailbox = ?", name)

    def replay(self, ids: Sequence[bytes]) -> list[Entry]:
        """Open dead letters again."""
        return [entry for id in ids for one in self._dead("id = ?", id) if (entry := self._reopen(one.entry))]

    def discard(self, ids: Sequence[bytes]) -> int:
        """Delete dead letters, and the steps that were kept for a replay."""
        found = [id for id in ids if self._change("DELETE FROM dead WHERE id = ?", id)]
        for id in found:
            if not self._is_open(id):
                self._change("DELETE FROM step WHERE run = ?", id)
        self.tally["dead"] -= len(found)
        return len(found)

    def move(self, old: str, new: str) -> int:
        """Rename a mailbox, or all of a pool."""
        count: int = self._value(f"SELECT count(*) FROM message WHERE done IS NULL AND {_WITHIN}", old)
        for table in ("message", "dead", "memory"):
            self._change(f"UPDATE {table} SET mailbox = {_MOVED}{self._recount(table)} WHERE {_WITHIN}", old, new)
        self._rename(old, new)
        return count

    def surplus(self, keep: float) -> tuple[list[tuple[int, bytes]], list[tuple[int]]]:
        """Return what a pruning deletes: place and id of messages, places in memories. The last message stays."""
        found = self.connection.execute(
            "SELECT seq, id FROM message WHERE done < ? AND seq < (SELECT max(seq) FROM message) ORDER BY done LIMIT ?",
            (self._now() - keep, PRUNED),
        ).fetchall()
        return found, self.connection.execute(_SURPLUS, (MEMORY_LIMIT, PRUNED)).fetchall()

    def prune(self, keep: float) -> int:
        """Delete what is old, and return how many messages."""
        return self.delete(*self.surplus(keep))

    def delete(self, messages: Sequence[tuple[int, bytes]], memories: Sequence[tuple[int]]) -> int:
        """Delete a surplus. A message that was replayed meanwhile stays."""
        many = self.connection.executemany
        count = many("DELETE FROM message WHERE seq = ? AND id = ? AND done IS NOT NULL", messages).rowcount
        ids = [(id,) for _, id in messages]
        known = "SELECT id FROM dead WHERE id = run UNION ALL SELECT id FROM message WHERE id = run"
        many(f"DELETE FROM step WHERE run = ? AND NOT EXISTS ({known})", ids)
        many("DELETE FROM memory WHERE seq = ?", memories)
        return max(0, count)

    # -------------------------------------------------------------------------------------------- reads

    def steps(self, run: bytes) -> dict[str, tuple[bytes, bytes]]:
        """Return the steps of a message."""
        rows = self._rows("SELECT 0, run, key, digest, payload, crc FROM step WHERE run = ? ORDER BY key", run)
        return {key: (digest, payload) for _, _, key, digest, payload in rows}

    def waiting(self, mailbox: str, after: int, limit: int) -> list[Entry]:
        """Return open messages in order."""
        where = "mailbox = ? AND done IS NULL AND seq > ? ORDER BY seq LIMIT ?"
        rows = self._rows(f"SELECT seq, {KEPT}, error, crc FROM message WHERE {where}", mailbox, after, limit)
        return [replace(Entry(*values), seq=seq) for seq, *values, _ in rows]

    def counts(self) -> dict[str, int]:
        """Return the number of open messages of each mailbox."""
        sql = "SELECT mailbox, count(*) FROM message WHERE done IS NULL GROUP BY mailbox"
        return dict(self.connection.execute(sql).fetchall())

    def memory(self, name: str, limit: int) -> list[bytes]:
        """Return the end of a memory."""
        where = "mailbox = ? ORDER BY seq DESC LIMIT ?"
        rows = self._rows(f"SELECT seq, mailbox, payload, crc FROM memory WHERE {where}", name, limit)
        return [payload for _, _, payload in reversed(rows)]

    def find(self, id: bytes) -> Outcome | None:
        """Return what is known of a message."""
        # Open first: a message that ends between the two looks is found by the second one.
        for row in self._rows(f"SELECT 0, {KEPT}, error, crc FROM message WHERE {IS_OPEN}", id):
            return Outcome(row[2], row[6], error=row[-1])
        for row in self._rows(f"SELECT 0, {ENDED}, crc FROM message WHERE id = ? AND done IS NOT NULL", id):
            _, _, mailbox, accepted, outcome, reply, error = row
            return Outcome(mailbox, accepted, outcome, reply, error)
        return None

    def dead(self, *, mailbox: str | None = None, after: int = 0, limit: int = 100) -> list[DeadEntry]:
        """Return dead letters in order."""
        where = "(mailbox = ?1 OR ?1 IS NULL OR substr(mailbox, 1, length(?1) + 1) = ?1 || '@') AND seq > ?2"
        return self._dead(f"{where} ORDER BY seq LIMIT ?3", mailbox, after, limit)

    def version(self) -> int:
        """Return the number of changes by others, and count again after one."""
        number = self._foreign_changes()
        if number != self._seen:
            self.tally["open"] = self._value("SELECT count(*) FROM message WHERE done IS NULL")
            self.tally["dead"] = self._value("SELECT count(*) FROM dead")
            self.tally["counted"] = 1
        if number != self._seen or self._is_stale:
            where = "seq = (SELECT min(seq) FROM message WHERE done IS NULL)"
            self.oldest = self.connection.execute(f"SELECT id, accepted FROM message WHERE {where}").fetchone()
        self._seen, self._is_stale = number, False
        return number

    # ------------------------------------------------------------------------------------------- pieces

    def _insert(self, entry: Entry) -> int | None:
        due = None if entry.due is None else float(entry.due)
        expires = None if entry.expires is None else float(entry.expires)
        values = (entry.id, entry.mailbox, entry.sender, entry.kind, entry.payload, float(entry.accepted))
        row = (*values, due, expires, entry.attempts)
        sql = f"INSERT INTO message({KEPT}, crc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(id) DO NOTHING"
        cursor = self.connection.execute(sql, (*row, checksum(*row, None)))
        if not cursor.rowcount:
            self.tally["duplicates"] += 1
            return None
        self.tally["accepted"] += 1
        self._opened(entry)
        return cursor.lastrowid

    def _opened(self, entry: Entry) -> None:
        self.tally["open"] += 1
        if self.oldest is None:
            self.oldest = (entry.id, entry.accepted)

    def _end(self, id: bytes, outcome: EndOutcome, one: Acknowledgement | None) -> bool:
        reply, error, is_dead = (None, None, False) if one is None else (one.reply, one.error, one.is_dead)
        if is_dead and self._is_open(id):
            self._bury(id, outcome, error or "")
        if not self.connection.execute(self._ending, (self._now(), outcome, reply, error, id)).rowcount:
            return False
        self.tally["open"] -= 1
        self.tally["settled"] += 1
        self._is_stale = self._is_stale or (self.oldest is not None and self.oldest[0] == id)
        return True

    def _bury(self, id: bytes, reason: EndOutcome, error: str) -> None:
        sql = f"SELECT 0, {KEPT}, error, crc FROM message WHERE id = ?"
        ((_, *values, _, _, attempts, _),) = self._rows(sql, id)
        self.tally["dead"] += 1 - self._change("DELETE FROM dead WHERE id = ?", id)
        row = (*values, attempts, self._now(), reason, error)
        sql = f"INSERT INTO dead({_DIED}, crc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        self._change(sql, *row, checksum(*row))

    def _reopen(self, entry: Entry) -> Entry | None:
        """Give a dead letter the next place, unless a message with its id is open."""
        if self._is_open(entry.id):
            return None
        place = self._next_place()
        entry = replace(entry, attempts=0, seq=place)
        row = astuple(entry)[:-1]
        self._change("DELETE FROM message WHERE id = ?", entry.id)
        sql = f"INSERT INTO message(seq, {KEPT}, crc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        self._change(sql, place, *row, checksum(*row, None))
        self.tally["dead"] -= self._change("DELETE FROM dead WHERE id = ?", entry.id)
        self._opened(entry)
        return entry

    def _next_place(self) -> int:
        place: int = self._value("SELECT coalesce(max(seq), 0) + 1 FROM message")
        return place

    def _foreign_changes(self) -> int:
        number: int = self._value("PRAGMA data_version")
        return number

    def _rename(self, old: str, new: str) -> None:
        self._change("UPDATE meta SET value = ?2 WHERE key = 'pool' AND value = ?1", old, new)

    def _recount(self, table: str) -> str:
        """Return how the checksum of a row changes with its mailbox; what was damaged stays damaged."""
        crc = _CHECKSUMS[table]
        return f", crc = crc + {crc.replace('mailbox', _MOVED)} - {crc}"

    def _dead(self, where: str, *values: Any) -> list[DeadEntry]:
        found: list[DeadEntry] = []
        for seq, *row in self._rows(f"SELECT seq, {_DIED}, crc FROM dead WHERE {where}", *values):
            entry = replace(Entry(*row[:6]), attempts=row[6], seq=seq)
            found.append(DeadEntry(entry, died=row[7], reason=row[8], error=row[9]))
        return found

    def _update(self, id: bytes, changes: str, *values: Any) -> int:
        """Change an open message; return its attempts, 0 if it is not open."""
        if not self._change(f"UPDATE message SET {changes} WHERE {IS_OPEN}", *values, id):
            return 0
        self._change(f"UPDATE message SET crc = checksum({KEPT}, error) WHERE id = ?", id)
        attempts: int = self._value("SELECT attempts FROM message WHERE id = ?", id)
        return attempts

    def _is_open(self, id: bytes) -> bool:
        return bool(self._value(f"SELECT count(*) FROM message WHERE {IS_OPEN}", id))

    def _change(self, sql: str, *values: Any) -> int:
        return self.connection.execute(sql, values).rowcount

    def _value(self, sql: str, *values: Any) -> Any:
        return self.connection.execute(sql, values).fetchone()[0]

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return rows without their checksum, which is the last column and is of all but the first one."""
        rows: list[tuple[Any, ...]] = self.connection.execute(sql, values).fetchall()
        for row in rows:
            if checksum(*row[1:-1]) != row[-1]:
                raise JournalBrokenError("has a damaged row; restore a copy of it")
        return [row[:-1] for row in rows]
