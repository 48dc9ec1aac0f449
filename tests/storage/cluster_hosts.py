"""Clusters of each kind of store, for the suite that all of them must pass: hosts that a test makes and ends."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Protocol

from actors.storage.cluster_memory import MemoryClusterStore, MemoryDatabase
from actors.storage.cluster_postgres import PostgresClusterStore
from protocols.cluster import HostRecord, Lease, Notice, shard_of
from tests.contracts.journal_kinds import entry, id_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocols.cluster import ClusterStore
    from protocols.journal import Entry, MailboxJournal
    from tests.storage.postgres_server import PostgresServer

SHARDS = 8
TTL = 60.0


def mailbox_of(shard: int, shards: int = SHARDS) -> str:
    """Return a mailbox of a shard."""
    return next(name for n in range(10_000) if shard_of(name := f"pool/node{n}", shards) == shard)


def message(number: int, shard: int, **fields: Any) -> Entry:
    """Return a message whose id says its number."""
    return entry(number, mailbox_of(shard), **fields)


class Host:
    """One host with what it was told."""

    def __init__(self, store: ClusterStore, cluster: str = "orders") -> None:
        self.store = store
        self.me = HostRecord(id=store.host, cluster=cluster, name=f"{cluster} {store.host}", nodes=("a", "b"), ttl=TTL)
        self.leases: dict[int, Lease] = {}
        self._told: asyncio.Queue[Notice] = asyncio.Queue()
        store.listen(self._told.put_nowait)

    async def renew(self) -> list[int]:
        """Renew; return the numbers of the shards it has."""
        self.leases = {lease.shard: lease for lease in await self.store.renew(self.me, TTL)}
        return [*self.leases]

    async def claim(self, most: int = 1_000) -> list[int]:
        """Claim; return the numbers of the new shards."""
        found = await self.store.claim(most, TTL)
        self.leases |= {lease.shard: lease for lease in found}
        return [lease.shard for lease in found]

    def of(self, shard: int) -> MailboxJournal:
        """Return the journal for what this host delivers of a shard."""
        return self.store.leased(self.leases[shard])

    async def told(self) -> Notice:
        """Return the next notice."""
        async with asyncio.timeout(20):
            return await self._told.get()

    async def is_draining(self) -> bool:
        """Return True if all hosts see that this one gives its shards back."""
        return [one.is_draining for one in await self.store.hosts() if one.id == self.store.host] == [True]

    def has_heard(self) -> bool:
        """Return True if there is a notice that was not read."""
        return not self._told.empty()

    async def look(self, *expected: int) -> Notice:
        return await self.store.look([*self.leases.values()], [id_of(number) for number in expected])


class Cluster(Protocol):
    """Makes hosts of one database; ends them with the test."""

    async def host(self, cluster: str = "orders", *, shards: int = SHARDS) -> Host:
        """Return a host that lives and has no shards."""
        ...

    async def expire(self, host: Host) -> None:
        """Let the time of a host pass."""
        ...

    async def close(self) -> None: ...


class MemoryCluster:
    """Hosts in memory."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.database = MemoryDatabase(now=now)
        self.hosts: list[Host] = []

    async def host(self, cluster: str = "orders", *, shards: int = SHARDS) -> Host:
        host = Host(self._store(shards), cluster)
        self.hosts.append(host)
        await host.store.open()
        await host.renew()
        return host

    def _store(self, shards: int) -> ClusterStore:
        return MemoryClusterStore(self.database, shards=shards)

    async def expire(self, host: Host) -> None:
        self.database.connection.execute("UPDATE host SET until = wall() - 1 WHERE id = ?", (host.store.host,))

    async def close(self) -> None:
        for host in self.hosts:
            await host.store.close()


class PostgresCluster(MemoryCluster):
    """Hosts in PostgreSQL."""

    def __init__(self, server: PostgresServer) -> None:
        super().__init__(time.time)
        self.server = server

    async def host(self, cluster: str = "orders", *, shards: int = SHARDS) -> Host:
        host = await super().host(cluster, shards=shards)
        assert (await host.told()).is_partial  # it could hear nothing before
        return host

    def _store(self, shards: int) -> ClusterStore:
        return PostgresClusterStore(self.server.url, pool="pool", shards=shards, ttl=TTL)

    async def expire(self, host: Host) -> None:
        past = "extract(epoch FROM clock_timestamp()) - 1"
        await self.server.execute(f"UPDATE understage_journal_1.host SET until = {past} WHERE id = '{host.store.host}'")
