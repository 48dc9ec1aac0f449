"""One snapshot of a pool for all exporters: read on its event loop when it is asked for, and handed out as a value."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from itertools import chain
from operator import add, attrgetter
from time import perf_counter
from typing import Any, Final, TypeVar

import msgspec

from actors.agents.agent import Agent
from actors.models.budget import ledger_of
from actors.models.policy_model import breakers
from actors.runtime.background_loop import current_system
from actors.runtime.cell import Cell
from actors.runtime.clock import running_loop
from actors.runtime.system import ActorSystem
from actors.stats.event_totals import DurationTotals, EventTotalsSnapshot
from actors.stats.projection import OTHERS, NodeTotals, StatsSnapshot
from actors.stats.stats_actor import ReadStats, StatsActor
from actors.telemetry.metrics import DURATION, METRICS, sources
from protocols.errors import UnderstageError
from protocols.plain_text import printable

T = TypeVar("T")

MOST_VALUES: Final = 200
"""Most different values of a label; later ones are counted together as `OTHERS`."""
PATIENCE: Final = 1.0
"""Seconds that one who asks waits for new numbers, before the last ones are good enough."""
_LONGEST: Final = 100
_SLICE: Final = 0.005
"""Seconds after which a look at many things lets the event loop turn."""
_OF_ACTORS: Final = sources("actor")
_OF_NODES: Final = sources("node")
_OF_MODELS: Final = sources("model")
_ZERO: Final = (0,) * len(_OF_ACTORS)
_counts_of: Final[Callable[[Cell], tuple[int, ...]]] = attrgetter(*_OF_ACTORS.values())


class MetricsSnapshot(msgspec.Struct, frozen=True):
    """All metrics at one moment."""

    values: dict[str, dict[str, float]] = {}
    """By the name of the metric and the value of its label."""
    durations: dict[str, DurationTotals] = {}
    """How long runs took, by node."""


class _Values(defaultdict[str, defaultdict[str, float]]):
    """The values of a snapshot that is being made."""

    def __init__(self, label: Callable[[str, str], str]) -> None:
        super().__init__(lambda: defaultdict(float))
        self.label = label

    def add(self, metric: str, name: str, number: float, fold: Callable[[float, float], float] = add) -> None:
        values, label = self[metric], self.label(metric, name)
        values[label] = fold(values[label], number)


class PoolMetrics:
    """Reads the metrics of a pool.

    The numbers of runs come from the `StatsActor` of its system; without one they are absent.
    """

    def __init__(self, pool: Any) -> None:
        self.last = MetricsSnapshot()
        """The last snapshot."""
        self._pool = pool
        self._labels: defaultdict[str, dict[str, str]] = defaultdict(dict)
        self._lock = asyncio.Lock()
        self._loop = running_loop()
        self._reading: asyncio.Task[MetricsSnapshot] | None = None
        self._stats: StatsSnapshot | None = None
        self._seen: dict[Cell, tuple[int, ...]] = {}
        self._counted = _Values(self._label)

    async def read(self) -> MetricsSnapshot:
        """Return a new snapshot, on the event loop of the pool; the last one while the pool does not run.

        Those who ask at the same time get the same. While the stats do not answer, the numbers of runs stay.
        """
        self._loop, before = asyncio.get_running_loop(), self.last
        async with self._lock:
            if self.last is before and self._pool.is_open:
                self.last = await self._taken(self._pool.system or current_system())
            return self.last

    def current(self) -> MetricsSnapshot:
        """Return a snapshot, in any thread.

        A thread waits a second at most for a new one, then gets the last one. On the event loop it gets the last one at
        once, and a new one is read for the next time.
        """
        loop = self._loop
        if loop is None or loop.is_closed():
            return self.last
        if running_loop() is loop:
            if self._reading is None or self._reading.done():
                self._reading = loop.create_task(self.read(), name="metrics")
            return self.last
        found = asyncio.run_coroutine_threadsafe(self.read(), loop)
        with suppress(TimeoutError, CancelledError):
            return found.result(PATIENCE)
        found.cancel()
        return self.last

    async def _taken(self, system: ActorSystem) -> MetricsSnapshot:
        stats = next((cell.ref for cell in system.cells if issubclass(cell.kind, StatsActor)), None)
        if stats is not None:
            with suppress(UnderstageError):  # it has too much to do, or stops
                self._stats = await stats.ask(ReadStats(has_runs=False), timeout=PATIENCE)
        values, nodes = _Values(self._label), self._pool.nodes
        durations = {} if self._stats is None else await _add_stats(values, self._stats, nodes)
        await _add_models(values, nodes)
        ledgers = {name: ledger_of(node) for name, node in nodes.items()} | {"(pool)": self._pool.ledger}
        left = {name: ledger.left(system.clock.now()) for name, ledger in ledgers.items() if ledger is not None}
        counted = [
            (f"understage.budget.{limit}", name, number) for name in left for limit, number in left[name].items()
        ]
        counted += [(metric, *found) for metric, by_node in self._pool.numbers.items() for found in by_node.items()]
        counted += [("understage.dead_letters", str(why), count) for why, count in system.dead_letters.counts.items()]
        for metric, name, number in counted:
            values.add(metric, name, number)
        await self._add_actors(values, system)
        return MetricsSnapshot({metric: dict(by_label) for metric, by_label in values.items()}, durations)

    async def _add_actors(self, values: _Values, system: ActorSystem) -> None:
        """Look at all actors, and once more at those that have ended since the last time."""
        async for cell in _in_slices(tuple({**self._seen, **system.cells})):
            now, seen = _counts_of(cell), self._seen.get(cell)
            if now != seen:
                self._seen[cell] = now
                for metric, count, before in zip(_OF_ACTORS, now, seen or _ZERO, strict=True):
                    self._counted.add(metric, cell.name, count - before)
            if cell not in system.cells:
                del self._seen[cell]
            else:
                mailbox = cell.ref.statistics()
                values.add("understage.mailbox.depth", cell.name, mailbox.depth)
                values.add("understage.mailbox.age", cell.name, mailbox.oldest_age, max)
        values.update(self._counted)

    def _label(self, metric: str, name: str) -> str:
        """Return the value of a label: those that come first have their own."""
        known = self._labels[METRICS[metric].label]
        if name not in known:
            if len(known) >= MOST_VALUES:
                return OTHERS
            known[name] = printable(name)[:_LONGEST]
        return known[name]


async def _in_slices(items: Iterable[T]) -> AsyncGenerator[T]:
    """Give the items one after the other, and let the event loop turn between them."""
    began = perf_counter()
    for item in items:
        yield item
        if perf_counter() - began >= _SLICE:
            await asyncio.sleep(0)
            began = perf_counter()


async def _add_stats(values: _Values, stats: StatsSnapshot, nodes: Mapping[str, Any]) -> dict[str, DurationTotals]:
    """Add the numbers of runs and models, and return how long runs took."""
    durations: defaultdict[str, DurationTotals] = defaultdict(DurationTotals)
    none = NodeTotals("", EventTotalsSnapshot())
    idle = (msgspec.structs.replace(none, name=name) for name in nodes)  # first, so that nodes have their labels
    async for node in _in_slices(chain(idle, stats.nodes)):
        values.add("understage.mailbox.overflow", node.name, node.counters.dropped)
        if not node.counters.runs and node.name not in nodes:
            continue  # an actor that is no node
        values.add("understage.run.active", node.name, node.running)
        for metric, source in _OF_NODES.items():
            values.add(metric, node.name, float(getattr(node.counters, source)))
        label = values.label(DURATION.name, node.name)
        durations[label] = durations[label].merge(node.durations)
    values.add("understage.mailbox.overflow", "stats", stats.dropped_events)
    for model, totals in stats.models.items():
        for metric, source in _OF_MODELS.items():
            values.add(metric, model, getattr(totals, source))
    return durations


async def _add_models(values: _Values, nodes: Mapping[str, Any]) -> None:
    agents: set[Agent[Any, Any]] = {
        leaf async for node in _in_slices(nodes.values()) for leaf in node.leaves() if isinstance(leaf, Agent)
    }
    async for agent in _in_slices(agents):
        for name, is_open in chain.from_iterable(map(breakers, agent.execution.models())):
            values.add("understage.model.breaker", name, float(is_open), max)
