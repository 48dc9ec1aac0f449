"""A host in another process that stands still in the middle of a transaction, as a frozen machine does.

It says ``frozen`` before it stops itself; when it is let go on, how its write ended.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

from actors.storage.cluster_postgres import PostgresClusterStore, PostgresClusterTables
from actors.storage.postgres_connection import PostgresConnection
from protocols.cluster import HostRecord
from protocols.journal import JournalError
from tests.contracts.journal_kinds import handled


class FreezingTables(PostgresClusterTables):
    """Tables of a host that freezes before its next commit."""

    is_armed = False

    def commit(self) -> None:
        if FreezingTables.is_armed:
            FreezingTables.is_armed = False
            self._catch_up()
            say("frozen")
            os.kill(os.getpid(), signal.SIGSTOP)
        super().commit()


class Unsynced:
    """A connection of the driver that freezes when the server knows half of a statement."""

    def __init__(self, link: Any) -> None:
        self._link = link

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    async def prepare(self, sql: str) -> Any:
        if FreezingTables.is_armed and "FOR UPDATE" not in sql:  # the shard is locked
            FreezingTables.is_armed = False
            preparing = asyncio.ensure_future(self._link.prepare(sql))
            await asyncio.sleep(0)  # what is to be parsed is sent
            say("frozen")
            os.kill(os.getpid(), signal.SIGSTOP)
            return await preparing
        return await self._link.prepare(sql)


class UnsyncedConnection(PostgresConnection):
    """Freezes in the middle of a statement of its message."""

    async def _connect(self) -> None:
        await super()._connect()
        self._link = Unsynced(self._link)


class FreezingStore(PostgresClusterStore):
    """Freezes in the middle of the transaction of its message."""

    def _tables_of(self, connection: PostgresConnection) -> FreezingTables:
        tables = FreezingTables(connection, self._number, self._now)
        tables.host, tables.shards, tables.location = self.host, self.shards, self.location
        return tables


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def main(url: str, shards: int, number: int, *, in_statement: bool) -> None:
    store = (PostgresClusterStore if in_statement else FreezingStore)(url, pool="pool", shards=shards, ttl=0.6)
    if in_statement:
        vars(store)["_writer"].__class__ = UnsyncedConnection
    await store.open()
    me = HostRecord(id=store.host, cluster="orders", name="frozen")
    await store.renew(me, 60.0)
    leases = {lease.shard: lease for lease in await store.claim(shards, 60.0)}
    FreezingTables.is_armed = True
    try:
        await store.leased(leases[0]).settle(handled(number, reply=b"late"))
        say("settled")
    except JournalError as error:
        say(f"{type(error).__name__}: {error}")
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), in_statement=sys.argv[4] == "statement"))
