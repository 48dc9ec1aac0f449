"""Hosts that share a journal in PostgreSQL. Each has a connection for messages, reads, leases, and packets it sends."""

import asyncio
import os
import time
from collections.abc import Callable, Collection, Iterable
from typing import Any, ClassVar, Final, TypeVar

import msgspec
from sqlalchemy.util import greenlet_spawn

from actors.storage.cluster_frames import CHANNEL, MARK, PostgresTransport
from actors.storage.cluster_journal import PATIENCE, ClusterJournal, of_cluster
from actors.storage.cluster_tables import FORGOTTEN, ClusterTables
from actors.storage.journal_postgres import USED, PostgresJournal
from actors.storage.journal_tables import JournalTables
from actors.storage.postgres_connection import PostgresConnection
from actors.storage.postgres_tables import SETTLE, PostgresTables
from protocols.cluster import SHARDS, TTL, HostRecord, Lease, Notice
from protocols.journal import JournalError, JournalLockedError

T = TypeVar("T")

PAYLOAD: Final = 7_999
"""Most bytes of a notification."""
FEW: Final = 32
"""Shards that are looked up by a statement that is not prepared."""
_LIVES: Final = "SELECT 1 FROM host WHERE id = ? AND until > wall()"


class PostgresClusterTables(ClusterTables, PostgresTables):
    """The tables of one pool in PostgreSQL, as one host reads and changes them."""

    _is_plain: ClassVar[bool] = False
    _settle: ClassVar[str] = f"""WITH caller AS (DELETE FROM caller WHERE id = ANY(?2) RETURNING id, host),
      ended AS ({SETTLE}) SELECT ended.id, caller.host FROM ended LEFT JOIN caller ON caller.id = ended.id"""

    def commit(self) -> None:
        """Commit, and notify other hosts."""
        self._catch_up()
        self._keep_callers()
        notify = (f"NOTIFY {CHANNEL}{host}, '{_payload(notice)}'; " for host, notice in self.told())
        connection: Any = self.connection
        connection.send(f"{''.join(notify)}COMMIT")

    def renew(self, me: HostRecord, ttl: float) -> tuple[Lease, ...]:
        """Live so much longer. Of hosts of two clusters that begin at once, one is refused."""
        if not self._found(_LIVES, self.host):
            self.connection.execute("LOCK TABLE host IN SHARE ROW EXCLUSIVE MODE")
        return super().renew(me, ttl)


