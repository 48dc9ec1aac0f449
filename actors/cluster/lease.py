"""The leases of one host: it renews them, takes its share of those that are free, and gives back what is too much."""

import asyncio
import logging
from collections.abc import Callable
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
        takers = sum(not (one.is_draining or one.is_caller) for one in hosts)
        share = 0 if self.is_draining or self._host.about.is_caller else ceil(self._shards / max(1, takers))
        room = share - len(self.leases)
        if room > 0:
            self._take(await self._store.claim(room, self._ttl))
        elif room < -1 or (room and not share):
            self._host.shed(len(self.leases) - len(self.resting) - share)
