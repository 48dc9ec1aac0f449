"""One snapshot of a pool for all exporters: read on its event loop when it is asked for, and handed out as a value."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any, Final, Protocol

import msgspec

from actors.agents.agent import Agent
from actors.models.budget import Ledger, ledger_of
from actors.models.policy_model import breakers
from actors.runtime.background_loop import current_system
from actors.runtime.cell import Cell
from actors.runtime.clock import running_loop
from actors.runtime.system import ActorSystem
from actors.stats.duration_totals import DurationTotalsSnapshot
from actors.stats.event_totals import EventTotalsSnapshot
from actors.stats.projection import OTHERS, NodeTotals, StatsSnapshot
from actors.stats.stats_actor import ReadStats, StatsActor
from actors.telemetry.metrics import COUNTED, METRICS, OF_MODELS, OF_NODES
from protocols.errors import UnderstageError
from protocols.plain_text import printable

MOST_VALUES: Final = 200
"""Most different values of a label; later ones are counted together as `OTHERS`."""
PATIENCE: Final = 1.0
"""Seconds that one who asks waits for new numbers, before the last ones are good enough."""
POOL: Final = "(pool)"
"""Stands for the pool among the nodes."""
_LONGEST: Final = 100
_SLICE: Final = 500
"""Actors that are looked at before the event loop turns."""
_ZERO: Final = (0,) * len(COUNTED)

Values = dict[str, dict[str, float]]


class MetricsSnapshot(msgspec.Struct, frozen=True):
    """All metrics at one moment."""

    values: Values = {}
    """By the name of the metric and the value of its label."""
    durations: dict[str, DurationTotalsSnapshot] = {}
    """How long runs took, by node."""


class PoolView(Protocol):
    """What is read of a pool; `AgentPool` describes each member."""

    system: ActorSystem | None
    ledger: Ledger | None
    is_running: bool

    @property
    def nodes(self) -> dict[str, Any]:
        """The nodes by name."""
        ...

    @property
    def numbers(self) -> Mapping[str, Mapping[str, float]]:
        """What its services count of each node, by the name of the metric."""
        ...


class _Labels:
    """The values of labels, limited in number: who comes first has its own."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: defaultdict[str, dict[str, str]] = defaultdict(dict)

    def of(self, metric: str, name: str) -> str:
        known = self._known[METRICS[metric].label]
        if name not in known:
            if len(known) >= self._most:
                return OTHERS
            known[name] = printable(name)[:_LONGEST]
        return known[name]


class _Values:
    """The values of a snapshot that is being made."""

    def __init__(self, labels: _Labels) -> None:
        self.labels = labels
        self.all: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
        self.durations: dict[str, DurationTotalsSnapshot] = {}

    def add(self, metric: str, name: str, number: float) -> None:
        self.all[metric][self.labels.of(metric, name)] += number

    def highest(self, metric: str, name: str, number: float) -> None:
        values, label = self.all[metric], self.labels.of(metric, name)
        values[label] = max(values[label], number)

    def snapshot(self) -> MetricsSnapshot:
        return MetricsSnapshot({metric: dict(values) for metric, values in self.all.items()}, self.durations)