class PostgresClusterStore(ClusterJournal, PostgresJournal):
    """The journal of one host in a database.

    Args:
        url: ``postgresql://user:password@host/name``. Notifications need a session: not a pooler of transactions.
        pool: the pool whose messages they are.
        shards: number of the shards, the same for all hosts.
        ttl: seconds for which leases are good. A process that stands still in a transaction holds up the others for a
            third of it.
        as_guest: True to read, replay, discard and drain without being a host.
    """

    fenced: ClassVar[str] = FORGOTTEN

    def __init__(self, url: str, *, pool: str, shards: int = SHARDS, ttl: float = TTL, as_guest: bool = False) -> None:
        super().__init__(url, pool=pool, as_guest=as_guest, now=self.wall)
        self.become_host(shards)
        self._leasing = asyncio.Lock()
        self._leases = PostgresConnection(url)
        self._leases.channel, self._leases.told = f"{CHANNEL}{self.host}", self._hear
        self.transport = PostgresTransport(url, self.host)
        for connection in (self._writer, self._reader, self._leases, self.transport.connection):
            connection.patience, connection.use_name = ttl / 3, "_host"
        self._leases.limit = ttl
        self._offset = time.time() - time.monotonic()
        """Between the monotonic time of this process and the wall time of the server, as close as it is known."""
        self._known: dict[int, tuple[str | None, int]] = {}
        """Owners and epochs of shards, as of the last look at each."""

    def wall(self) -> float:
        """Return the wall time of the server."""
        return time.monotonic() + self._offset

    async def close(self) -> None:
        """Commit what waits, and disconnect. The leases stay until their time has passed; see `leave`."""
        if self._tables is None or self._process != os.getpid():
            return
        await super().close()
        await self.transport.close()
        if self._leasing.locked():
            self._leases.drop()
        async with self._leasing:
            await self._leases.close()

    async def control(self, name: str, change: Callable[[ClusterTables], T], limit: float) -> T:
        """Make a change of leases by the third connection."""
        self.opened()
        try:
            async with asyncio.timeout(limit), self._leasing:
                return await greenlet_spawn(lambda: self._change(change))
        except TimeoutError as error:
            message = f"did not answer within {limit:.3g} s ({name}); see whether the server is busy or away"
            raise JournalError(message, location=self.location) from error
        except Exception as error:
            raise self._fault(error) from error

    def _change(self, change: Callable[[ClusterTables], T]) -> T:
        connection = self._leases
        connection.schema = self._writer.schema
        try:
            try:
                connection.connect()
                connection.execute("BEGIN")
            except Exception:  # it was lost since its last use, or now as well
                connection.drop()
                connection.connect()
                connection.execute("BEGIN")
            connection.end_stuck(connection.schema, connection.patience)
            tables = self._tables_of(connection)
            result = change(tables)
            self._read_time(tables)
            tables.commit()
        except JournalError:
            connection.roll_back()
            raise
        except BaseException:
            connection.drop()
            raise
        return result

    async def look(self, leases: Iterable[Lease], expected: Collection[bytes]) -> Notice:
        """Return what notices may have been lost, and hear again if the connection that listens was lost."""
        if self._leases.is_lost and not self._leasing.locked():
            await self.control("listen", lambda _: None, PATIENCE)
        return await super().look(leases, expected)

    def _read_time(self, tables: PostgresTables) -> None:
        before = time.monotonic()
        ((wall,),) = tables.connection.execute("SELECT wall()").fetchall()
        self._offset = min(max(self._offset, wall - time.monotonic()), wall - before)

    def _hear(self, payload: str) -> None:
        if payload.startswith(MARK):
            self.transport.hear(payload)
            return
        try:
            notice = msgspec.json.decode(payload, type=Notice)
        except msgspec.MsgspecError:  # of a newer version, or there was none to hear
            notice = Notice(is_partial=True)
        if self._tables is not None:
            self.tell(notice)

    # -------------------------------------------------------------------------------------- transactions

    def _tables_of(self, connection: PostgresConnection) -> PostgresClusterTables:
        tables = PostgresClusterTables(connection, self._number, self._now)
        tables.host, tables.shards, tables.location = self.host, self.shards, self.location
        return tables

    def _start(self, tables: JournalTables) -> None:
        """Begin a transaction and lock shards: in one statement, where the shards have the owners that they had."""
        if not self.touched:
            super()._start(tables)
        elif not self._start_as_known(of_cluster(tables)):
            self._writer.roll_back()
            super()._start(tables)
            of_cluster(tables).lock(self.touched)
            self._known |= of_cluster(tables).owners

    def _start_as_known(self, tables: ClusterTables) -> bool:
        known = {no: self._known[no] for no in self.touched if no in self._known}
        if self.is_guest or len(known) < len(self.touched) or len(known) > FEW:
            return False
        self._check_writable(tables)
        self._writer.connect()
        values = ",".join(f'"{no}:{epoch}:{owner or ""}"' for no, (owner, epoch) in known.items())
        lock = f"concat(no, ':', epoch, ':', owner) = ANY('{{{values}}}') ORDER BY no FOR UPDATE OF shard"
        mark = f"WITH mark AS ({self._mark()} RETURNING host) SELECT FROM shard, mark WHERE {lock}"
        tables.owners = known
        return self._writer.send(f"BEGIN; {mark}").rowcount == len(known)

    def _mark(self) -> str:
        return f"UPDATE lane SET commits = commits + 1 WHERE host = '{self.host}'"

    def _last_commit(self) -> tuple[int, int] | None:
        found = self._writer.execute("SELECT commits FROM lane WHERE host = ? FOR UPDATE", (self.host,)).fetchone()
        return None if found is None else (self._epoch, found[0])

    def _take(self) -> PostgresTables:
        tables = super()._take()
        if self.is_guest:  # whatever its manifest says, a guest finds the shards of the hosts
            self.shards = of_cluster(tables).shards = of_cluster(tables).count_shards() or self.shards
        return tables

    def _enter(self, tables: PostgresTables) -> None:
        if tables.connection.execute(USED, (self._writer.schema,)).fetchall() != [(0,)]:
            raise JournalLockedError("is used by a process without `cluster:`; add it there, or end that process first")
        self.transport.open(self._writer.schema)
        of_cluster(tables).make_shards(self.shards)
        self._read_time(tables)


def _payload(notice: Notice) -> str:
    text = msgspec.json.encode(notice)
    return (text if len(text) <= PAYLOAD else msgspec.json.encode(Notice(is_partial=True))).decode().replace("'", "''")
