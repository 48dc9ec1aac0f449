"""What a stats actor remembers: counters for everything, for each node, and for each run. Pure and bounded."""

from __future__ import annotations

from collections import OrderedDict
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from actors.stats.event_totals import Counted, EventTotals, EventTotalsSnapshot
from protocols.brief_events import RunAnswered, RunBegan
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

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_NODES = 1_000
"""Nodes that have counters of their own; later ones are counted under `OTHERS`."""
MOST_RUNS = 1_000
"""Runs that are remembered; the oldest go first."""
OTHERS = "(others)"

_RUNS_PER_ROOT = 50  # runs inside of a remembered one whose root is known, on average
_MOST_EVENTS = 32  # of one run that are kept; then they are counted
_TEXT = 200
_LIVES = (ActorRestarted, ActorStarted, ActorStopped)  # of any actor, and alone no reason to keep counters for it


_Noted = tuple[
    Counted | EventTotals, ...
]  # no list: the garbage collector need not look at a tuple of numbers and texts


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
    counters: EventTotalsSnapshot
    state: NodeState = NodeState.IDLE
    running: int = 0
    """Runs in hand."""
    last_error: str = ""
    """Text of its latest failure or crash."""


class StatsSnapshot(msgspec.Struct, frozen=True):
    """Everything at one moment."""

    total: EventTotalsSnapshot
    nodes: tuple[NodeStats, ...] = ()
    """In the order in which they were first heard of."""
    runs: dict[str, EventTotalsSnapshot] = {}
    """The latest runs that a user started, with the runs inside of them counted in."""
    dropped_events: int = 0
    """Events that came while the stats actor's mailbox was full, so the numbers may be too small."""


class _Node:
    __slots__ = ("counters", "last_error", "running", "state")

    def __init__(self) -> None:
        self.counters = EventTotals()
        self.state = NodeState.IDLE  # when no run is in hand
        self.running = 0
        self.last_error = ""

    def ended(self, state: NodeState) -> None:
        """A run has ended."""
        if self.running:
            self.running -= 1
        self.state = state


class Projection:
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
        self._too_many_runs = 2 * most_runs
        self._nameless = EventTotals()
        self._nodes: dict[str, _Node] = {}
        self._runs: dict[str, _Noted] = {}
        self._roots: OrderedDict[str, str] = OrderedDict()

    def add(self, event: Counted) -> None:
        """Count one event, or a run in brief."""
        self.add_all((event,))

    def add_all(self, events: Iterable[Counted]) -> None:
        """Count events, and runs in brief, in their order."""
        for event in events:
            if type(event) is RunBegan:
                node = self._nodes.get(event.actor) or self._node(event.actor)
                node.running += 1
                node.counters.add_run()
                self._note_run(event, event.parent_run_id)
            elif type(event) is RunAnswered:
                node = self._nodes.get(event.actor) or self._node(event.actor)
                node.ended(NodeState.DONE)
                node.counters.add_answer(event)
                self._note_run(event)
            else:
                self._follow(event)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] # the rest of the union
                if event.run_id:
                    self._note_run(event, event.parent_run_id if isinstance(event, RunStarted) else "")

    def _follow(self, event: Event) -> None:
        name = event.child if isinstance(event, ChildRestarted | ChildGaveUp) else event.actor
        if name and (name in self._nodes or not isinstance(event, _LIVES)):
            node = self._node(name)
            node.counters.add(event)
            _follow(node, event)
        else:
            self._nameless.add(event)

    def node(self, name: str) -> NodeStats:
        """Return one node; all numbers are zero for one that was never heard of."""
        known = self._nodes.get(name)
        return NodeStats(name, EventTotalsSnapshot()) if known is None else _shown(name, known)

    def snapshot(self, *, dropped_events: int = 0) -> StatsSnapshot:
        """Return everything as it is now."""
        return StatsSnapshot(
            EventTotals.total([self._nameless, *(node.counters for node in self._nodes.values())]),
            tuple(_shown(name, node) for name, node in self._nodes.items()),
            {run: _counted(noted).snapshot() for run, noted in self._latest_runs()},
            dropped_events,
        )

    def _latest_runs(self) -> Iterable[tuple[str, _Noted]]:
        return islice(self._runs.items(), max(0, len(self._runs) - self._most_runs), None)

    def _node(self, name: str) -> _Node:
        node = self._nodes.get(name)
        if node is None:
            if len(self._nodes) >= self._most_nodes:
                name = OTHERS
            node = self._nodes.setdefault(name, _Node())
        return node

    def _note_run(self, event: Counted, parent: str = "") -> None:
        """Keep an event for the run that it is about. Few runs are ever looked at, so it is not counted yet."""
        run = event.run_id
        if parent:
            self._enter(run, parent)
        if self._roots:
            run = self._roots.get(run, run)
        known = self._runs.get(run)
        if known is None:
            self._runs[run] = (event,)
            if len(self._runs) >= self._too_many_runs:
                self._forget_runs()
        elif len(known) < _MOST_EVENTS:
            self._runs[run] = (*known, event)
        else:
            self._runs[run] = (_counted(known), event)

    def _enter(self, run: str, parent: str) -> None:
        self._roots[run] = self._roots.get(parent, parent)
        if len(self._roots) > self._most_runs * _RUNS_PER_ROOT:
            self._roots.popitem(last=False)

    def _forget_runs(self) -> None:
        for run in tuple(islice(self._runs, len(self._runs) - self._most_runs)):
            del self._runs[run]


def _counted(noted: _Noted) -> EventTotals:
    counters = EventTotals()
    for one in noted:
        if isinstance(one, EventTotals):
            counters = counters.merge(one)
        else:
            counters.add(one)
    return counters


def _shown(name: str, node: _Node) -> NodeStats:
    state = NodeState.RUNNING if node.running else node.state
    return NodeStats(name, node.counters.snapshot(), state, node.running, node.last_error)


def _follow(node: _Node, event: Event) -> None:
    match event:
        case RunStarted():
            node.running += 1
        case RunCompleted():
            node.ended(NodeState.DONE)
        case RunCancelled():
            node.ended(NodeState.FAILED)
        case RunFailed():
            node.ended(NodeState.FAILED)
            node.last_error = f"{event.error_type}: {event.error}"[:_TEXT]
        case ActorCrashed():
            node.running = 0  # the runs in hand ended with the incarnation
            node.state = NodeState.FAILED
            node.last_error = f"{event.error_type}: {event.error}"[:_TEXT]
        case ChildRestarted() | ActorRestarted():
            node.state = NodeState.IDLE
        case ChildGaveUp() | ActorStopped():
            is_done = node.state is NodeState.DONE and not node.running
            node.running = 0
            node.state = NodeState.DONE if is_done else NodeState.STOPPED
        case _:
            pass