class PoolMetrics:
    """Reads the metrics of a pool.

    The numbers of runs come from the `StatsActor` of its system; without one they are absent.

    Args:
        pool: the pool.
        most_values: most different values of a label; later ones are counted together as ``(others)``.
    """

    def __init__(self, pool: PoolView, *, most_values: int = MOST_VALUES) -> None:
        self.last = MetricsSnapshot()
        """The last snapshot."""
        self._pool = pool
        self._labels = _Labels(most_values)
        self._lock = asyncio.Lock()
        self._loop = running_loop()
        self._reading: asyncio.Task[MetricsSnapshot] | None = None
        self._stats: StatsSnapshot | None = None
        self._seen: dict[Cell, tuple[int, ...]] = {}
        self._counted = _Values(self._labels)

    async def read(self) -> MetricsSnapshot:
        """Return a new snapshot, on the event loop of the pool; the last one while the pool does not run.

        Those who ask at the same time get the same. While the stats do not answer, the numbers of runs stay.
        """
        self._loop, before = asyncio.get_running_loop(), self.last
        async with self._lock:
            if self.last is before and self._pool.is_running:
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
        reading = self.read()
        try:
            found = asyncio.run_coroutine_threadsafe(reading, loop)
        except RuntimeError:  # it was closed in this moment
            reading.close()
            return self.last
        try:
            return found.result(PATIENCE)
        except (TimeoutError, CancelledError):
            found.cancel()
            return self.last

    async def _taken(self, system: ActorSystem) -> MetricsSnapshot:
        stats = system.get_by_class(StatsActor)
        if stats:
            with suppress(UnderstageError):  # it has too much to do, or stops
                self._stats = await stats[0].ask(ReadStats(has_runs=False), timeout=PATIENCE)
        values, pool = _Values(self._labels), self._pool
        if self._stats is not None:
            _add_stats(values, self._stats, pool.nodes)
        _add_models(values, pool.nodes)
        _add_budgets(values, pool, system.clock.now())
        for metric, by_node in pool.numbers.items():
            for name, number in by_node.items():
                values.add(metric, name, number)
        for reason, count in system.dead_letters.counts.items():
            values.add("understage.dead_letters", str(reason), count)
        await self._add_actors(values, system)
        return values.snapshot()

    async def _add_actors(self, values: _Values, system: ActorSystem) -> None:
        """Look at all actors, and once more at those that have ended since the last time."""
        for number, cell in enumerate(tuple({**self._seen, **system.cells}), 1):
            now = tuple(getattr(cell, metric.source) for metric in COUNTED)
            for metric, count, before in zip(COUNTED, now, self._seen.get(cell, _ZERO), strict=True):
                self._counted.add(metric.name, cell.name, count - before)
            self._seen[cell] = now
            if cell in system.cells:
                mailbox = cell.ref.statistics()
                values.add("understage.mailbox.depth", cell.name, mailbox.depth)
                values.highest("understage.mailbox.age", cell.name, mailbox.oldest_age)
            else:
                del self._seen[cell]
            if not number % _SLICE:
                await asyncio.sleep(0)
        values.all.update(self._counted.all)


def _add_stats(values: _Values, stats: StatsSnapshot, nodes: Mapping[str, Any]) -> None:
    idle = [NodeTotals(name, EventTotalsSnapshot()) for name in nodes]  # first, so that nodes have their names
    for node in (*idle, *stats.nodes):
        values.add("understage.mailbox.overflow", node.name, node.counters.dropped)
        if not node.counters.runs and node.name not in nodes:
            continue  # an actor that is no node
        values.add("understage.run.active", node.name, node.running)
        for metric in OF_NODES:
            values.add(metric.name, node.name, float(getattr(node.counters, metric.source)))
        name = values.labels.of("understage.run.duration", node.name)
        values.durations[name] = values.durations.get(name, DurationTotalsSnapshot()) + node.durations
    values.add("understage.mailbox.overflow", "stats", stats.dropped_events)
    for model, totals in stats.models.items():
        for metric in OF_MODELS:
            values.add(metric.name, model, getattr(totals, metric.source))


def _add_models(values: _Values, nodes: Mapping[str, Any]) -> None:
    for name, is_open in _breakers(nodes):
        values.highest("understage.model.breaker", name, float(is_open))


def _breakers(nodes: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    agents: set[Agent[Any, Any]] = {
        leaf for node in nodes.values() for leaf in node.leaves() if isinstance(leaf, Agent)
    }
    for agent in agents:
        for model in agent.execution.models():
            yield from breakers(model)


def _add_budgets(values: _Values, pool: PoolView, now: float) -> None:
    ledgers = {name: ledger_of(node) for name, node in pool.nodes.items()} | {POOL: pool.ledger}
    for name, ledger in ledgers.items():
        if ledger is not None:
            for limit, left in ledger.left(now).items():
                values.add(f"understage.budget.{limit}", name, left)
