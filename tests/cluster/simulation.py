"""A simulated cluster: pools of several hosts on one loop and one database, which a seed disturbs in all ways at once.

`simulate(seed)` is the same each time. It returns the laws that were broken.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any
from unittest import mock
from zlib import crc32

import protocols.ids
from actors import ActorSystem, AgentPool, delivery
from actors.agents.agent import Agent
from actors.app.journal_service import JournalService
from actors.app.trigger_service import TriggerService
from actors.cluster.tenure import TenureWindow
from actors.storage.cluster_memory import MemoryDatabase
from actors.testing.scheduler import DeterministicDispatcher
from protocols.cluster import shard_of
from protocols.errors import NodeStoppedError
from protocols.journal import JournalError
from tests.cluster.laws import SLACK, Begin, ErrorLog, Ledger, Outage
from tests.cluster.schedule import TIMED, inline, missed, planned
from tests.cluster.simulated_loop import SimulatedClock, SimulatedLoop, SimulatedProcess
from tests.cluster.simulated_store import Network, SimulatedStore

if TYPE_CHECKING:
    from collections.abc import Callable

TTL = 2.0
SHARDS = 6
CONCURRENCY = {"a": 1, "b": 1, "c": 3, "d": 1}
"""The nodes, and how many messages each of them handles at the same time. What a answers is passed on to d."""
LIVE = "e"
"""A node that keeps nothing, and lives at one host at a time."""
DURATION = 6.0
"""Seconds of disturbance."""
PATIENCE = 60.0
"""Seconds until everything is at rest."""
_HOSTS = 3
_LOG = logging.getLogger("understage")


class Host(SimulatedProcess):
    """One host: a pool with its senders."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        super().__init__(cluster.loop, f"host{number}")
        self.cluster = cluster
        self.random = Random(f"{cluster.seed}/{number}")
        self.is_leaving = self.is_drained = False
        self.asks: set[asyncio.Task[None]] = set()
        """Senders, and what callers here wait for."""
        with cluster.loop.of(self):
            self.store = SimulatedStore(cluster.database, self, cluster.network, cluster.ledger)
            dispatcher = DeterministicDispatcher.seeded(cluster.seed * 100 + number)
            self.system = ActorSystem(self.name, clock=cluster.clock, dispatcher=dispatcher)
            keywords: Any = {"cluster": {"url": "postgresql://u@h/d", "shards": SHARDS, "ttl": TTL}}
            services: Any = [partial(JournalService, make=lambda _: self.store)]
            keywords |= {"system": self.system, "exit_timeout": 1.0, "connect_nodes": False}
            if cluster.is_timed:
                services.append(TriggerService)
            self.pool: AgentPool[None] = AgentPool(TIMED if cluster.is_timed else None, services=services, **keywords)

    @property
    def is_well(self) -> bool:
        return not (self.is_dead or self.is_frozen or self.is_cut_off or self.is_leaving)

    async def live(self) -> None:
        """Open the pool, and send."""
        nodes = {name: self._node(name, most) for name, most in CONCURRENCY.items()}
        for node in nodes.values():
            await self.pool.add_node(node)
        await self.pool.add_node(Agent.from_callback(self._live, name=LIVE, max_concurrency=1, placement="single"))
        nodes["a"].connect_to(nodes["d"])
        while True:
            try:
                await self.pool.__aenter__()
                break
            except JournalError:
                await self.cluster.clock.sleep(0.1)
        for number in range(2):
            self._note(self.loop.create_task(self._send(f"{self.name}.{number}")))
        self._note(self.loop.create_task(self._send_live()))

    async def drain(self) -> None:
        """Give all nodes to the others, and run on."""
        await self.pool.cluster.drain()

    async def leave(self) -> None:
        """Give everything back, and end."""
        self.is_leaving = True
        await self.pool.__aexit__(None, None, None)
        await self.system.close()

    def _node(self, name: str, most: int) -> Agent[Any, str]:
        async def work(text: str) -> str:
            ledger, now, here = self.cluster.ledger, self.loop.time(), delivery()
            one = Begin(now, self.name, name, text, here.key, here.attempt)
            ledger.began(one, shard=self.store.shard(f"pool/{name}"), has_just_thawed=self.thawed == now)
            await self.cluster.clock.sleep((0, 0, 0, 0.02, 0.2, 1.2)[crc32(f"{text}{name}".encode()) % 6])
            ledger.finished.add(here.key)
            if text.endswith("!"):
                raise ValueError(text)
            return text

        placement: Any = "anywhere" if name == self.cluster.ledger.spread else None
        return Agent.from_callback(work, name=name, max_concurrency=most, durable=True, placement=placement)

    async def _live(self, text: str) -> str:
        shard = self.store.shard(f"pool/{LIVE}")
        self.cluster.ledger.began_live(text, self.name, shard=shard, has_just_thawed=self.thawed == self.loop.time())
        await self.cluster.clock.sleep((0, 0.02, 0.2, 1.2)[crc32(text.encode()) % 4])
        if text.endswith("!"):
            raise ValueError(text)
        return text

    # -- senders

    async def _send_live(self) -> None:
        random = Random(f"live {self.cluster.seed}/{self.name}")
        for number in range(random.randint(4, 8)):
            await self.cluster.clock.sleep(random.choice((0.0, 0.0, 0.2, 1.0)) * random.random())
            if self.is_leaving:
                return
            text = f"{self.name}.live-{number}" + ("!" if random.random() < 0.1 else "")
            timeout = 2 * random.random() if random.random() < 0.2 else None
            await self._ask(text, self.pool[LIVE].run(text, timeout=timeout))
            if isinstance(self.cluster.ledger.answers[-1][1], NodeStoppedError) and not self.is_leaving:
                self.cluster.ledger.broken.append(f"L7: {text} was told of a stop that is none here")

    async def _send(self, sender: str) -> None:
        random = self.random
        for number in range(random.randint(2, 5)):
            await self.cluster.clock.sleep(random.choice((0.0, 0.0, 0.2, 1.0, 2.5)) * random.random())
            if self.is_leaving:
                return
            text = f"{sender}-{number}" + ("!" if random.random() < 0.1 else "")
            node, way = random.choice("abc"), random.random()
            if way < 0.5:
                await self._submit(node, text)
            elif way < 0.6:
                await self._submit(node, f"same{random.randrange(3)}", request_id=True)
            else:
                task = self.loop.create_task(self._run(node, text, way))
                self._note(task)
                await asyncio.wait([task])

    def _note(self, task: asyncio.Task[None]) -> None:
        self.asks.add(task)
        task.add_done_callback(self.asks.discard)

    async def _submit(self, node: str, text: str, **options: Any) -> None:
        if options:
            options["request_id"] = f"{node}/{text}"
        try:
            ticket = await self.pool[node].submit(text, **options)
        except Exception as error:
            self.cluster.ledger.answers.append((text, error))
            return
        self.cluster.ledger.accepted[ticket.run_id] = text
        if self.random.random() < 0.4:
            self._note(self.loop.create_task(self._ask(text, ticket.answer())))

    async def _run(self, node: str, text: str, way: float) -> None:
        timeout = 1.5 * self.random.random() if way > 0.9 else None
        if way < 0.8:
            await self._ask(text, self.pool[node].run(text, timeout=timeout))
            return
        asked = self.loop.create_task(self._ask(text, self.pool[node].run(text)))
        await asyncio.wait([asked], timeout=self.random.random())
        asked.cancel()
        await asyncio.wait([asked])

    async def _ask(self, text: str, answer: Any) -> None:
        ledger = self.cluster.ledger
        try:
            ledger.answers.append((text, (await answer).content))
        except Exception as error:
            ledger.answers.append((text, error))


