"""What the journals of hosts in memory and in PostgreSQL share: writes under a lease, and notices to other hosts."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Any, Final, Generic, TypeVar, cast
from uuid import uuid4

from actors.storage.cluster_tables import ClusterTables
from actors.storage.journal_sql import SqlJournal, WaitingCall
from actors.storage.journal_tables import JournalTables
from protocols.cluster import HostRecord, Lease, LeaseLostError, Notice, shard_of
from protocols.journal import Acknowledgement, Commit, EndOutcome, Entry, MailboxJournal, Outcome

K = TypeVar("K")
T = TypeVar("T")

PATIENCE: Final = 5.0
"""Seconds that changes of leases may take which no lease limits."""


class _BatchRead(Generic[K, T]):
    """A read that answers all who ask while it waits for the reads before it."""

    def __init__(self, journal: "ClusterJournal", read: Callable[[ClusterTables, list[K]], T]) -> None:
        self._journal = journal
        self._read = read
        self._asked: tuple[list[K], asyncio.Task[T]] | None = None

    async def of(self, key: K) -> T:
        """Return what is read for this key and others. Raises JournalError."""
        if self._asked is None or self._asked[1].done():
            keys: list[K] = []

            def begin(tables: JournalTables) -> T:
                self._asked = None
                return self._read(of_cluster(tables), keys)

            self._asked = (keys, asyncio.ensure_future(self._journal.read(begin)))
            self._asked[1].add_done_callback(_retrieved)
        asked, reading = self._asked
        asked.append(key)
        return await asyncio.shield(reading)


def _retrieved(reading: "asyncio.Task[Any]") -> None:
    """See the failure of a read for which all who asked wait no more; asyncio would log it."""
    if not reading.cancelled():
        reading.exception()


class ShardCall:
    """A change that needs shards to keep their owners until the commit.

    Args:
        tables: what it changes.
        change: the name of the method of the tables.
        args: what the method gets.
        shards: the shards.
        lease: without it the change is refused, if it is given.
    """

    __slots__ = ("args", "change", "lease", "shards", "tables")

    def __init__(
        self,
        tables: ClusterTables,
        change: str,
        args: tuple[Any, ...],
        shards: Iterable[int],
        lease: Lease | None = None,
    ) -> None:
        self.tables = tables
        self.change = change
        self.args = args
        self.shards = shards
        self.lease = lease

    def __call__(self) -> Any:
        """Make the change, or return the error that refuses it alone."""
        if self.lease is None or self.tables.holds(self.lease):
            return getattr(self.tables, self.change)(*self.args)
        return LeaseLostError(
            f"shard {self.lease.shard} belongs to another host now, and nothing was written",
            location=self.tables.location,
        )


class ClusterJournal(SqlJournal):
    """The journal of one host. All hosts write into the tables of each other's shards, one after the other per shard.

    A transaction locks first the shards that it writes into. So what is written under an epoch that is over is refused,
    and messages of a shard are committed in the order of their places.
    """

    host: str
    shards: int

    def become_host(self, shards: int) -> None:
        """Get an id; called once, when the object is made."""
        self.host, self.shards = uuid4().hex, shards
        self.touched: set[int] = set()
        """The shards that a transaction locks."""
        self._finding = _BatchRead[bytes, dict[bytes, Outcome]](self, lambda tables, ids: tables.find_all(ids))
        self._opening = _BatchRead[str, set[str]](self, lambda tables, _: tables.with_open())
        self._giving_up = _BatchRead[str, list[tuple[Any, ...]]](self, lambda tables, _: tables.given_up())
        self._leased: dict[Lease, MailboxJournal] = {}
        self.tell: Callable[[Notice], object] = lambda _: None
        """Called with each notice."""

    def shard(self, mailbox: str) -> int:
        """Return the shard of a mailbox."""
        return shard_of(mailbox, self.shards)

    def listen(self, told: Callable[[Notice], object]) -> None:
        """Have a function called with each notice."""
        self.tell = told

    # -------------------------------------------------------------------------------------------- messages

    def leased(self, lease: Lease) -> MailboxJournal:
        """Return this journal for what is delivered under a lease."""
        if lease not in self._leased:
            self._leased = {one: journal for one, journal in self._leased.items() if one.shard != lease.shard}
            self._leased[lease] = cast("MailboxJournal", _LeaseJournal(self, lease))
        return self._leased[lease]

    def refuse(self, *_: Any, **__: Any) -> Commit[Any]:
        """Refuse what only the host of a message may write."""
        refused: Commit[Any] = Commit(loop=self._loop)
        refused.finish(LeaseLostError("takes this under a lease only; use `leased`", location=self.location))
        return refused

    settle = begin = postpone = keep_step = refuse

    def accept(self, entries: Sequence[Entry]) -> Commit[list[int | None]]:
        """Keep messages of any mailboxes, all or none."""
        given = tuple(entries)
        return self._in_shards("accept_for_callers", given, shards=[self.shard(one.mailbox) for one in given])

    def write_leased(self, lease: Lease, change: str, *args: Any) -> Commit[Any]:
        """Make a change of the tables, unless the lease is over when it is made."""
        outbox = args[0].outbox if isinstance(args[0], Acknowledgement) else ()
        shards = [lease.shard, *(self.shard(one.mailbox) for one in outbox)]
        return self.write(ShardCall(self.cluster_tables(), change, args, shards, lease))

    def replay(self, ids: Sequence[bytes]) -> Commit[list[Entry]]:
        """Make dead letters open again, wherever they are delivered."""
        return self._in_shards("replay", ids, shards=range(self.shards), may_guest=True)

    def move(self, old: str, new: str) -> Commit[int]:
        """Give what a mailbox has to another one."""
        return self._in_shards("move", old, new, shards=range(self.shards))

    def _in_shards(self, change: str, *args: Any, shards: Iterable[int], may_guest: bool = False) -> Commit[Any]:
        return self.write(ShardCall(self.cluster_tables(), change, args, shards), may_guest=may_guest)

    async def find(self, id: bytes) -> Outcome | None:
        """Return what is known of a message."""
        return (await self._finding.of(id)).get(id)

    async def waiting(self, mailbox: str, after: int, limit: int) -> list[Entry]:
        """Return open messages of a mailbox. When many begin to be delivered, most have none."""
        if not after and mailbox not in await self._opening.of(mailbox):
            return []
        return await super().waiting(mailbox, after, limit)

    async def given_up(self, mailbox: str) -> list[tuple[bytes, EndOutcome]]:
        """Return the open messages of a mailbox for which no caller waits any more, and how they are to end."""
        return [(id, outcome) for id, outcome, name in await self._giving_up.of(mailbox) if name == mailbox]

    def expect(self, id: bytes) -> Commit[None]:
        """Have this host told when a message ends."""
        return self.write(partial(self.cluster_tables().expect, id))

    def give_up(self, id: bytes, outcome: EndOutcome) -> Commit[None]:
        """Have the host of a message told that its caller waits no more."""
        return self.write(partial(self.cluster_tables().give_up, id, outcome))

    def _transact(self, batch: list[WaitingCall]) -> list[Any]:
        self.touched.clear()
        for write in batch:
            self.touched.update(getattr(write.operation, "shards", ()))
        return super()._transact(batch)

    # ---------------------------------------------------------------------------------------------- leases

    async def control(self, name: str, change: Callable[[ClusterTables], T], limit: float) -> T:
        """Make a change of leases, which waits for no other write of this host.

        Args:
            name: what it is called.
            change: makes it, in a transaction.
            limit: seconds after which it is given up.
        """
        raise NotImplementedError

    async def renew(self, me: HostRecord, ttl: float) -> tuple[Lease, ...]:
        """Say that this host lives; return its leases."""
        return await self.control("renew", lambda tables: tables.renew(me, ttl), ttl / 3)

    async def claim(self, most: int, ttl: float, among: Collection[int] | None = None) -> tuple[Lease, ...]:
        """Take free shards."""
        wanted = range(self.shards) if among is None else among
        return await self.control("claim", lambda tables: tables.claim(most, ttl, wanted), ttl / 3)

    async def give_back(self, leases: Collection[Lease]) -> None:
        """Make shards free at once."""
        await self.control("give back", lambda tables: tables.give_back(leases), PATIENCE)

    async def leave(self) -> None:
        """Give all leases back and forget this host."""
        await self.control("leave", lambda tables: tables.leave(), PATIENCE)

    async def hosts(self) -> list[HostRecord]:
        """Return the hosts, by name."""
        return await self.read(lambda tables: of_cluster(tables).hosts())

    async def drain(self, host: str) -> bool:
        """Ask a host to give its shards back."""
        return await self.write(partial(self.cluster_tables().drain, host), may_guest=True)

    async def look(self, leases: Iterable[Lease], expected: Collection[bytes]) -> Notice:
        """Return what notices may have been lost."""
        return await self.read(lambda tables: of_cluster(tables).look(leases, expected))

    def cluster_tables(self) -> ClusterTables:
        """Return the tables. Raises JournalError if the journal is not open in this process."""
        return of_cluster(self.opened())


class _LeaseJournal:
    """A journal whose writes end with a lease."""

    def __init__(self, journal: ClusterJournal, lease: Lease) -> None:
        self._journal = journal
        for name in ("settle", "begin", "postpone", "keep_step"):
            setattr(self, name, partial(journal.write_leased, lease, name))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)


def of_cluster(tables: JournalTables) -> ClusterTables:
    """Return tables as those of a cluster, which they are."""
    assert isinstance(tables, ClusterTables)
    return tables
