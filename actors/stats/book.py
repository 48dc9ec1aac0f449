"""What a stats actor remembers: counters for everything, for each node, and for each run. Pure and bounded."""

from __future__ import annotations

from collections import OrderedDict
from enum import StrEnum

import msgspec

from actors.stats.counters import Counters, CounterSnapshot
from protocols.events import (
    ActorCrashed,
    ActorRestarted,
    ActorStarted,
    ActorStopped,
    ChildGaveUp,
    ChildRestarted,
    Event,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunStarted,
)

MOST_NODES = 1_000
"""Nodes that have counters of their own; later ones are counted under `OTHERS`."""
MOST_RUNS = 1_000
"""Runs that are remembered; the oldest go first."""
OTHERS = "(others)"

_RUNS_PER_ROOT = 50  # runs inside of a remembered one whose root is known, on average
_TEXT = 200
_LIVES = (ActorRestarted, ActorStarted, ActorStopped)  # of any actor, and alone no reason to keep counters for it


class NodeState(StrEnum):
    """What a node does, as far as its events tell."""

    IDLE = "idle"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    RESTARTING = "restarting"
    STOPPED = "stopped"


class NodeStats(msgspec.Struct, frozen=True):
    """One node at one moment."""

    name: str
    counters: CounterSnapshot
    state: NodeState = NodeState.IDLE
    running: int = 0
    """Runs in hand."""
    last_error: str = ""
    """Text of its latest failure or crash."""


class StatsSnapshot(msgspec.Struct, frozen=True):
    """Everything at one moment."""

    total: CounterSnapshot
    nodes: tuple[NodeStats, ...] = ()
    """In the order in which they were first heard of."""
    runs: dict[str, CounterSnapshot] = {}
    """The latest runs that a user started, with the runs inside of them counted in."""
    dropped_events: int = 0
    """Events that came while the stats actor's mailbox was full, so the numbers may be too small."""


class _Node:
    __slots__ = ("counters", "last_error", "running", "state")

    def __init__(self) -> None:
        self.counters = Counters()
        self.state = NodeState.IDLE
        self.running = 0
        self.last_error = ""


class StatsBook:
    """Folds events into counters.

    Example:
        >>> book = StatsBook()
        >>> book.add(RunStarted(actor="writer", run_id="r1"))
        >>> book.node("writer").state.value
        'running'
    """

    def __init__(self, *, most_nodes: int = MOST_NODES, most_runs: int = MOST_RUNS) -> None:
        """Take the bounds; ValueError when one is not positive."""
        if most_nodes < 1 or most_runs < 1:
            msg = f"stats book: most_nodes={most_nodes!r} and most_runs={most_runs!r} must be at least 1"
            raise ValueError(msg)
        self._most_nodes = most_nodes
        self._most_runs = most_runs
        self._total = Counters()
        self._nodes: dict[str, _Node] = {}
        self._runs: OrderedDict[str, Counters] = OrderedDict()
        self._roots: OrderedDict[str, str] = OrderedDict()

    def add(self, event: Event) -> None:
        """Count one event."""
        self._total.add(event)
        name = event.child if isinstance(event, ChildRestarted | ChildGaveUp) else event.actor
        if name and (name in self._nodes or not isinstance(event, _LIVES)):
            node = self._node(name)
            node.counters.add(event)
            _follow(node, event)
        if event.run_id:
            self._run_of(event).add(event)

    def node(self, name: str) -> NodeStats:
        """Return one node; all numbers are zero for one that was never heard of."""
        known = self._nodes.get(name)
        return NodeStats(name, CounterSnapshot()) if known is None else _shown(name, known)

    def snapshot(self, *, dropped_events: int = 0) -> StatsSnapshot:
        """Return everything as it is now."""
        return StatsSnapshot(
            self._total.snapshot(),
            tuple(_shown(name, node) for name, node in self._nodes.items()),
            {run: counters.snapshot() for run, counters in self._runs.items()},
            dropped_events,
        )

    def _node(self, name: str) -> _Node:
        node = self._nodes.get(name)
        if node is None:
            if len(self._nodes) >= self._most_nodes:
                name = OTHERS
            node = self._nodes.setdefault(name, _Node())
        return node

    def _run_of(self, event: Event) -> Counters:
        run = event.run_id
        if isinstance(event, RunStarted):
            parent = event.parent_run_id
            self._roots[run] = self._roots.get(parent, parent) or run
            if len(self._roots) > self._most_runs * _RUNS_PER_ROOT:
                self._roots.popitem(last=False)
        root = self._roots.get(run, run)
        counters = self._runs.get(root)
        if counters is None:
            counters = self._runs[root] = Counters()
            if len(self._runs) > self._most_runs:
                self._runs.popitem(last=False)
        return counters


def _shown(name: str, node: _Node) -> NodeStats:
    return NodeStats(name, node.counters.snapshot(), node.state, node.running, node.last_error)


def _follow(node: _Node, event: Event) -> None:
    match event:
        case RunStarted():
            node.running += 1
            node.state = NodeState.RUNNING
        case RunCompleted() | RunCancelled() | RunFailed():
            node.running = max(0, node.running - 1)
            node.state = NodeState.RUNNING if node.running else _ended(event)
            if isinstance(event, RunFailed):
                node.last_error = f"{event.error_type}: {event.error}"[:_TEXT]
        case ActorCrashed():
            node.running = 0  # the runs in hand ended with the incarnation
            node.state = NodeState.FAILED
            node.last_error = f"{event.error_type}: {event.error}"[:_TEXT]
        case ChildRestarted() | ActorRestarted():
            node.state = NodeState.IDLE if not node.running else node.state
        case ChildGaveUp() | ActorStopped():
            node.running = 0
            node.state = NodeState.STOPPED if node.state is not NodeState.DONE else node.state
        case _:
            pass


def _ended(event: RunCompleted | RunCancelled | RunFailed) -> NodeState:
    return NodeState.DONE if isinstance(event, RunCompleted) else NodeState.FAILED
