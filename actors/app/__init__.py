"""The composition root: the one place that knows every room and puts them together.

The command line and the web room import it, and the facade takes `AgentPool` from it, so that a pool has triggers.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from actors.app.history_service import HistoryService
from actors.app.store_paths import history_stores, retention_of
from actors.app.trigger_service import TriggerAnswer, TriggerService
from actors.config.agent import AgentSpec
from actors.config.load import load_manifest
from actors.config.model import ModelSpec
from actors.config.team import TeamSpec
from actors.models.resolve import close_models, resolve_model
from actors.pool.pool import AgentPool
from actors.prompts.content import load_user_content, prompt_text, user_content
from actors.runtime.system import ActorSystem
from actors.stats.stats_actor import ReadStats, StatsActor
from protocols.errors import NodeNotFoundError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
    from pathlib import Path

    from actors.config.manifest import Manifest
    from actors.runtime.ref import ActorRef
    from actors.stats.projection import StatsSnapshot
    from actors.talk.signal import Signal
    from protocols.messages import ChatMessage

__all__ = [
    "AgentPool",
    "App",
    "HistoryService",
    "TriggerAnswer",
    "TriggerService",
    "check_models",
    "configure_logging",
    "history_stores",
    "load_manifest",
    "load_prompts",
    "make_importable",
    "open_app",
    "readable",
    "retention_of",
]

# From here on every pool keeps the history and starts the triggers of its manifest.
AgentPool.surroundings = (HistoryService,)
AgentPool.companions = (TriggerService,)


@dataclass(frozen=True, slots=True)
class App:
    """A running pool with everything around it."""

    system: ActorSystem
    pool: AgentPool[Any]
    stats: ActorRef[StatsActor]

    @property
    def triggers(self) -> TriggerService:
        """The triggers of the pool, which were asked for when it was opened."""
        found = self.pool.beside(TriggerService)
        assert found is not None
        return found

    async def read_stats(self) -> StatsSnapshot:
        """Return the numbers of everything that has happened so far."""
        snapshot: StatsSnapshot = await self.stats.ask(ReadStats())
        return snapshot


@asynccontextmanager
async def open_app(
    manifest: Manifest,
    *,
    prepare: Callable[[ActorSystem], object] | None = None,
    answered: Signal[TriggerAnswer] | None = None,
    has_triggers: bool = True,
) -> AsyncGenerator[App]:
    """Open the pool of a manifest with statistics; on leaving everything ends.

    Args:
        manifest: what to open.
        prepare: called with the system before anything starts in it, to subscribe to its events.
        answered: called with every answer to a trigger, from the first one on.
        has_triggers: whether the triggers of the manifest start runs.

    Raises:
        ConfigError: something that the manifest names cannot be used.
        NodeStartError: a node could not be started.
    """
    system = ActorSystem.of(asyncio.get_running_loop())
    make_importable(manifest)
    try:
        if prepare is not None:
            prepare(system)
        stats = await system.start(StatsActor, name="stats").ready()
        pool = AgentPool[Any](manifest, system=system)
        pool.companions = (partial(TriggerService, answered=answered),) if has_triggers else ()
        async with pool:
            yield App(system, pool, stats)
    finally:
        await system.close()
        await close_models()


def make_importable(manifest: Manifest) -> None:
    """Let a manifest that may import something find modules in its own folder, after all installed ones."""
    if manifest.allow_imports and manifest.root is not None:
        folder = str(manifest.root.resolve())
        if folder not in sys.path:
            sys.path.append(folder)


def with_model(manifest: Manifest, model: str) -> Manifest:
    """Return the manifest with another model for every agent that has one."""
    spec = ModelSpec(name=model)
    agents = {
        name: agent if agent.function is not None else agent.model_copy(update={"model": spec})
        for name, agent in manifest.agents.items()
    }
    defaults = manifest.defaults.model_copy(update={"model": spec})
    return manifest.model_copy(update={"agents": agents, "defaults": defaults})


def check_models(manifest: Manifest, node: str) -> None:
    """Make the models that a run of a node can need, so that a wrong name or a missing key is found before the run.

    Raises:
        NodeNotFoundError: there is no such node.
        ModelError: a model is unknown, or its key or library is missing.
    """
    if node not in manifest.nodes:
        raise NodeNotFoundError.of(node, manifest.nodes, where="manifest")
    for name in _reachable(manifest, node, set()):
        spec = manifest.node(name)
        if isinstance(spec, AgentSpec) and spec.function is None:
            for model in (None,) if spec.model is None else (spec.model.name, *spec.model.fallbacks):
                resolve_model(model, node=name)


def _reachable(manifest: Manifest, name: str, seen: set[str]) -> Iterator[str]:
    if name in seen:
        return
    seen.add(name)
    yield name
    spec = manifest.nodes[name]
    targets = [target for one in spec.connections if (target := getattr(one, "name", None)) in manifest.nodes]
    if isinstance(spec, TeamSpec):
        targets += [*spec.members, *(one for one in (spec.picker, spec.validator) if one is not None)]
    else:
        targets += [worker.node for worker in spec.workers]
    for target in targets:
        yield from _reachable(manifest, str(target), seen)


async def load_prompts(texts: Sequence[str], files: Sequence[Path]) -> Any:
    """Turn texts and files into one prompt.

    Raises:
        PromptError: nothing was given, or a file is missing, unreadable or binary.
    """
    return await load_user_content([*texts, *files])


def readable(message: ChatMessage[Any]) -> str:
    """Return the content of an answer for people: text as it is, structured content as JSON."""
    content: object = message.content
    if isinstance(content, str | list | tuple):
        return message.text
    return prompt_text(user_content([content]))


def as_plain(value: object) -> Any:
    """Return a value that JSON can say, whatever kind of object it is."""
    return msgspec.to_builtins(value, enc_hook=_plain)


def _plain(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    return dump(mode="json") if callable(dump) else str(value)


def configure_logging(*, debug: bool = False) -> None:
    """Send log lines to standard error, as text; without `debug` only what is worse than an error.

    The command line shows failures of runs and actors itself, once and in words. Troubles of history are not seen in
    any run, so its warnings are written in any case.
    """
    level = logging.DEBUG if debug else logging.CRITICAL
    logging.basicConfig(stream=sys.stderr, level=level, format="%(levelname)s %(name)s: %(message)s")
    for noisy in ("asyncio", "httpcore", "httpx"):
        logging.getLogger(noisy).setLevel(max(level, logging.INFO))
    logging.getLogger("understudy.history").setLevel(min(level, logging.WARNING))  # no run fails when history does
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            structlog.dev.ConsoleRenderer(colors=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
