"""The hosts of a cluster that Ray runs: a pool with `engine: ray` asks for them, and each is an actor of Ray."""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, Final, Self

from actors.agents.manifest.imports import make_importable
from actors.app.history_service import HistoryService
from actors.app.journal_service import JournalService
from actors.app.tracing_service import TracingService
from actors.app.trigger_service import TriggerService
from actors.config.load import manifest_of
from actors.models.resolve import close_models
from actors.pool.pool import AgentPool
from actors.pool.registry import NodeRegistry
from actors.pool.services import PoolService
from actors.runtime.background_loop import current_system
from actors.runtime.system import ActorSystem
from protocols.clock import pause
from protocols.errors import ManifestError

LOOK: Final = 0.5
"""Seconds between two looks at whether a host is to end."""

_log = logging.getLogger("understage.cluster")


class RayService(PoolService):
    """Has Ray run the hosts of a pool with `engine: ray`, and carry what they say. The pool itself takes no nodes.

    Args:
        pool: the pool.
        host: the actor of Ray whose pool it is; None for a pool that only asks.
    """

    def __init__(self, pool: NodeRegistry, host: "RayHost | None" = None) -> None:
        self._pool: Any = pool
        self._host = host
        self._transport: Any = None

    async def __aenter__(self) -> Self:
        manifest = self._pool.manifest
        if manifest.is_clustered and manifest.cluster.engine == "ray":
            if not manifest.files:
                text = "'engine: ray' needs a manifest in a file, which the hosts that Ray runs read as well"
                raise ManifestError(text)
            from actors.cluster.ray_placement import place_hosts  # a pool without Ray imports nothing of it
            from actors.cluster.ray_transport import RayTransport

            host = self._pool.service(JournalService).host
            if self._host is None:
                about = (RayHost, str(manifest.files[0]), self._pool.shared)
                await self._in_thread(place_hosts, manifest.cluster, host.about.cluster, *about)
            self._transport = host.lane.transport = RayTransport(host)
            if self._host is not None:
                self._host.transport = self._transport
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self._transport is not None:
            self._transport.close()
            if self._host is None:
                from actors.cluster.ray_placement import leave_ray

                await self._in_thread(leave_ray)

    async def _in_thread(self, function: Callable[..., Any], *args: Any) -> None:
        await (self._pool.system or current_system()).in_thread(function)(*args)


class RayHost:
    """A host that Ray runs: an actor of Ray with a pool on a loop of its own.

    It ends for good when it was drained. When its pool has given up, or cannot be opened after a restart, its process
    ends, and Ray starts it again.

    Args:
        path: the manifest, on the machine of the host.
        shared: journal and cluster in place of those of the manifest.
    """

    def __init__(self, path: str, shared: tuple[Any, Any]) -> None:
        from actors.cluster.ray_placement import ray_module

        self._ray = ray_module()
        context = self._ray.get_runtime_context()
        self._me, self.name = context.current_actor, context.get_actor_name()
        self._is_new = not context.was_current_actor_reconstructed
        self.manifest = partial(manifest_of, path, *shared)
        self.opened: Future[str] = Future()
        self.transport: Any = None
        """Carries what the other hosts say."""
        threading.Thread(target=self._run, name="host", daemon=True).start()

    def ready(self) -> str:
        """Wait until the pool is open, and return what is wrong with it, or nothing."""
        return self.opened.result()

    def packet(self, host: str, packet: bytes) -> None:
        """Take what another host says."""
        if self.transport is not None:
            self.transport.take(host, packet)

    def poll(self, host: str) -> list[bytes]:
        """Wait for what is to be said to a process that only asks, and return it."""
        return [] if self.transport is None else self.transport.poll(host)

    def _run(self) -> None:
        try:
            asyncio.run(_live(self))
        except Exception as error:
            _log.exception("the host %r of Ray has failed", self.name)
            if self._is_new and not self.opened.done():
                self.opened.set_result(f"{type(error).__name__}: {error}")  # the pool that wants it ends it
                return
            time.sleep(LOOK)
            os._exit(1)
        self._ray.kill(self._me, no_restart=True)


async def _live(host: RayHost) -> None:
    """Live until the host is drained. No method of its actor may be async: Ray would lose the order of packets."""
    manifest = host.manifest()
    make_importable(manifest)
    system = ActorSystem.of(asyncio.get_running_loop())
    journal, ray = partial(JournalService, actor=host.name), partial(RayService, host=host)
    try:
        services = (TracingService, HistoryService, journal, ray, TriggerService)
        async with AgentPool[Any](manifest, system=system, services=services) as pool:
            host.opened.set_result("")
            await _until_drained(pool)
    finally:
        await system.close()
        await close_models()


async def _until_drained(pool: AgentPool[Any]) -> None:
    service = pool.service(JournalService)
    assert service is not None
    leases = service.host.leases
    while leases.leases or not leases.is_draining:
        if service.health == "unavailable" or not any(node.home.find() for node in pool.nodes.values()):
            raise RuntimeError(f"the pool {pool.name!r} has given up")
        await pause(service.host.clock, LOOK)
