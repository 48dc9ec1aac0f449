"""Packets by Ray: to a host that it runs by a call of its actor, and back to a process that only asks by its polls.

What Ray does not reach goes by the transport of the store; a lane does not mind which way a packet takes.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from actors.cluster.host import Host
from actors.cluster.ray_placement import ray_module, said_by

POLL: Final = 5.0
"""Seconds that a host waits for packets before it answers a poll with none."""
MOST_WAITING: Final = 256
"""Packets that wait for a poll; earlier ones are lost."""

_log = logging.getLogger("understage.cluster")


class PacketBuffer:
    """Packets of a host that wait for the poll of one process. Threads may use it."""

    def __init__(self) -> None:
        self._packets: deque[bytes] = deque(maxlen=MOST_WAITING)
        self._is_full = threading.Event()
        self._polled = time.monotonic()

    @property
    def is_polled(self) -> bool:
        """True while its process asks for the packets."""
        return time.monotonic() - self._polled < 2 * POLL

    def put(self, packet: bytes) -> None:
        """Add a packet."""
        self._packets.append(packet)
        self._is_full.set()

    def take(self) -> list[bytes]:
        """Wait for packets, and return them."""
        self._polled = time.monotonic()
        self._is_full.wait(POLL)
        self._is_full.clear()
        self._polled = time.monotonic()
        return [self._packets.popleft() for _ in range(len(self._packets))]


class RayTransport:
    """Carries the packets of one host, from its loop.

    Args:
        host: the host; it has a connection to Ray.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._ray = ray_module()
        self._loop = asyncio.get_running_loop()
        self._arrived: Callable[[str, bytes], object] = lambda _host, _packet: None
        self._searches: dict[str, asyncio.Task[None]] = {}
        self._actors: dict[str, Any] = {}
        self._buffers: dict[str, PacketBuffer] = {}
        self._is_closed = False

    def connect(self, arrived: Callable[[str, bytes], object]) -> None:
        """Have a function called with each packet."""
        self._arrived = arrived
        self._host.store.transport.connect(arrived)

    def send(self, host: str, packet: bytes) -> None:
        """Send bytes to a host."""
        buffer = self._buffers.get(host)
        if buffer is not None and buffer.is_polled:
            buffer.put(packet)
        elif (actor := self._actors.get(host)) is not None:
            actor.packet.options(concurrency_group="lane", num_returns=0).remote(self._host.store.host, packet)
        else:
            self._host.store.transport.send(host, packet)
            self._search(host)

    def take(self, host: str, packet: bytes) -> None:
        """Take a packet, in a thread of Ray."""
        self._loop.call_soon_threadsafe(self._arrived, host, packet)

    def poll(self, host: str) -> list[bytes]:
        """Wait for packets for a process that only asks, in a thread of Ray; its first poll has them wait for it."""
        if (buffer := self._buffers.get(host)) is None:
            self._buffers[host] = PacketBuffer()
        return [] if buffer is None else buffer.take()

    def close(self) -> None:
        """Use Ray no more."""
        self._is_closed = True
        for search in self._searches.values():
            search.cancel()
        self._actors.clear()

    def _search(self, host: str) -> None:
        """Look once for the actor of a host that is not known yet, and forget those that are gone."""
        living = {one.id: one for one in self._host.leases.hosts}
        for gone in {*self._searches, *self._buffers} - living.keys():
            self._buffers.pop(gone, None)
            if (search := self._searches.pop(gone, None)) is not None:
                search.cancel()
        if not self._is_closed and host in living and living[host].actor and host not in self._searches:
            self._searches[host] = self._host.run(self._follow(host, living[host].actor))

    async def _follow(self, host: str, name: str) -> None:
        """Find the actor of a host; a process that only asks polls it for packets."""
        find = asyncio.to_thread(self._ray.get_actor, name, namespace=self._host.about.cluster)
        try:
            actor = await find
            while self._host.about.is_caller:
                packets = await actor.poll.options(concurrency_group="poll").remote(self._host.store.host)
                self._actors[host] = actor
                for packet in packets:
                    self._arrived(host, packet)
            self._actors[host] = actor
        except (ValueError, self._ray.exceptions.RayError) as error:
            text = "Ray does not reach %s any more; what is for it goes by the database: %s"
            _log.warning(text, name, said_by(error))
            self._actors.pop(host, None)
