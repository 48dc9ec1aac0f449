"""The tracing of a running pool."""

import os
from contextlib import ExitStack
from typing import Any, Self
from weakref import WeakSet

from actors.nodes.node import AnyNode
from actors.pool.registry import NodeRegistry
from actors.pool.services import PoolService
from actors.runtime.background_loop import current_system
from protocols.errors import ConfigError

_INSTALL = ": pip install 'understage[otel]'"


class TracingService(PoolService):
    """Gives the nodes of a pool its tracing, and the tracing what happens to their runs.

    The tracing is that of the program, else that of the manifest, whose spans the end of the pool sends.
    Without tracing, nothing.
    """

    def __init__(self, pool: NodeRegistry) -> None:
        self._pool = pool
        self._stack = ExitStack()
        self._nodes: WeakSet[AnyNode] = WeakSet()
        self._export: Any = None
        """The `SpanExport` of the manifest."""

    async def __aenter__(self) -> Self:
        if self._pool.tracing is None:
            self._export = _export(self._pool)
            self._pool.tracing = None if self._export is None else self._export.tracing
        if self._pool.tracing is not None:
            default = current_system()  # that of teams which nothing supervises
            for system in {self._pool.system or default, default}:
                self._stack.callback(self._pool.tracing.follow(system))
        return self

    async def __aexit__(self, *_exc: object) -> None:
        for node in tuple(self._nodes):
            self.left(node)
        self._stack.close()
        if self._export is not None:
            self._pool.tracing = None
            await self._export.close()

    def joined(self, node: AnyNode) -> None:
        """Trace the runs of a node, and of the teams that contain it."""
        if self._pool.tracing is not None:
            self._nodes.add(node)
            node.trace(self._pool.tracing)

    def left(self, node: AnyNode) -> None:
        """Trace the runs of a node no more."""
        self._nodes.discard(node)
        node.trace(None)


def _export(pool: NodeRegistry) -> Any:
    spec, file = pool.manifest.tracing, next(iter(pool.manifest.files), None)
    if spec is None or not spec.enabled or os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    where = "tracing" if file is None else f"{file}: tracing"
    try:
        from actors.telemetry.span_export import SpanExport

        return SpanExport(spec, pool.manifest.name or "understage")
    except (ImportError, ValueError, ConfigError) as error:
        hint = _INSTALL if isinstance(error, ImportError) else ""
        raise ConfigError(f"{where}: {error}{hint}") from None
