"""A host: it delivers to the nodes whose shards it has the leases of, for as long as it has them."""

import asyncio
import logging
import os
import socket
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator, Sequence, Set
from hashlib import blake2b
from random import Random
from typing import Any, Final

from msgspec.structs import replace

from actors.cluster.host_mailbox import HostMailbox
from actors.cluster.host_snapshot import HostSnapshot, encode_snapshot, is_gone, read_snapshot
from actors.cluster.lane import HostLane
from actors.cluster.lease import LeaseKeeper, fitting_hosts
from actors.cluster.live_run import LiveRuns
from actors.cluster.single_place import SinglePlace
from actors.config.manifest import Manifest
from actors.nodes.node import AnyNode
from protocols.clock import pause
from protocols.cluster import COUNTED, ClusterStore, HostRecord, Lease, Notice
from protocols.durable import Durable
from protocols.journal import EndOutcome, JournalError

LATE: Final = 5.0
"""Seconds that a takeover may take longer than two leases: for triggers that make up for it."""
LOOK: Final = 0.5
"""Seconds between two looks for what no notice has told."""
AT_ONCE: Final = 200
"""Nodes that are taken over at once: their reads are one, and between them the leases are renewed."""

_log = logging.getLogger("understage.cluster")


class Host:
    """Lets the mailboxes of a shard deliver from the gain of its lease to its loss: a tenure.

    Args:
        store: what the hosts share.
        about: what the other hosts are told of this one.
        shards: number of all shards.
        ttl: seconds for which a lease is good.
        fail: called with the error after which the store works no more.
        random: spreads the looks of the hosts.
    """

    def __init__(
        self,
        store: ClusterStore,
        about: HostRecord,
        *,
        shards: int,
        ttl: float,
        fail: Callable[[JournalError], object],
        random: Random | None = None,
    ) -> None:
        self.store = store
        self.about = about
        self.mailboxes: dict[str, HostMailbox | SinglePlace] = {}
        """The nodes that live at one host at a time, wherever that is, by address."""
        self._of_shard: defaultdict[int, dict[str, HostMailbox | SinglePlace]] = defaultdict(dict)
        self.live = LiveRuns(self)
        self.expected: dict[bytes, HostMailbox] = {}
        """The messages of other hosts whose ends callers here wait for."""
        self.changed: Callable[[], object] = lambda: None
        """Called when a tenure begins or ends."""
        self.clock: Any = None
        self.fail = fail
        self.leases = LeaseKeeper(store, self, shards=shards, ttl=ttl)
        self.lane = HostLane(store.host, store.transport, self.leases.look)
        """What the hosts say to each other without the database goes by it."""
        self._ttl = ttl
        self._random = random or Random()
        self.tasks: set[asyncio.Task[None]] = set()
        """What it does now."""
        self._tenures: dict[int, asyncio.Task[None]] = {}
        """The last change of each shard."""
        self._gaining = asyncio.Semaphore(AT_ONCE)
        self._looking: asyncio.Task[None] | None = None
        self._waiting: set[str] = set()
        """The mailboxes that have open messages, at any host, as of the last look."""
        self._count_at = 0.0
        self._ending: set[bytes] = set()
        self._gave_busy = 0.0
        self._drained: asyncio.Future[None] | None = None

    def begin(self, clock: Any) -> None:
        """Take leases and deliver, by a clock."""
        self.clock, self.about = clock, replace(self.about, since=self.store.wall())
        self.store.listen(self._told)
        self.lane.listen(self.live.arrived, self.live.lost)
        self.lane.begin(clock)
        self.leases.begin(clock)
        self._looking = asyncio.ensure_future(self._look())

    async def hosts(self) -> list[HostRecord]:
        """Return the processes of the cluster that live, or died within the last hour."""
        return await self.store.hosts()

    async def drain(self, host: str | None = None) -> bool:
        """Have a process give its nodes to the others and take no more; it runs on, and is asked as before.

        Args:
            host: its `HostRecord.id`; None for this one.

        Returns:
            False if the host is not known.
        """
        is_known = await self.store.drain(host or self.store.host)
        self.leases.look()
        return is_known

    async def rest(self, patience: float | None) -> None:
        """Give all shards back, each as its nodes come to rest, or after so many seconds."""
        if self._looking is None:
            return
        self._drained = asyncio.get_running_loop().create_future()
        self.leases.is_draining, self.leases.fits, timer = True, {}, None
        if patience is not None:
            timer = self.clock.call_later(patience, self._stop_waiting)
        self.shed(len(self.leases.leases))
        self._check_drained()
        try:
            await self._drained
        finally:
            if timer is not None:
                timer.cancel()

    async def end(self) -> None:
        """End all tenures at once, and tell the other hosts that the shards are free."""
        await self.leases.end()
        await self.live.close()
        for lease in tuple(self.leases.leases.values()):
            self.leases.forget(lease)
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        while self.tasks:  # each leaves them in a later turn, and `gather` of tasks that are done would not let it come
            await asyncio.wait(self.tasks)
        await self.lane.end(LOOK)
        try:
            await self.store.leave()
        except JournalError as error:
            _log.warning("the other hosts take over when the leases of this one are over: %s", error)

    # -- mailboxes ------------------------------------------------------------------------------------------------

    def mailbox(self, node: AnyNode, name: str, settings: Durable, **options: Any) -> HostMailbox:
        """Return the mailbox of a durable node."""
        return HostMailbox(self, node, name, settings, **options)

    def add(self, mailbox: HostMailbox | SinglePlace) -> None:
        """Deliver to a node from now on, whenever its shard is here."""
        self.mailboxes[mailbox.name] = self._of_shard[self.store.shard(mailbox.name)][mailbox.name] = mailbox
        lease = self.leases.leases.get(self.store.shard(mailbox.name))
        if lease is not None:
            self._then(lease.shard, self._gain(lease, mailbox))

    def remove(self, mailbox: HostMailbox | SinglePlace) -> None:
        """Deliver no more to a node."""
        if self.mailboxes.get(mailbox.name) is mailbox:  # and not the one of a node that takes its place
            del self.mailboxes[mailbox.name], self._of_shard[self.store.shard(mailbox.name)][mailbox.name]

    async def forget_session(self, session: str) -> None:
        """Have the nodes at other hosts forget a session. Raises JournalError."""
        for mailbox in self.mailboxes.values():
            await mailbox.forget(session)

    def serves(self, address: str) -> bool:
        """Return True if what has this address, such as a trigger, is this host's to do."""
        shard = self.store.shard(address)
        return shard in self.leases.leases and shard not in self.leases.resting

    async def missed_since(self, now: float) -> float:
        """Return the time since which an earlier host may have died. Raises JournalError."""
        begun = min([one.since for one in await self.store.hosts()], default=now)
        return min(now, max(begun, now - 2 * self._ttl - LATE))

    def of_shard(self, shard: int) -> list[HostMailbox | SinglePlace]:
        """Return the mailboxes of a shard."""
        return [*self._of_shard[shard].values()]

    # -- tenures --------------------------------------------------------------------------------------------------

    def holds(self, lease: Lease) -> bool:
        """Return True if this host has a lease, as far as it knows."""
        return self.leases.leases.get(lease.shard) == lease

    def forget(self, lease: Lease) -> None:
        """Take note that a lease is over."""
        self.leases.forget(lease)

    def is_good(self, lease: Lease) -> bool:
        """Return True if a handler may begin under a lease."""
        return self.leases.is_good(lease)

    def record(self) -> HostRecord:
        """Return what the other hosts are told of this one."""
        snapshot = encode_snapshot(self.mailboxes.values())
        nodes = tuple(sorted(name for name, mailbox in self.mailboxes.items() if not is_gone(mailbox.node)))
        return replace(self.about, nodes=nodes, is_draining=self.leases.is_draining, snapshot=snapshot)

    def seen(self) -> Iterator[tuple[HostRecord, HostSnapshot]]:
        """Yield the hosts that live, with what each has said of itself, as of the last renewal."""
        return ((one, read_snapshot(one.snapshot)) for one in self.leases.hosts)

    def run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do asynchronous work of this host."""
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a fault of the cluster", exc_info=error)

    def _then(self, shard: int, work: Coroutine[Any, Any, None]) -> None:
        """Do the next change of a shard when the one before is done."""
        before = self._tenures.get(shard)

        async def follow() -> None:
            if before is not None:
                await asyncio.wait([before])
            await work

        self._tenures[shard] = self.run(follow())

    def gained(self, lease: Lease) -> None:
        """Begin a tenure."""
        self._then(lease.shard, self._begin(lease))

    async def _begin(self, lease: Lease) -> None:
        await asyncio.gather(*(self._gain(lease, mailbox) for mailbox in self.of_shard(lease.shard)))
        if self.holds(lease):
            self.changed()

    async def _gain(self, lease: Lease, mailbox: HostMailbox | SinglePlace) -> None:
        """Let a mailbox deliver; what cannot be read now is read later, while the lease is ours."""
        while self.holds(lease) and mailbox.name in self.mailboxes:
            try:
                async with self._gaining:
                    await mailbox.gain(lease)
            except JournalError as error:
                _log.warning("node %r cannot be taken over now: %s", mailbox.node.name, error)
                await pause(self.clock, LOOK)
            else:
                return

    def lost(self, lease: Lease) -> None:
        """End a tenure at once."""
        for mailbox in self.of_shard(lease.shard):
            mailbox.pause(lease)
        self._then(lease.shard, self._lose(lease))
        self._check_drained()

    async def _lose(self, lease: Lease) -> None:
        self.changed()
        for mailbox in self.of_shard(lease.shard):
            await mailbox.lose(lease)

    def saw(self, hosts: list[HostRecord]) -> None:
        """Take note of the hosts that live."""
        self.lane.see(hosts)

    def resumed(self) -> None:
        """Deliver again after the leases were in doubt."""
        for mailbox in self.mailboxes.values():
            mailbox.resume()

    # -- give back ------------------------------------------------------------------------------------------------

    def shed(self, number: int) -> None:
        """Let so many shards rest that are idle, or else one, at most one in each ttl; all of them to drain."""
        keeper = self.leases
        leases = [one for no, one in keeper.leases.items() if no not in keeper.resting and no not in keeper.fits]
        busy = {one.shard: sum(mailbox.busy for mailbox in self.of_shard(one.shard)) for one in leases}
        leases.sort(key=lambda one: busy[one.shard])
        given = leases[: max(0, number)]
        if not keeper.is_draining:
            idle = [one for one in given if not busy[one.shard]]
            if not idle and given and self.clock.now() - self._gave_busy >= self._ttl:
                self._gave_busy = self.clock.now()
                idle = given[:1]
            given = idle
        self.retire({lease.shard for lease in given})

    def retire(self, shards: Set[int]) -> None:
        """Let shards rest; they are given back."""
        for no in shards & self.leases.leases.keys() - self.leases.resting:
            self.leases.resting.add(no)
            self._then(no, self._rest(self.leases.leases[no]))

    def fits(self, hosts: Sequence[HostRecord]) -> dict[int, set[str]]:
        """Return which hosts are to have the shards that do not fit to all of them; see `fitting_hosts`."""
        return fitting_hosts(hosts, self._waiting, self.store.shard)

    async def _rest(self, lease: Lease) -> None:
        """End a tenure when its nodes are at rest."""
        self.changed()
        mailboxes = self.of_shard(lease.shard)
        for mailbox in mailboxes:
            mailbox.pause(lease)
        while any(mailbox.is_working for mailbox in mailboxes) and self.holds(lease):
            if self._drained is not None and self._drained.done():
                break
            await pause(self.clock, LOOK / 10)
        for mailbox in mailboxes:
            await mailbox.lose(lease)
        self.leases.free(lease)

    def _stop_waiting(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def _check_drained(self) -> None:
        if not self.leases.leases:
            self._stop_waiting()

    # -- notices --------------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        """Look again and again for what no notice has told."""
        is_away = False
        while True:
            await pause(self.clock, LOOK * (0.8 + 0.4 * self._random.random()))
            try:
                notice = await self.store.look(tuple(self.leases.leases.values()), tuple(self.expected))
                self._ending.intersection_update(id for id, _ in notice.given_up)
                self._told(notice)
                await self._count()
            except JournalError as error:
                if not is_away:
                    _log.warning("this host cannot look for messages now: %s", error)
                is_away = True
                continue
            is_away = False

    async def _count(self) -> None:
        """Count the open messages, the less often the more there are. Raises JournalError."""
        if self.clock.now() < self._count_at:
            return
        counts = await self.store.counts()
        self._count_at = self.clock.now() + sum(counts.values()) / COUNTED
        self._waiting = {name.partition("#")[0] for name in counts}
        for name, mailbox in self.mailboxes.items():
            mailbox.count(counts.get(name, 0))

    def _told(self, notice: Notice) -> None:
        for name in notice.mailboxes:
            mailbox = self.mailboxes.get(name.partition("#")[0])
            if mailbox is not None:
                self.run(mailbox.look(name))
        for id in notice.ended:
            mailbox = self.expected.pop(id, None)
            if mailbox is not None:
                self.run(mailbox.told(id))
        for id, outcome in notice.given_up:
            if id not in self._ending:
                self._ending.add(id)
                self.run(self._end(id, outcome))
        if notice.is_partial:
            self.leases.look()

    async def _end(self, id: bytes, outcome: EndOutcome) -> None:
        """End a message here whose caller elsewhere waits no more."""
        try:
            found = await self.store.find(id)
        except JournalError:  # the next look finds it
            self._ending.discard(id)
            return
        mailbox = None if found is None or found.outcome is not None else self.mailboxes.get(found.mailbox)
        if isinstance(mailbox, HostMailbox) and mailbox.window.is_running and not mailbox.answers.is_awaited(id):
            mailbox.give_up(id, outcome)
        else:
            self._ending.discard(id)


def host_of(
    journal: Any, manifest: Manifest, pool: str, fail: Callable[[JournalError], object], actor: str | None
) -> Host:
    """Return this process as a host of the cluster of a manifest; `actor` is the name that Ray has for it, if any."""
    store: ClusterStore = journal
    spec = manifest.cluster
    assert spec is not None
    place = f"{socket.gethostname()}:{os.getpid()}"
    about = HostRecord(
        id=store.host,
        cluster=spec.name or pool,
        name=f"{actor}@{place}" if actor else place,
        actor=actor or "",
        is_caller=spec.engine == "ray" and actor is None,
        version=blake2b(repr(manifest).encode(), digest_size=6).hexdigest(),
        ttl=spec.ttl,
    )
    return Host(store, about, shards=spec.shards, ttl=spec.ttl, fail=fail)
