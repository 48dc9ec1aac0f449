"""Lanes of several hosts on one loop, over a network that a seed disturbs, while the hosts die, freeze and join.

`simulate(seed)` is the same each time. It returns the laws that were broken.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from actors.cluster.lane import HostLane
from actors.testing.network import SimulatedNetwork
from protocols.cluster import HostRecord
from protocols.errors import HostLostError
from protocols.transport import Credit, Frame, Transport
from tests.cluster.simulated_loop import SimulatedClock, SimulatedLoop, SimulatedProcess

if TYPE_CHECKING:
    from collections.abc import Callable

TTL = 2.0
DURATION = 8.0
"""Seconds of disturbance."""
REST = 6.0
"""Seconds until everything must have arrived."""
MOST_HOSTS = 6


class Way(NamedTuple):
    """From one host to another, in certain lives."""

    sender: str
    sender_life: int
    receiver: str
    receiver_life: int

    def frame(self, number: int) -> Credit:
        return Credit(":".join(map(str, self)).encode(), number)

    @classmethod
    def of(cls, frame: Credit) -> Way:
        sender, sender_life, receiver, receiver_life = frame.id.decode().split(":")
        return cls(sender, int(sender_life), receiver, int(receiver_life))


class _Wire:
    """The transport of a host: what is on its way stays there when the host dies or freezes."""

    def __init__(self, host: Host, inner: Transport) -> None:
        self._host, self._inner = host, inner

    def connect(self, arrived: Callable[[str, bytes], object]) -> None:
        self._inner.connect(partial(self._host.call, arrived))

    def send(self, host: str, packet: bytes) -> None:
        with self._host.loop.of(None):
            self._inner.send(host, packet)


class Host(SimulatedProcess):
    """One host: it says that it lives, sees who lives, and sends."""

    def __init__(self, world: World, number: int) -> None:
        super().__init__(world.loop, f"host{number}")
        self.world = world
        self.random = Random(f"{world.seed}/{number}")
        self.life, self.lives = 0, dict[str, int]()
        self.over: set[Way] = set()
        """The ways to this host that it has lost."""
        self.lane = HostLane(self.name, _Wire(self, world.network.transport(self.name)), self.look)
        self.lane.listen(self._take, self._lose)
        self.call(self._begin)

    def _begin(self) -> None:
        self.lane.begin(self.world.clock)
        self._renew()
        self._send()

    def _renew(self) -> None:
        self.world.clock.call_later(TTL / 3, self._renew)
        if not self.is_cut_off:
            self.world.renew(self.name)
            self.look()

    def look(self) -> None:
        """See who lives."""
        if self.is_cut_off:
            return
        records = self.world.living()
        lives = {one.id: one.life for one in records}
        self.lane.see(records)
        self.life, self.lives = lives.pop(self.name, self.life), lives

    def _send(self) -> None:
        if self.world.loop.time() > DURATION:
            return
        self.world.clock.call_later(0.6 * self.random.random(), self._send)
        if self.lives:
            host = self.random.choice(sorted(self.lives))
            for _ in range(self.random.choice((1, 1, 1, 3, 3, 120))):
                self._say(host)

    def _say(self, host: str) -> None:
        way = Way(self.name, self.life, host, self.lives.get(host, -1))
        sent = self.world.sent
        try:
            self.lane.send(host, way.frame(sent[way]))
        except HostLostError:
            if host in self.lives:
                self.world.broken.append(f"{self.name} cannot send to {host}, which it has not lost")
        else:
            sent[way] += 1

    def _take(self, host: str, frame: Frame) -> None:
        assert isinstance(frame, Credit)
        way, world = Way.of(frame), self.world
        if (way.sender, way.receiver) != (host, self.name):
            world.broken.append(f"{self.name} was told {frame} by {host}")
        if way in self.over:
            world.broken.append(f"after lost: {way}")
        if frame.number != world.taken[way]:
            world.broken.append(f"order: {way} {frame.number} in place of {world.taken[way]}")
        world.taken[way] += 1
        if self.random.random() < 0.02:
            self._say(host)

    def _lose(self, host: str) -> None:
        way = Way(host, self.lives.get(host, -1), self.name, self.life)
        if way in self.over or way.sender_life < 0:
            self.world.broken.append(f"lost twice: {way}")
        self.over.add(way)


class World:
    """The hosts of one seed, their network, and the table that says who lives."""

    def __init__(self, loop: SimulatedLoop, seed: int) -> None:
        self.loop, self.seed = loop, seed
        self.random = Random(seed)
        self.clock = SimulatedClock(loop)
        self.network = SimulatedNetwork(seed, self.clock)
        self.hosts: list[Host] = []
        self.sent: Counter[Way] = Counter()
        self.taken: Counter[Way] = Counter()
        self.broken: list[str] = []
        self._rows: dict[str, tuple[float, int]] = {}

    def renew(self, host: str) -> None:
        until, life = self._rows.get(host, (0.0, 0))
        now = self.loop.time()
        self._rows[host] = (now + TTL, life + (until <= now))

    def living(self) -> list[HostRecord]:
        rows, now = self._rows.items(), self.loop.time()
        return [HostRecord(id=id, cluster="c", life=life) for id, (until, life) in rows if until > now]

    async def play(self) -> None:
        for number in range(3):
            self.hosts.append(Host(self, number))
        while (pause := 1.5 * self.random.random()) < DURATION - self.loop.time():
            await self.clock.sleep(pause)
            self._disturb()
        await self.clock.sleep(max(0.0, DURATION - self.loop.time()))
        self.network.loss, self.network.doubles = 0.0, 0.0
        self.network.heal()
        for host in self.hosts:
            self._help(host)
        await self.clock.sleep(REST)
        self._check()
        for host in self.hosts:
            if not host.is_dead:
                host.run(host.lane.end(0.0))
            host.call(host.kill)
        await self.clock.sleep(1.0)

    def _disturb(self) -> None:
        random = self.random
        well = [host for host in self.hosts if not (host.is_dead or host.is_frozen or host.is_cut_off)]
        way = random.random()
        if way < 0.25:
            self.network.part(*(host.name for host in self.hosts if random.random() < 0.5))
            self.loop.call_later(3.0 * random.random(), self.network.heal)
        elif len(well) < 2 or (way < 0.45 and len(self.hosts) < MOST_HOSTS):
            self.hosts.append(Host(self, len(self.hosts)))
        else:
            host = random.choice(well)
            if way < 0.6 and len(well) > 2:
                host.kill()
                self.network.remove(host.name)
            elif way < 0.8:
                host.freeze()
            else:
                host.is_cut_off = True
            self.loop.call_later(2.5 * TTL * random.random(), self._help, host)

    def _help(self, host: Host) -> None:
        host.is_cut_off = False
        if host.is_frozen:
            host.thaw()

    def _check(self) -> None:
        living = {one.id: one.life for one in self.living()}
        for host in self.hosts:
            if not host.is_dead and {**host.lives, host.name: host.life} != living:
                self.broken.append(f"{host.name} does not see who lives")
        for way, number in self.sent.items():
            both = living.get(way.sender) == way.sender_life and living.get(way.receiver) == way.receiver_life
            if both and self.taken[way] != number:
                self.broken.append(f"lost: {way} has {self.taken[way]} of {number}")


def simulate(seed: int) -> World:
    """Play a seed to its end; what broke is in `broken`."""
    loop = SimulatedLoop()
    world = World(loop, seed)
    loop.set_exception_handler(lambda _, context: world.broken.append(f"loop: {context}"))
    try:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(world.play())
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    return world
