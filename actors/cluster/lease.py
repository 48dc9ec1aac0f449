"""The leases of one host: it renews them, takes its share of those that are free, and gives back what is too much."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence, Set
from math import ceil, inf
from typing import Any, Protocol

from protocols.cluster import ClusterStore, HostRecord, Lease
from protocols.journal import JournalError

_log = logging.getLogger("understage.cluster")


class Tenures(Protocol):
    """What delivers under the leases; see `actors.cluster.host`."""

    about: HostRecord
    """What the other hosts are told of this one, as far as it does not change."""
    fail: Callable[[JournalError], object]
    """Called with the error after which the store works no more."""

    def record(self) -> HostRecord:
        """Return what the other hosts are told of this one."""
        ...

    def gained(self, lease: Lease) -> None:
        """Begin to deliver."""

    def lost(self, lease: Lease) -> None:
        """Stop at once: another host may have the lease."""

    def resumed(self) -> None:
        """Deliver again after the leases were in doubt."""

    def saw(self, hosts: list[HostRecord]) -> None:
        """Take note of the hosts that live."""

    def shed(self, number: int) -> None:
        """Let so many leases rest, as far as that disturbs no work; they are given back."""

    def retire(self, shards: Set[int]) -> None:
        """Let the leases of these shards rest; they are given back."""

    def fits(self, hosts: Sequence[HostRecord]) -> dict[int, set[str]]:
        """Return which of these hosts are to have the shards that do not fit to all of them."""
        ...


class LeaseKeeper:
    """Keeps the leases of one host, from `begin` to `end`, by the clock of its system.

    Args:
        store: where they are.
        host: what depends on them.
        shards: number of all shards.
        ttl: seconds for which a lease is good.
    """

    def __init__(self, store: ClusterStore, host: Tenures, *, shards: int, ttl: float) -> None:
        self.leases: dict[int, Lease] = {}
        """Those of this host, by shard."""
        self.resting: set[int] = set()
        """Shards whose tenures are coming to their ends, to be given back."""
        self.hosts: list[HostRecord] = []
        """The hosts that live, as they were seen last."""
        self.fits: dict[int, set[str]] = {}
        """Which hosts are to have the shards that do not fit to all; see `fitting_hosts`."""
        self._free: set[Lease] = set()
        self.is_draining = False
        """True if all leases are given back and none is taken."""
        self._good_until = -inf
        self._store = store
        self._host = host
        self._shards = shards
        self._ttl = ttl
        self._clock: Any = None
        self._keeping: asyncio.Task[None] | None = None
        self._wake: asyncio.Future[None] | None = None
        self._due = -inf
        self._gave_busy = -inf

    def begin(self, clock: Any) -> None:
        """Begin to take leases."""
        self._clock = clock
        self._keeping = asyncio.ensure_future(self._keep())

    async def end(self) -> None:
        """Take and renew no more."""
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    @property
    def is_certain(self) -> bool:
        """True while the leases of this host are good; False if it has not reached the database for too long."""
        return self._clock is not None and self._clock.now() < self._good_until

    def is_good(self, lease: Lease) -> bool:
        """Return True if a lease is certain to be this host's now: a handler may begin."""
        return self.leases.get(lease.shard) == lease and self.is_certain

    def forget(self, lease: Lease) -> None:
        """Take note that a lease is over."""
        if self.leases.get(lease.shard) == lease:
            del self.leases[lease.shard]
            self.resting.discard(lease.shard)
            self._free.discard(lease)
            self._host.lost(lease)

    def free(self, lease: Lease) -> None:
        """Give a lease back; its tenure is over."""
        if self.leases.get(lease.shard) == lease:
            self._free.add(lease)
            self.look()

    def look(self) -> None:
        """Look soon whether there are shards to take or to give back."""
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def _keep(self) -> None:
        while True:
            try:
                if self._clock.now() >= self._due:
                    await self._renew()
                if self._clock.now() < self._good_until:
                    await self._balance()
            except JournalError as error:
                _log.warning("the leases of this host cannot be renewed now: %s", error)
                self._due = min(self._due, self._clock.now() + self._ttl / 10)
                if error.is_final:
                    self._host.fail(error)
                    return
            await self._pause()

    async def _pause(self) -> None:
        """Wait until the leases have to be renewed, or `look` is called."""
        self._wake = asyncio.get_running_loop().create_future()
        timer = self._clock.call_later(max(0.0, self._due - self._clock.now()), self.look)
        try:
            await self._wake
        finally:
            timer.cancel()

    async def _renew(self) -> None:
        began = self._clock.now()
        self._due = began + self._ttl / 3
        was_good = began < self._good_until
        leases = {lease.shard: lease for lease in await self._store.renew(self._host.record(), self._ttl)}
        for lease in tuple(self.leases.values()):
            if leases.get(lease.shard) != lease:
                self.forget(lease)
        self._good_until = began + self._ttl
        self._take(leases.values())
        if not was_good:
            self._host.resumed()

    def _take(self, leases: Any) -> None:
        for lease in leases:
            if self.leases.get(lease.shard) != lease:
                self.leases[lease.shard] = lease
                self._host.gained(lease)

    async def _balance(self) -> None:
        """Give back what rests, and take or give back what differs from a fair share."""
        if given := tuple(self._free):
            await self._store.give_back(given)
            for lease in given:
                self.forget(lease)
        self.hosts = hosts = [one for one in await self._store.hosts() if one.left > 0]
        self._host.saw(hosts)
        if any(one.id == self._store.host and one.is_draining for one in hosts):
            self.is_draining = True
        takers = [one for one in hosts if not (one.is_draining or one.is_caller)]
        self.fits = fits = {} if self.is_draining else self._host.fits(takers)
        common = [no for no in range(self._shards) if no not in fits]
        is_taker = not (self.is_draining or self._host.about.is_caller)
        share = ceil(len(common) / max(1, len(takers))) if is_taker else 0
        own = [no for no in self.leases if no not in fits]
        if (room := share - len(own)) > 0:
            self._take(await self._store.claim(room, self._ttl, common))
        elif room < -1 or (room and not share):
            self._host.shed(sum(no not in self.resting for no in own) - share)
        await self._fit(fits, {no for one in hosts for no in one.shards})

    async def _fit(self, fits: dict[int, set[str]], taken: set[int]) -> None:
        """Take the shards that fit to this host and not to all, and give back those that fit to others only."""
        wanted = {no for no, hosts in fits.items() if self._store.host in hosts}
        self._host.retire(fits.keys() - wanted)
        if free := wanted - taken:
            self._take(await self._store.claim(len(free), self._ttl, free))


def fitting_hosts(
    hosts: Sequence[HostRecord], waiting: Collection[str], shard: Callable[[str], int]
) -> dict[int, set[str]]:
    """Return which hosts are to have a shard, for each shard that does not fit to all of them.

    They have different versions of the manifest, or a supervisor has given a node up at some. A host fits if no other
    one can deliver to what has messages, or else to what is in the shard, and to more of it. So one always fits.

    Args:
        hosts: those that take shards.
        waiting: the mailboxes that have open messages.
        shard: returns the shard of a mailbox.
    """
    if len({one.nodes for one in hosts}) < 2:  # noqa: PLR2004 - as nearly always
        return {}
    known = {one.id: {*one.nodes} for one in hosts}
    different: defaultdict[int, set[str]] = defaultdict(set)
    for name in set[str]().union(*known.values()).difference(set[str].intersection(*known.values())):
        different[shard(name)].add(name)

    def is_better(one: str, other: str, names: set[str]) -> bool:
        open = names.intersection(waiting)
        here, there = known[one] & open, known[other] & open
        return here > there or (here == there and known[one] & names > known[other] & names)

    return {
        no: {id for id in known if not any(is_better(one, id, names) for one in known)}
        for no, names in different.items()
    }