class Cluster:
    """The hosts of one seed, and what befalls them."""

    def __init__(self, loop: SimulatedLoop, seed: int, *, is_timed: bool) -> None:
        self.loop, self.seed, self.is_timed = loop, seed, is_timed
        self.random = Random(seed)
        self.clock = SimulatedClock(loop)
        self.database = MemoryDatabase(now=lambda: 1_000.0 + loop.time())
        self.is_rough = seed % 2 == 1
        loss, longest = (0.02, 0.3) if self.is_rough else (0.0, 0.01)
        self.network = Network(loop, Random(f"network {seed}"), loss=loss, longest=longest)
        self.ledger = Ledger(self.database, shards=SHARDS, ttl=TTL, most=CONCURRENCY)
        self.hosts: list[Host] = []
        self.plan: list[asyncio.TimerHandle] = []
        """What befalls the hosts besides, at its time."""

    async def join(self) -> None:
        """Begin another host."""
        host = Host(self, len(self.hosts))
        self.hosts.append(host)
        self.ledger.changes.append(self.loop.time())
        host.run(host.live())

    async def play(self) -> None:
        """Disturb the hosts, let them rest, and end them."""
        for _ in range(_HOSTS):
            await self.join()
        if self.seed % 5 in (1, 2):
            self._plan()
        while (pause := 3.0 * self.random.random()) < DURATION - self.loop.time():
            await self.clock.sleep(pause)
            await self._disturb()
        self.network.calm()
        for timer in self.plan:
            timer.cancel()
        for host in self.hosts:
            self._thaw(host)
        if not any(host.is_well and not host.is_drained for host in self.hosts):
            await self.join()
        await self._rest()
        self._check_rest()
        await self._end()

    def _plan(self) -> None:
        """Have the database be away for a time, and a host drained."""
        random = Random(f"more {self.seed}")
        began, end = DURATION * random.random(), (TTL + 0.9 * SLACK) * random.random()
        later = self.loop.call_later
        self.plan = [later(began, self._away, True), later(began + end, self._away, False)]
        self.plan.append(later(DURATION * random.random(), self._drain, random))

    def _away(self, is_away: bool) -> None:
        self.network.is_away = is_away
        self.ledger.changes.append(self.loop.time())

    def _drain(self, random: Random) -> None:
        host = random.choice(self.hosts)
        if host.is_well and host.pool.is_running:
            self.ledger.changes.append(self.loop.time())
            host.is_drained = True
            host.run(host.drain())

    async def _disturb(self) -> None:
        random, now = self.random, self.loop.time()
        well = [host for host in self.hosts if host.is_well]
        way = random.random()
        if sum(not host.is_drained for host in well) < 2 or way < 0.2:
            await self.join()
            return
        host = random.choice(well)
        self.ledger.changes.append(now)
        if way < 0.4:
            host.run(host.leave())
            return
        self.ledger.outages.append(Outage(now, host.name, self._shards(host)))
        if way < 0.6:
            host.kill()
        else:
            if way < 0.8:
                host.freeze()
            else:
                host.is_cut_off = True
            self.loop.call_later(random.choice((1.0, 8.0)) * random.random(), self._thaw, host)

    def _thaw(self, host: Host) -> None:
        if host.is_frozen or host.is_cut_off:
            self.ledger.back(host.name, self.loop.time())
            host.is_cut_off = False
            host.thaw()

    def _shards(self, host: Host) -> tuple[int, ...]:
        found = self.ledger.select("SELECT no FROM shard WHERE owner = ?", host.name)
        return tuple(no for (no,) in found if no in {shard_of(f"pool/{node}", SHARDS) for node in CONCURRENCY})

    async def _rest(self) -> None:
        end = self.loop.time() + PATIENCE
        await self.clock.sleep(TTL + SLACK)
        while self.loop.time() < end:
            await self.clock.sleep(0.5)
            is_open = self.ledger.select("SELECT 1 FROM message WHERE done IS NULL LIMIT 1")
            if not is_open and not any(host.asks for host in self.hosts if not host.is_dead):
                return
        waiting = [task for host in self.hosts if not host.is_dead for task in host.asks]
        if waiting:
            self.ledger.broken.append(f"L5: {len(waiting)} callers wait for ever")

    def _check_rest(self) -> None:
        self.ledger.rested = self.database.now()
        if self.is_timed:
            self.ledger.broken += missed(self.ledger)
        for host in self.hosts:
            if host.is_drained and host.is_well and (shards := self._shards(host)):
                self.ledger.broken.append(f"L8: {host.name} was drained, and has the shards {shards}")

    async def _end(self) -> None:
        for host in self.hosts:
            if not host.is_dead and not host.is_leaving:
                leaving = host.run(host.leave())
                for _ in range(100):  # to await the task would make this one a part of the host
                    if leaving.done():
                        break
                    await self.clock.sleep(0.5)
        await self.clock.sleep(10.0)
        names = {host.name for host in self.hosts if host.is_dead}
        dead = {task for host in self.hosts if host.is_dead for task in host.tasks}
        for task in asyncio.all_tasks() - dead - {asyncio.current_task()}:
            if task.get_name().partition("-")[0] not in names:
                self.ledger.broken.append(f"leak: {task}")

    async def bury(self) -> None:
        """End what the deaths of hosts have left behind."""
        self.loop.set_exception_handler(lambda _, __: None)
        for host in self.hosts:
            if host.is_dead:
                host.is_dead = host.is_frozen = False
                host.system.torn_down()
                host.store.bury()
        for _ in range(2):  # the second time those that the first ones made
            left = asyncio.all_tasks() - {asyncio.current_task()}
            while left:
                for task in left:
                    task.cancel()
                await asyncio.sleep(0)
                left = {task for task in left if not task.done()}


