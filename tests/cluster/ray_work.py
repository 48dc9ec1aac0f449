"""What the nodes of the tests of Ray do, in the processes that Ray runs."""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from actors.cluster.ray_placement import GROUPS, ray_module
from actors.cluster.ray_transport import RayTransport
from protocols.cluster import HostRecord
from tests.cluster.worker import NODES, Worker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from protocols.transport import Transport

CLUSTER = "led"
"""The namespace of the hosts that tests lead."""


def handle(prompt: str) -> str:
    """Write a line into the log, and say which process did it."""
    with Path(os.environ["UNDERSTAGE_LOG"]).open("a") as file:
        file.write(f"{os.getpid()} {prompt}\n")
    return f"{os.getpid()} {prompt}"


@cache
def worker() -> Worker:
    """Return what writes the log of a herd in this process."""
    return Worker(Path(os.environ["UNDERSTAGE_LOG"]).parent, str(os.getpid()))


def _herded(name: str) -> Callable[[str], Awaitable[str]]:
    async def handle(prompt: str) -> str:
        answer: str = await worker().handler(name)(prompt)
        return answer

    return handle


globals().update({name: _herded(name) for kind in NODES for name in kind})


class Standing:
    """Stands in for a host: it knows the others, and notes what goes by the database."""

    def __init__(self, me: str, others: list[HostRecord], *, is_caller: bool = False) -> None:
        self.about = HostRecord(id=me, cluster=CLUSTER, is_caller=is_caller)
        self.leases = SimpleNamespace(hosts=others)
        self.noted: list[tuple[str, bytes]] = []
        self.store = SimpleNamespace(host=me, transport=self)

    def run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return asyncio.ensure_future(work)

    def send(self, host: str, packet: bytes) -> None:
        self.noted.append((host, packet))

    def connect(self, arrived: object) -> None: ...


class Led:
    """A host that Ray runs, led by a test: it sends what it is told to, and tells what it takes.

    As of `RayHost`, no method may be async: all would run one after the other.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._taken: SimpleQueue[tuple[str, bytes] | None] = SimpleQueue()
        self._host: Any = Standing("", [])
        self._transport: Any = None

    def live(self, me: str, hosts: list[HostRecord]) -> None:
        """Know these hosts, which Ray reaches then; with another id than before it is a new host."""

        async def known() -> None:
            self._know(me, hosts)
            await reached(self._transport, self._host)

        asyncio.run_coroutine_threadsafe(known(), self._loop).result()

    def _know(self, me: str, hosts: list[HostRecord]) -> None:
        if self._host.about.id != me:
            self._taken.put(None)
            taken = self._taken = SimpleQueue()
            self._host = Standing(me, hosts)
            transport = self._transport = RayTransport(self._host)
            transport.connect(lambda host, packet: taken.put((host, packet)))
        self._host.leases.hosts = hosts

    def packet(self, host: str, packet: bytes) -> None:
        if host in {one.id for one in self._host.leases.hosts}:  # not of the test before
            self._transport.take(host, packet)

    def poll(self, host: str) -> list[bytes]:
        packets: list[bytes] = self._transport.poll(host)
        return packets

    def say(self, host: str, packet: bytes) -> None:
        """Send a packet."""
        self._loop.call_soon_threadsafe(self._transport.send, host, packet)

    def taken(self) -> list[tuple[str, bytes]]:
        """Wait for packets, and return them with their senders; none when it is another host."""
        found, first = self._taken, self._taken.get()
        return [] if first is None else [first, *(one for _ in range(found.qsize()) if (one := found.get()))]


async def reached(transport: RayTransport, host: Standing) -> None:
    """Wait until Ray has found the actors of all other hosts."""
    actors = {one.id for one in host.leases.hosts if one.actor} - {host.about.id}
    known = transport._actors  # pyright: ignore[reportPrivateUsage] - nothing else tells
    while missing := actors - known.keys():
        for one in missing:
            transport.send(one, b"")
        await asyncio.sleep(0)


class LedTransport:
    """The transport of a host that a test leads."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor
        self.taking: asyncio.Future[None] | None = None
        self.is_over = False

    def send(self, host: str, packet: bytes) -> None:
        self.actor.say.options(num_returns=0).remote(host, packet)

    def connect(self, arrived: Callable[[str, bytes], object]) -> None:
        self.taking = asyncio.ensure_future(self._take(arrived))

    async def _take(self, arrived: Callable[[str, bytes], object]) -> None:
        with suppress(ray_module().exceptions.RayActorError):  # it has ended
            while packets := await self.actor.taken.options(concurrency_group="poll").remote():
                for host, packet in packets:
                    arrived(host, packet)


class Placed:
    """Hosts that Ray runs; the first one is this process, which only asks.

    Args:
        spare: the actors that tests before have left.
    """

    def __init__(self, spare: list[Any]) -> None:
        self.caller: Any = None
        self._spare = spare
        self._records: list[HostRecord] = []
        self._transports: dict[str, Any] = {}

    async def host(self) -> tuple[str, Transport]:
        me = uuid4().hex
        if not self._records:
            self.caller = Standing(me, self._records, is_caller=True)
            transport = self._transports[me] = RayTransport(self.caller)
            self._records.append(HostRecord(id=me, cluster=CLUSTER))
            return me, transport
        name, actor = self._spare.pop() if self._spare else _made()
        led = self._transports[me] = LedTransport(actor)
        self._records.append(HostRecord(id=me, cluster=CLUSTER, actor=name))
        for id, one in self._transports.items():
            if isinstance(one, LedTransport) and not one.is_over:
                await one.actor.live.remote(id, self._records)
        await reached(self._transports[self.caller.about.id], self.caller)
        return me, led

    async def end(self, host: str) -> None:
        ray_module().kill(self._transports[host].actor)
        self._transports[host].is_over = True

    async def close(self) -> None:
        for record, one in zip(self._records, self._transports.values(), strict=True):
            if not isinstance(one, LedTransport):
                one.close()
                continue
            if one.taking is not None:
                one.taking.cancel()
                await asyncio.wait([one.taking])
            if not one.is_over:
                self._spare.append((record.actor, one.actor))


def _made() -> tuple[str, Any]:
    """Return a new actor of Ray that a test leads, and its name."""
    name, actor = uuid4().hex, ray_module().remote(concurrency_groups=GROUPS)(Led)
    return name, actor.options(name=name, namespace=CLUSTER, num_cpus=0).remote()
