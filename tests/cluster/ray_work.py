"""What the nodes of the tests of Ray do, in the processes that Ray runs."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from actors.cluster.ray_transport import RayTransport
from protocols.cluster import HostRecord

if TYPE_CHECKING:
    from collections.abc import Coroutine


def handle(prompt: str) -> str:
    """Write a line into the log, and say which process did it."""
    with Path(os.environ["UNDERSTAGE_LOG"]).open("a") as file:
        file.write(f"{os.getpid()} {prompt}\n")
    return f"{os.getpid()} {prompt}"


class Standing:
    """Stands in for a host: it knows the others, and notes what goes by the database."""

    def __init__(self, me: str, others: list[HostRecord], *, is_caller: bool = False) -> None:
        self.about = HostRecord(id=me, cluster="echoes", is_caller=is_caller)
        self.leases = SimpleNamespace(hosts=others)
        self.noted: list[tuple[str, bytes]] = []
        self.store = SimpleNamespace(host=me, transport=self)

    def run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return asyncio.ensure_future(work)

    def send(self, host: str, packet: bytes) -> None:
        self.noted.append((host, packet))

    def connect(self, arrived: object) -> None: ...


class Echo:
    """An actor of Ray that says back what it hears, by its transport."""

    def __init__(self, me: str) -> None:
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()
        self._transport = asyncio.run_coroutine_threadsafe(echoing(me), loop).result()

    def packet(self, host: str, packet: bytes) -> None:
        self._transport.take(host, packet)

    def poll(self, host: str) -> list[bytes]:
        return self._transport.poll(host)


async def echoing(me: str) -> RayTransport:
    """Return a transport that sends back what it gets."""
    host: Any = Standing(me, [])
    transport = RayTransport(host)
    transport.connect(transport.send)
    return transport
