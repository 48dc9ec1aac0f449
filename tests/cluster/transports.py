"""Every kind of transport, for the suite that holds each of them to its contract."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from actors.testing.network import SimulatedNetwork

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocols.transport import Transport
    from tests.storage.cluster_hosts import Cluster


class LoopClock:
    """The time of the running loop."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(delay, callback, *args)


class Carriers(Protocol):
    """Makes transports of one kind, of hosts that can reach each other."""

    async def host(self) -> tuple[str, Transport]:
        """Return the id and the transport of another host."""
        ...

    async def end(self, host: str) -> None:
        """End the process of a host."""
        ...

    async def close(self) -> None:
        """End all hosts."""
        ...


class Simulated:
    """A simulated network that disturbs nothing."""

    def __init__(self) -> None:
        self._network = SimulatedNetwork(1, LoopClock(), loss=0, doubles=0, longest=0)
        self._count = 0

    async def host(self) -> tuple[str, Transport]:
        self._count += 1
        name = f"host{self._count}"
        return name, self._network.transport(name)

    async def end(self, host: str) -> None:
        self._network.remove(host)

    async def close(self) -> None: ...


class Stored:
    """The transports of stores."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._stores: dict[str, Any] = {}

    async def host(self) -> tuple[str, Transport]:
        store = (await self._cluster.host()).store
        self._stores[store.host] = store
        return store.host, store.transport

    async def end(self, host: str) -> None:
        await self._stores[host].close()

    async def close(self) -> None:
        await self._cluster.close()
