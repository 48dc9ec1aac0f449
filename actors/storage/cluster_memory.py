"""Hosts that share a journal in memory: for tests and simulations of a cluster in one process."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar
from weakref import finalize, ref

from actors.storage.cluster_journal import ClusterJournal
from actors.storage.cluster_tables import ClusterTables
from actors.storage.journal_sql import WaitingCall
from actors.storage.journal_tables import CLUSTER, JournalTables, migrate
from protocols.cluster import SHARDS, Notice
from protocols.journal import JournalError

T = TypeVar("T")
Gate = Callable[[str], Awaitable[object]]
"""Awaited before and after each thing a host does with the database, with its name: ``write`` and ``write done``.

The names: ``write`` (a transaction of messages), ``read``, ``renew``, ``claim``, ``give back``, ``leave``, ``notice``.
A gate that waits delays; one that raises `JournalError` before it keeps it from being done, or else loses the answer.
A write that was kept from being done is done again, and one whose answer was lost is looked up: as in PostgreSQL.
"""


class MemoryDatabase:
    """What the hosts of a cluster share. Each transaction is made at once.

    Args:
        now: the clock of the database, as wall time.
    """

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self.now = now
        self.hosts: dict[str, MemoryClusterStore] = {}
        """Those that are open, by id."""
        self.connection = sqlite3.connect(
            ":memory:", isolation_level=None, check_same_thread=False, cached_statements=1_000
        )
        finalize(self, self.connection.close)  # in a circle of garbage SQLite would find it open, and complain
        me: Any = ref(self)
        self.connection.create_function("wall", 0, lambda: me().now())
        migrate(self.connection)
        self.connection.executescript(CLUSTER)


class MemoryTransport:
    """Carries packets in one process, in a later turn of its loop.

    Args:
        me: the id of the host.
        hosts: those that live, by id.
    """

    def __init__(self, me: str, hosts: Mapping[str, "MemoryClusterStore"]) -> None:
        self.arrived: Callable[[str, bytes], object] = lambda _host, _packet: None
        self._me = me
        self._hosts = hosts

    def connect(self, arrived: Callable[[str, bytes], object]) -> None:
        """Have a function called with each packet."""
        self.arrived = arrived

    def send(self, host: str, packet: bytes) -> None:
        """Send bytes to a host."""
        if host in self._hosts and self._me in self._hosts:
            asyncio.get_running_loop().call_soon(self._hosts[host].transport.arrived, self._me, packet)


class MemoryClusterStore(ClusterJournal):
    """The journal of one host in memory.

    Args:
        database: what it shares with the other hosts.
        shards: number of the shards, the same for all hosts.
        gate: delays and disturbs what this host does.
    """

    def __init__(self, database: MemoryDatabase, *, shards: int = SHARDS, gate: Gate | None = None) -> None:
        super().__init__("memory", database.now)
        self.become_host(shards)
        self.transport = MemoryTransport(self.host, database.hosts)
        self._database = database
        self._gate = gate
        self._tasks: set[asyncio.Task[None]] = set()

    def wall(self) -> float:
        """Return the wall time of the database."""
        return self._database.now()

    async def open(self) -> None:
        """Allow access."""
        if self._tables is None:
            tables = ClusterTables(self._database.connection, self._now)
            tables.host, tables.shards, tables.location = self.host, self.shards, self.location
            self._change(tables, lambda: tables.make_shards(self.shards))
            tables.version()
            self._begin_life(tables)
            self._database.hosts[self.host] = self

    async def close(self) -> None:
        """Commit what waits, and refuse access until the next `open`."""
        if self._tables is not None:
            await self._drain()
        self.die()

    def die(self) -> None:
        """End at once, as a process that is killed: what waits for its commit is lost, and no caller is told."""
        self._database.hosts.pop(self.host, None)
        self._tables = None
        self._queue.clear()
        for task in self._tasks:
            task.cancel()

    async def read(self, query: Callable[[JournalTables], T]) -> T:
        """Read what is committed."""
        read = super().read
        return await self._through("read", lambda: read(query))

    async def control(self, name: str, change: Callable[[ClusterTables], T], limit: float) -> T:
        """Make a change of leases."""

        async def make() -> T:
            tables = self.cluster_tables()
            return self._change(tables, lambda: change(tables))

        return await self._through(name, make)

    async def _through(self, name: str, do: Callable[[], Awaitable[T]]) -> T:
        if self._gate is None:
            return await do()
        await self._gate(name)
        done = await do()
        await self._gate(f"{name} done")
        return done

    def _change(self, tables: ClusterTables, change: Callable[[], T]) -> T:
        tables.connection.execute("BEGIN")
        try:
            result = change()
        except BaseException as error:
            tables.rolled_back()
            tables.connection.execute("ROLLBACK")
            if isinstance(error, JournalError):
                raise self._meaning(error) from None
            raise
        self._seal(tables)
        return result

    def _start(self, tables: JournalTables) -> None:
        super()._start(tables)
        self.cluster_tables().mark()
        self.cluster_tables().lock(self.touched)

    def _seal(self, tables: JournalTables) -> None:
        super()._seal(tables)
        assert isinstance(tables, ClusterTables)
        for host, notice in tables.told():
            if (receiver := self._database.hosts.get(host)) is not None:
                receiver.receive(notice)

    def receive(self, notice: Notice) -> None:
        """Be told, in a later turn of the loop."""
        self._do(self._hear(notice))

    async def _hear(self, notice: Notice) -> None:
        if self._gate is not None:
            try:
                await self._gate("notice")
            except JournalError:
                return
        self.tell(notice)

    def _submit(self, batch: list[WaitingCall]) -> None:
        if self._gate is None:
            super()._submit(batch)
        else:
            self._do(self._write(batch, self._gate))

    async def _write(self, batch: list[WaitingCall], gate: Gate) -> None:
        results: list[Any] = []
        try:
            await gate("write")
            results = self._commit(batch)
            await gate("write done")
        except JournalError:
            pass
        self._committed(batch, results)

    def _do(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
