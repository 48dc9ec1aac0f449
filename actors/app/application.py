"""Open the pool of a manifest with its actor system, statistics, history and triggers."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from actors.agents.manifest.imports import make_importable
from actors.app.history_service import HistoryService
from actors.app.journal_service import JournalService
from actors.app.ray_service import RayService
from actors.app.stats_service import StatsService
from actors.app.tracing_service import TracingService
from actors.app.trigger_paths import TriggerFiles
from actors.app.trigger_service import TriggerAnswer, TriggerService
from actors.config.manifest import Manifest
from actors.models.resolve import close_models
from actors.pool.pool import AgentPool
from actors.pool.services import ServiceFactory
from actors.runtime.system import ActorSystem
from actors.stats.projection import StatsSnapshot
from actors.talk.signal import Signal


@dataclass(frozen=True, slots=True)
class App:
    """A running pool, its actor system and its statistics."""

    system: ActorSystem
    pool: AgentPool[Any]
    stats: StatsService

    @property
    def triggers(self) -> TriggerService:
        """The triggers of the pool; only of an app that was opened with triggers."""
        found = self.pool.service(TriggerService)
        assert found is not None
        return found

    async def read_stats(self) -> StatsSnapshot:
        """Return the statistics of everything that has happened so far."""
        return await self.stats.read_stats()


@asynccontextmanager
async def open_app(
    manifest: Manifest,
    *,
    prepare: Callable[[ActorSystem], object] | None = None,
    answered: Signal[TriggerAnswer] | None = None,
    running: dict[str, str] | None = None,
    has_triggers: bool = True,
) -> AsyncGenerator[App]:
    """Open the pool of a manifest with statistics; leaving the block closes everything.

    Args:
        manifest: what to open.
        prepare: called with the system before any actor starts, to subscribe to the events of the system.
        answered: called with every answer to a trigger, from the first answer on.
        running: gets the name of the trigger of each run, by the id of the run, while it lasts.
        has_triggers: True to let the triggers of the manifest start runs, and to take the journal and deliver what it
            keeps. Otherwise durable nodes run in memory, and another process may have the journal.

    Raises:
        ConfigError: something that the manifest names cannot be used.
        NodeStartError: a node could not be started.
        TriggerError: the triggers cannot keep their files, or another process runs them.
    """
    files = TriggerFiles()
    triggers = partial(TriggerService, answered=answered, files=files, running=running)
    lasting: list[ServiceFactory] = [JournalService, RayService, triggers] if has_triggers else []
    system = ActorSystem.of(asyncio.get_running_loop())
    make_importable(manifest)
    try:
        if has_triggers:  # before anything else is opened: the files belong to another process, or to this one
            await system.in_thread(files.open)(manifest)
        if prepare is not None:
            prepare(system)
        services = [TracingService, StatsService, HistoryService, *lasting]
        async with AgentPool[Any](manifest, system=system, services=services) as pool:
            stats = pool.service(StatsService)
            assert stats is not None
            yield App(system, pool, stats)
    finally:
        files.close()
        await system.close()
        await close_models()
