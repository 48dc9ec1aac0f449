"""Services of a pool, such as triggers and history."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from typing import Literal, Self

from actors.config.manifest import Manifest
from actors.nodes.node import AnyNode
from actors.pool.registry import NodeRegistry

Health = Literal["ready", "degraded", "unavailable", "draining", "disconnected"]
"""All but the first two have the pool asked for nothing more."""


class PoolService:
    """A service of a pool, entered before the nodes start, left after they have stopped. The methods here do nothing.

    Example:
        ```python
        class Greeter(PoolService):
            def joined(self, node: MessageNode) -> None:
                print(node.name, "is in the pool")


        pool = AgentPool("agents.yml", services=[lambda pool: Greeter()])
        ```
    """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        return None

    async def begin(self) -> None:
        """Begin what needs the nodes; all of them run."""

    async def end(self) -> None:
        """End what needs the nodes; they stop next. Called if `begin` was successful."""

    @property
    def health(self) -> Health:
        """Whether the service does its work: ``degraded`` if it is slow, ``unavailable`` if it cannot.

        Of a host also ``draining``, if it gives its nodes away, and ``disconnected``, if it may have lost them.
        """
        return "ready"

    @property
    def numbers(self) -> Mapping[str, Mapping[str, int]]:
        """What the service counts of each node, by the name of a metric of `actors.telemetry.metrics`."""
        return {}

    def joined(self, node: AnyNode) -> None:
        """Take note of a node of the pool; called once or more per node."""

    async def opening(self, node: AnyNode) -> None:
        """Prepare a node that is about to start. An error prevents the start."""

    def opened(self, node: AnyNode) -> None:
        """Take note of a node that has started."""

    def left(self, node: AnyNode) -> None:
        """Take note of a node that has stopped and left the pool."""

    async def forget(self, session: str) -> int:
        """Delete what is kept of a session. Return how many messages that were."""
        return 0

    def prepare(self, manifest: Manifest) -> object:
        """Check a new manifest. An error refuses the manifest before anything changes."""

    async def apply(self, manifest: Manifest) -> None:
        """Follow a new manifest. Its new nodes have started; removed nodes have not stopped yet."""


ServiceFactory = Callable[[NodeRegistry], PoolService]
"""Makes a service of a pool, once each time the pool starts."""


class PoolServices:
    """The services of one pool from its start to its end. They are left in reverse order.

    Args:
        services: the services, in the order in which they are entered.
    """

    def __init__(self, services: Iterable[PoolService] = ()) -> None:
        self._services = tuple(services)
        self._entered: list[PoolService] = []
        self.stack = AsyncExitStack()
        """What `leave` undoes, in reverse order."""

    def __iter__(self) -> Iterator[PoolService]:
        return iter(self._entered)

    async def enter(self) -> None:
        """Enter the services. After an error the caller leaves the services that were entered."""
        for service in self._services:
            await self.stack.enter_async_context(service)
            self._entered.append(service)

    async def begin(self) -> None:
        """Tell the services that the nodes run. `leave` tells them before the nodes stop."""
        for service in self._services:
            await service.begin()
            self.stack.push_async_callback(service.end)

    async def opening(self, node: AnyNode) -> None:
        """Tell all services that a node is about to start, and wait for them."""
        for service in self._entered:
            service.joined(node)
            await service.opening(node)

    async def leave(self) -> None:
        """Leave all services."""
        self._entered = []
        await self.stack.aclose()
