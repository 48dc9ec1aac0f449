"""The hosts of a cluster that Ray runs: a pool with `engine: ray` asks for them, and each is an actor of Ray."""

import asyncio
import logging
import os
import threading
import time
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
    """Has Ray run the hosts of a pool with `engine: ray`. The pool itself takes no nodes; it asks the hosts.

    Args:
        pool: the pool.
    """

    def __init__(self, pool: NodeRegistry) -> None:
        self._pool: Any = pool

    async def __aenter__(self) -> Self:
        manifest = self._pool.manifest
        spec = manifest.cluster
        if spec is not None and spec.enabled and spec.engine == "ray":
            if not manifest.files:
                raise ManifestError(
                    "'engine: ray' needs a manifest in a file, which the hosts that Ray runs read as well"
                )
            from actors.cluster.ray_placement import place_hosts  # a pool without Ray imports nothing of it

            system = self._pool.system or current_system()
            about = (str(manifest.files[0]), self._pool.shared)
            await system.in_thread(place_hosts)(spec, spec.name or self._pool.name, RayHost, *about)
        return self


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
        self._me, self._name = context.current_actor, context.get_actor_name()
        self._is_new = not context.was_current_actor_reconstructed
        self._manifest = partial(manifest_of, path, *shared)
        self._opened: Future[str] = Future()
        threading.Thread(target=self._run, name="host", daemon=True).start()

    def ready(self) -> str:
        """Wait until the pool is open, and return what is wrong with it, or nothing."""
        return self._opened.result()

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        except Exception as error:
            _log.exception("the host %r of Ray has failed", self._name)
            if self._is_new and not self._opened.done():
                self._opened.set_result(f"{type(error).__name__}: {error}")  # the pool that wants it ends it
                return
            time.sleep(LOOK)
            os._exit(1)
        self._ray.kill(self._me, no_restart=True)

    async def _live(self) -> None:
        manifest = self._manifest()
        make_importable(manifest)
        system = ActorSystem.of(asyncio.get_running_loop())
        journal = partial(JournalService, actor=self._name)
        try:
            services = (TracingService, HistoryService, journal, TriggerService)
            async with AgentPool[Any](manifest, system=system, services=services) as pool:
                self._opened.set_result("")
                await self._until_drained(pool)
        finally:
            await system.close()
            await close_models()

    async def _until_drained(self, pool: AgentPool[Any]) -> None:
        service = pool.service(JournalService)
        assert service is not None
        leases = service.host.leases
        while leases.leases or not leases.is_draining:
            if service.health == "unavailable" or not any(node.home.find() for node in pool.nodes.values()):
                raise RuntimeError(f"the pool {pool.name!r} has given up")
            await pause(service.host.clock, LOOK)