def _ids(seed: int) -> Callable[[], list[str]]:
    random = Random(f"ids {seed}")
    return lambda: [f"{random.getrandbits(128):032x}" for _ in range(256)]


def _start(window: TenureWindow, start: Any = TenureWindow.start) -> None:
    loop: Any = asyncio.get_running_loop()
    host: Host = loop.process
    host.cluster.ledger.tenures[window.lease.shard].append((host.loop.time(), host.name))
    start(window)


def _random(randoms: Random) -> Random:
    return Random(randoms.random())


def _system(loop: SimulatedLoop, _: object) -> ActorSystem:
    host = loop.process
    assert isinstance(host, Host)
    return host.system


def simulate(seed: int, spread: str = "", *, is_timed: bool = False) -> Ledger:
    """Play a seed to its end; what broke is in `broken` of the ledger.

    Args:
        seed: decides what happens.
        spread: a node that lives at all hosts.
        is_timed: True for one more node, with a schedule.
    """
    loop = SimulatedLoop()
    randoms = Random(f"hosts {seed}")
    gc.disable()  # what it frees, and when, would differ from time to time
    protocols.ids._ready.clear()  # pyright: ignore[reportPrivateUsage]
    with (
        mock.patch("protocols.ids._batch", _ids(seed)),
        mock.patch.object(TenureWindow, "start", _start),
        mock.patch("actors.cluster.host.Random", partial(_random, randoms)),
        mock.patch.object(ActorSystem, "in_thread", inline),
        mock.patch("actors.runtime.background_loop.ActorSystem.of", partial(_system, loop)),
    ):
        try:
            asyncio.set_event_loop(loop)
            return loop.run_until_complete(_play(loop, seed, spread, is_timed=is_timed))
        finally:
            protocols.ids._ready.clear()  # pyright: ignore[reportPrivateUsage]
            asyncio.set_event_loop(None)
            loop.close()
            gc.enable()


async def _play(loop: SimulatedLoop, seed: int, spread: str, *, is_timed: bool) -> Ledger:
    cluster = Cluster(loop, seed, is_timed=is_timed)
    ledger = cluster.ledger
    ledger.spread = spread
    handler = ErrorLog(ledger.broken)
    _LOG.addHandler(handler)
    loop.set_exception_handler(lambda _, context: ledger.broken.append(f"loop: {context}"))
    try:
        with planned(cluster.database.now):
            await cluster.play()
    finally:
        _LOG.removeHandler(handler)
    ledger.broken[:] = ledger.check()
    await cluster.bury()
    return ledger
