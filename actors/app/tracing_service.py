"""The tracing of a running pool."""

from contextlib import ExitStack
from typing import Self
from weakref import WeakSet

from actors.nodes.node import AnyNode
from actors.pool.registry import NodeRegistry
from actors.pool.services import PoolService
from actors.runtime.background_loop import current_system


class TracingService(PoolService):
    """Gives the nodes of a pool its tracing, and the tracing what happens to their runs. Without tracing, nothing."""

    def __init__(self, pool: NodeRegistry) -> None:
        self._pool = pool
        self._stack = ExitStack()
        self._nodes: WeakSet[AnyNode] = WeakSet()

    async def __aenter__(self) -> Self:
        if self._pool.tracing is not None:
            default = current_system()  # that of teams which nothing supervises
            for system in {self._pool.system or default, default}:
                self._stack.callback(self._pool.tracing.follow(system))
        return self

    async def __aexit__(self, *_exc: object) -> None:
        for node in tuple(self._nodes):
            self.left(node)
        self._stack.close()

    def joined(self, node: AnyNode) -> None:
        """Trace the runs of a node, and of the teams that contain it."""
        if self._pool.tracing is not None:
            self._nodes.add(node)
            node.trace(self._pool.tracing)

    def left(self, node: AnyNode) -> None:
        """Trace the runs of a node no more."""
        self._nodes.discard(node)
        node.trace(None)
