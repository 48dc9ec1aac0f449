"""What hosts that share a journal write besides messages: who lives, who has which shard, who waits for what.

The statements are those of PostgreSQL. `ClusterTables` runs on SQLite in memory as well, where one writes at a time.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import Any, ClassVar, Final

import msgspec
from msgspec.structs import replace

from actors.storage.journal_tables import ENDED, JournalTables
from protocols.cluster import COUNTED, SHARDS, ClusterMismatchError, HostRecord, Lease, Notice, shard_of
from protocols.journal import Acknowledgement, EndOutcome, Entry, JournalFencedError, Outcome

REMEMBERED: Final = 3_600.0
"""Seconds for which a dead host is shown."""
KEPT_FOR: Final = 86_400.0
"""Seconds after which a dead host can write no more, not even if it comes back."""
FORGOTTEN: Final = "has forgotten this host, because it was away for too long; restart the process"
_EXPECT: Final = """INSERT INTO caller(id, host) SELECT id, CAST(? AS TEXT) FROM message
  WHERE id = ANY(?) AND done IS NULL ON CONFLICT(id, host) DO UPDATE SET gave_up = NULL"""
_GIVE_UP: Final = """INSERT INTO caller SELECT id, ?, ? FROM message WHERE id = ? AND done IS NULL
  ON CONFLICT(id, host) DO UPDATE SET gave_up = excluded.gave_up"""
_GIVEN_UP: Final = """SELECT caller.id, min(gave_up), mailbox FROM caller JOIN message ON message.id = caller.id
  WHERE gave_up IS NOT NULL AND done IS NULL AND {}
  AND NOT EXISTS (SELECT 1 FROM caller AS other WHERE other.id = caller.id AND other.gave_up IS NULL)
  GROUP BY caller.id, mailbox"""
_MAILBOXES: Final = """SELECT found FROM (WITH RECURSIVE one(found) AS (
  SELECT min(mailbox) FROM message WHERE done IS NULL
  UNION ALL SELECT (SELECT min(mailbox) FROM message WHERE done IS NULL AND mailbox > one.found) FROM one
  WHERE one.found IS NOT NULL) SELECT found FROM one) AS mailboxes WHERE found IS NOT NULL"""
"""One look at the index for each mailbox, however many messages it has."""
_LIVE: Final = "life = life + CASE WHEN until <= wall() THEN 1 ELSE 0 END"
_RENEW: Final = f"""UPDATE host SET until = wall() + ?1, {_LIVE}, cluster = ?2, name = ?3, snapshot = ?4,
  about = CASE WHEN about = ?5 THEN about ELSE ?5 END WHERE id = ?6"""
_CLAIM: Final = """UPDATE shard SET owner = ?, epoch = epoch + 1 WHERE no IN (SELECT no FROM shard WHERE no = ANY(?)
  AND (owner IS NULL OR owner = ANY(?) OR NOT EXISTS (SELECT 1 FROM host WHERE host.id = owner))
  ORDER BY no LIMIT ? FOR UPDATE) RETURNING no, epoch"""
_FREE: Final = """SELECT count(*) FROM shard LEFT JOIN host ON host.id = owner
  WHERE owner IS NULL OR until IS NULL OR until < wall()"""
_HOSTS: Final = """SELECT id, about, asked, until - wall(), life, snapshot FROM host
  WHERE cluster <> '' AND until > wall() - ? ORDER BY name, id"""


class ClusterTables(JournalTables):
    """The tables of one pool, as one host reads and changes them."""

    host: str = ""
    """The id of the host."""
    shards: int = SHARDS
    location: str = ""
    owners: dict[int, tuple[str | None, int]]
    """Host and epoch of each shard that the transaction has locked."""
    notices: defaultdict[str, list[Notice]]
    """What other hosts are told after the commit."""
    _expected: list[bytes]
    _count_at: float = 0.0
    """When the open messages are counted again; others write as well."""

    _is_plain: ClassVar[bool] = True
    """True if statements have to be turned into those of SQLite."""

    def _prepare(self) -> None:
        super()._prepare()
        self.owners, self._expected, self.notices = {}, [], defaultdict(list)

    def rolled_back(self) -> None:
        """Forget what the transaction has changed."""
        self._expected.clear()
        self.notices.clear()
        super().rolled_back()

    def commit(self) -> None:
        """Commit the transaction."""
        self._keep_callers()
        super().commit()

    def _keep_callers(self) -> None:
        expected, self._expected = self._expected, []
        if expected:
            self._found(_EXPECT, self.host, expected)

    def told(self) -> list[tuple[str, Notice]]:
        """Return what the transaction has to say, one notice for each host."""
        found, self.notices = self.notices, defaultdict(list)
        return [(host, _merged(notices)) for host, notices in found.items()]

    # -------------------------------------------------------------------------------------------- leases

    def make_shards(self, number: int) -> None:
        """Make this host known, and the shards. Another number than before needs that no host lives.

        Raises:
            ClusterMismatchError: hosts live that have another number.
        """
        before = self.count_shards()
        if before != number:
            if live := self._found("SELECT name FROM host WHERE until > wall() ORDER BY name"):
                names = ", ".join(name for (name,) in live)
                message = f"has {before} shards while its hosts live ({names}), and this one wants {number}"
                raise ClusterMismatchError(f"{message}; end them first, or write `shards: {before}`")
            epoch = self._value("SELECT coalesce(max(epoch), 0) FROM shard")
            for table in ("shard", "host", "lane"):  # what comes back with the old number is refused
                self._change(f"DELETE FROM {table}")
            for no in range(number):
                self._change("INSERT INTO shard VALUES (?, NULL, ?)", no, epoch)
        self._change("DELETE FROM host WHERE until < wall() - ?", KEPT_FOR)
        self._change("DELETE FROM lane WHERE NOT EXISTS (SELECT 1 FROM host WHERE host.id = lane.host)")
        new = "INSERT INTO host VALUES (?, '', '', ?, ?, wall(), 0, 0) ON CONFLICT(id) DO NOTHING"
        self._change(new, self.host, msgspec.json.encode(HostRecord(id=self.host, cluster="")), b"")
        self._change("INSERT INTO lane VALUES (?, 0) ON CONFLICT(host) DO UPDATE SET commits = 0", self.host)

    def count_shards(self) -> int:
        """Return the number of shards; 0 for a pool that was never in a cluster."""
        return int(self._value("SELECT count(*) FROM shard"))

    def mark(self) -> None:
        """Count a transaction. Raises JournalFencedError if this host is forgotten."""
        if not self._change("UPDATE lane SET commits = commits + 1 WHERE host = ?", self.host):
            raise JournalFencedError(FORGOTTEN)

    def lock(self, shards: Collection[int]) -> None:
        """Keep the shards from changing their owners until the commit, and other hosts from writing into them."""
        sql = "SELECT no, owner, epoch FROM shard WHERE no = ANY(?) ORDER BY no FOR UPDATE"
        rows = self._found(sql, [*shards]) if shards else ()
        self.owners = {no: (owner, epoch) for no, owner, epoch in rows}

    def holds(self, lease: Lease) -> bool:
        """Return True if a lease of this host is good; its shard is locked."""
        return self.owners.get(lease.shard) == (self.host, lease.epoch)

    def renew(self, me: HostRecord, ttl: float) -> tuple[Lease, ...]:
        """Live so much longer; return the leases of this host."""
        about = msgspec.json.encode(replace(me, snapshot=b"", left=0.0, shards=()))
        if not self._change(_RENEW, ttl, me.cluster, me.name, me.snapshot, about, self.host):
            raise JournalFencedError(FORGOTTEN)
        for cluster, name in self._found(
            "SELECT cluster, name FROM host WHERE cluster <> ? AND until > wall() AND id <> ? LIMIT 1",
            me.cluster,
            self.host,
        ):
            message = f"is used by the cluster {cluster!r} (host {name!r}), and this is a host of {me.cluster!r}"
            raise ClusterMismatchError(f"{message}; give both the same `name`, or the pool another one")
        return _leases(self._found("SELECT no, epoch FROM shard WHERE owner = ? ORDER BY no", self.host))

    def claim(self, most: int, ttl: float, among: Collection[int]) -> tuple[Lease, ...]:
        """Take free shards of some. A host that is renewing its leases keeps them: its row is locked."""
        if not self._change(f"UPDATE host SET until = wall() + ?, {_LIVE} WHERE id = ?", ttl, self.host):
            raise JournalFencedError(FORGOTTEN)
        dead = "SELECT id FROM host WHERE until < wall() ORDER BY id FOR UPDATE SKIP LOCKED"
        return _leases(sorted(self._found(_CLAIM, self.host, [*among], [id for (id,) in self._found(dead)], most)))

    def give_back(self, leases: Iterable[Lease]) -> None:
        """Make shards free that this host has."""
        free = "UPDATE shard SET owner = NULL WHERE no = ? AND epoch = ? AND owner = ?"
        for lease in sorted(leases, key=lambda one: one.shard):
            self._change(free, lease.shard, lease.epoch, self.host)
        self._tell_all()

    def leave(self) -> None:
        """Make all shards of this host free, and forget it."""
        self._change("UPDATE host SET until = 0 WHERE id = ?", self.host)
        self._change("UPDATE shard SET owner = NULL WHERE owner = ?", self.host)
        self._change("DELETE FROM host WHERE id = ?", self.host)
        self._tell_all()

    def hosts(self) -> list[HostRecord]:
        """Return the hosts, by name."""
        shards: defaultdict[str, list[int]] = defaultdict(list)
        for no, owner in self._found("SELECT no, owner FROM shard WHERE owner IS NOT NULL ORDER BY no"):
            shards[owner].append(no)
        found: list[HostRecord] = []
        for id, about, asked, left, life, snapshot in self._found(_HOSTS, REMEMBERED):
            one = msgspec.json.decode(about, type=HostRecord)
            values = {"left": left, "life": life, "snapshot": snapshot, "shards": tuple(shards[id])}
            found.append(replace(one, **values, is_draining=one.is_draining or bool(asked)))
        return found

    def drain(self, host: str) -> bool:
        """Ask a host to give its shards back."""
        self._tell(host, Notice(is_partial=True))
        return self._change("UPDATE host SET asked = 1 WHERE id = ?", host) > 0

    # -------------------------------------------------------------------------------------------- callers

    def accept_for_callers(self, entries: Sequence[Entry]) -> list[int | None]:
        """Insert messages that are not known; this host is told of the ends of those that other hosts deliver."""
        self._expected += [one.id for one in entries if self._owner(one.mailbox) != self.host]
        return self.accept(entries)

    def expect(self, id: bytes) -> None:
        """Have this host told of the end of a message, at once if it is not open."""
        if self._is_open(id):
            self._expected.append(id)
        else:
            self.notices[self.host].append(Notice(ended=(id,)))

    def give_up(self, id: bytes, outcome: EndOutcome) -> None:
        """Have the host of a message told, unless other hosts wait for it."""
        self._change(_GIVE_UP, self.host, outcome, id)
        for _, _, mailbox in self._found(_GIVEN_UP.format("caller.id = ?"), id):
            for (owner,) in self._found("SELECT owner FROM shard WHERE no = ?", shard_of(mailbox, self.shards)):
                if owner is not None:
                    self.notices[owner].append(Notice(given_up=((id, outcome),)))

    def look(self, leases: Iterable[Lease], expected: Collection[bytes]) -> Notice:
        """Return what the notices of the past may have said."""
        own = {lease.shard for lease in leases}
        mailboxes = [one for one in self.with_open() if shard_of(one, self.shards) in own]
        rows = self._found("SELECT id FROM message WHERE id = ANY(?) AND done IS NULL", [*expected]) if expected else []
        given_up = [(id, how) for id, how, mailbox in self.given_up() if shard_of(mailbox, self.shards) in own]
        open = {id for (id,) in rows}
        ended = tuple(id for id in expected if id not in open)
        return Notice(tuple(mailboxes), ended, tuple(given_up), self._value(_FREE) > 0)

    def given_up(self) -> list[tuple[Any, ...]]:
        """Return the open messages for which no caller waits any more, how they are to end, and their mailboxes."""
        return self._found(_GIVEN_UP.format("TRUE"))

    def with_open(self) -> set[str]:
        """Return the mailboxes that have open messages."""
        return {mailbox for (mailbox,) in self._found(_MAILBOXES)}

    def find_all(self, ids: Sequence[bytes]) -> dict[bytes, Outcome]:
        """Return what is known of messages."""
        sql = f"SELECT {ENDED} FROM message WHERE id = ANY(?)"
        return {id: Outcome(*values) for id, *values in self._found(sql, [*ids])}

    def version(self) -> int:
        """Return the number of changes by the command line; count as well, the less often the more is open."""
        if self._now() < self._count_at:
            return super().version()
        self._seen = -1
        number = super().version()
        self._count_at = self._now() + self.tally["open"] / COUNTED
        return number

    def delete(self, messages: Sequence[tuple[int, bytes]], memories: Sequence[tuple[int]]) -> int:
        """Delete a surplus, and the callers of messages that are not open."""
        is_open = "SELECT 1 FROM message WHERE message.id = caller.id AND done IS NULL"
        self._change(f"DELETE FROM caller WHERE NOT EXISTS ({is_open})")
        return super().delete(messages, memories)

    # --------------------------------------------------------------------------------------------- pieces

    def _opened(self, entry: Entry) -> None:
        super()._opened(entry)
        if (owner := self._owner(entry.mailbox)) != self.host:
            self._tell(owner, Notice((entry.mailbox,)))

    def _end(self, id: bytes, outcome: EndOutcome, one: Acknowledgement | None) -> bool:
        has_ended = super()._end(id, outcome, one)
        if has_ended:
            self.ended_for((id, host) for (host,) in self._found("DELETE FROM caller WHERE id = ? RETURNING host", id))
        return has_ended

    def ended_for(self, rows: Iterable[tuple[bytes, str]]) -> None:
        """Tell hosts that messages have ended for which they wait."""
        for id, host in rows:
            self._tell(host, Notice(ended=(id,)))

    def _owner(self, mailbox: str) -> str | None:
        return self.owners[shard_of(mailbox, self.shards)][0]

    def _tell(self, host: str | None, notice: Notice) -> None:
        if host is not None and host != self.host:
            self.notices[host].append(notice)

    def _tell_all(self) -> None:
        for (host,) in self._found("SELECT id FROM host WHERE until > wall()"):
            self._tell(host, Notice(is_partial=True))

    def _found(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement of PostgreSQL."""
        if not self._is_plain:
            return self.connection.execute(sql, values).fetchall()
        given, sizes = list[Any](), list[int]()
        for value in values:
            several: list[Any] = [*value] if isinstance(value, list) else [value]
            given += several
            sizes += [len(several)] if isinstance(value, list) else ()
        return self.connection.execute(_plain(sql, *sizes), given).fetchall()


@lru_cache(1_000)
def _plain(sql: str, *sizes: int) -> str:
    """Return a statement of PostgreSQL as one of SQLite, for lists of these lengths."""
    for size in sizes:
        sql = sql.replace("= ANY(?)", f"IN ({', '.join('?' * size)})", 1)
    return sql.replace(" SKIP LOCKED", "").replace(" FOR UPDATE", "")


def _leases(rows: Iterable[tuple[int, int]]) -> tuple[Lease, ...]:
    return tuple(Lease(no, epoch) for no, epoch in rows)


def _merged(notices: Sequence[Notice]) -> Notice:
    return Notice(
        tuple(dict.fromkeys(one for notice in notices for one in notice.mailboxes)),
        tuple(one for notice in notices for one in notice.ended),
        tuple(one for notice in notices for one in notice.given_up),
        any(notice.is_partial for notice in notices),
    )
