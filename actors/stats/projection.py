"""`Projection`: totals of everything, of each node, and of each run, folded from events. Pure and bounded."""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from copy import copy
from enum import StrEnum
from itertools import islice

import msgspec

from actors.stats.event_totals import BOUNDS, Counted, DurationTotals, EventTotals, EventTotalsSnapshot
from protocols.brief_events import RunAnswered, RunBegan
from protocols.events import (
    ActorCrashed,
    ActorRestarted,
    ActorStarted,
    ActorStopped,
    ChildGaveUp,
    ChildRestarted,
    Event,
    MessageSent,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunStarted,
)
from protocols.model_events import ModelResponded, ModelRetried

MOST_NODES = 1_000
"""Most nodes with their own totals; later nodes are counted under `OTHERS`."""
MOST_RUNS = 1_000
"""Most runs that are remembered; the oldest are forgotten first."""
MOST_MODELS = 100
"""Most models with their own totals; later models are counted under `OTHERS`."""
OTHERS = "(others)"

_RUNS_PER_ROOT = 50  # runs inside a remembered run whose root is known, on average
_MOST_EVENTS = 32  # kept events of one run; further events are folded into totals
_TEXT = 200
_LIVES = (ActorRestarted, ActorStarted, ActorStopped)  # events of any actor; alone they create no totals
_DURATIONS: Mapping[type[object], str] = {MessageSent: "response_time", RunFailed: "duration", RunCancelled: "duration"}

_Noted = tuple[Counted | EventTotals, ...]
"""Events of one run. A tuple, because the garbage collector does not track a tuple of numbers and texts."""


class NodeState(StrEnum):
    """What a node does, according to its events."""

    IDLE = "idle"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


class NodeTotals(msgspec.Struct, frozen=True, gc=False):
    """One node at one moment."""

    name: str
    counters: EventTotalsSnapshot
    state: NodeState = NodeState.IDLE
    running: int = 0
    """Number of runs under way."""
    last_error: str = ""
    """Text of the latest failure or crash."""
    durations: DurationTotals = DurationTotals()
    """How long its runs took, those that failed or were cancelled as well."""


class ModelTotals(msgspec.Struct):
    """Requests to one model."""

    requests: int = 0
    """Requests that have ended."""
    failures: int = 0
    """Those without an answer."""
    retries: int = 0
    """Attempts that failed and were made again."""
    input_tokens: int = 0
    output_tokens: int = 0


class StatsSnapshot(msgspec.Struct, frozen=True):
    """Everything at one moment."""

    total: EventTotalsSnapshot
    nodes: tuple[NodeTotals, ...] = ()
    """In the order of their first events."""
    runs: dict[str, EventTotalsSnapshot] = {}
    """The latest runs that a user started; the runs inside them are included."""
    dropped_events: int = 0
    """Events lost because the stats actor's mailbox was full, so the numbers may be too small."""
    models: dict[str, ModelTotals] = {}
    """In the order of their first events."""


class _Node:
    __slots__ = ("counts", "last_error", "nanoseconds", "running", "state", "totals")

    def __init__(self) -> None:
        self.totals = EventTotals()
        self.counts, self.nanoseconds = [*DurationTotals().counts], [*DurationTotals().nanoseconds]
        self.state = NodeState.IDLE  # while no run is under way
        self.running = 0
        self.last_error = ""

    def ended(self, state: NodeState) -> None:
        """Note the end of a run."""
        if self.running:
            self.running -= 1
        self.state = state

    def took(self, seconds: float) -> None:
        """Count the duration of a run. Infinite numbers are left out."""
        try:
            nanoseconds = int(seconds * 1_000_000_000)
        except (ValueError, OverflowError):
            return
        at = bisect_left(BOUNDS, seconds)
        self.counts[at] += 1
        self.nanoseconds[at] += nanoseconds

    def snapshot(self, name: str) -> NodeTotals:
        """Return the numbers of this moment."""
        state = NodeState.RUNNING if self.running else self.state
        durations = DurationTotals(tuple(self.counts), tuple(self.nanoseconds))
        return NodeTotals(name, self.totals.snapshot(), state, self.running, self.last_error, durations)


class Projection:
    """Folds events into totals.

    Example:
        >>> projection = Projection()
        >>> projection.add(RunStarted(actor="writer", run_id="r1"))
        >>> projection.node("writer").state.value
        'running'
    """

    def __init__(self, *, most_nodes: int = MOST_NODES, most_runs: int = MOST_RUNS) -> None:
        if most_nodes < 1 or most_runs < 1:
            raise ValueError(f"projection: most_nodes={most_nodes!r} and most_runs={most_runs!r} must be at least 1")
        self._most_nodes = most_nodes
        self._most_runs = most_runs
        self._nameless = EventTotals()
        self._nodes: dict[str, _Node] = {}
        self._models: dict[str, ModelTotals] = {}
        self._runs: dict[str, _Noted] = {}
        self._roots: OrderedDict[str, str] = OrderedDict()

    def add(self, event: Counted) -> None:
        """Count one event, or one run in brief."""
        self.add_all((event,))

    def add_all(self, events: Iterable[Counted]) -> None:
        """Count events, and runs in brief, in order."""
        for event in events:
            if type(event) is RunBegan:
                node = self._nodes.get(event.actor) or self._node(event.actor)
                node.running += 1
                node.totals.add_run()
                self._note_run(event, event.parent_run_id)
            elif type(event) is RunAnswered:
                node = self._nodes.get(event.actor) or self._node(event.actor)
                if event.is_whole:
                    node.state = NodeState.DONE
                else:
                    node.ended(NodeState.DONE)
                node.totals.add_answer(event)
                node.took(event.response_time)
                self._note_run(event, event.parent_run_id)
            else:
                self._follow(event)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] # the rest of the union
                if event.run_id:
                    self._note_run(event, event.parent_run_id if isinstance(event, RunStarted) else "")

    def _follow(self, event: Event) -> None:
        if type(event) is ModelResponded or type(event) is ModelRetried:
            self._add_request(event)
        name = event.child if isinstance(event, ChildRestarted | ChildGaveUp) else event.actor
        if name and (name in self._nodes or not isinstance(event, _LIVES)):
            node = self._node(name)
            node.totals.add(event)
            took = _DURATIONS.get(type(event))
            if took is not None:
                node.took(getattr(event, took))
            _follow(node, event)
        else:
            self._nameless.add(event)

    def _add_request(self, event: ModelResponded | ModelRetried) -> None:
        known = event.model in self._models or len(self._models) < MOST_MODELS
        totals = self._models.setdefault(event.model if known else OTHERS, ModelTotals())
        if isinstance(event, ModelRetried):
            totals.retries += 1
            return
        totals.requests += 1
        totals.failures += bool(event.error_type)
        totals.input_tokens += event.input_tokens
        totals.output_tokens += event.output_tokens

    def node(self, name: str) -> NodeTotals:
        """Return one node; all numbers of an unknown node are zero."""
        known = self._nodes.get(name)
        return NodeTotals(name, EventTotalsSnapshot()) if known is None else known.snapshot(name)

    def snapshot(self, *, dropped_events: int = 0, has_runs: bool = True) -> StatsSnapshot:
        """Return everything of this moment."""
        nodes = tuple(node.snapshot(name) for name, node in self._nodes.items())
        latest = islice(self._runs.items(), max(0, len(self._runs) - self._most_runs), None if has_runs else 0)
        return StatsSnapshot(
            EventTotalsSnapshot.sum((self._nameless.snapshot(), *(node.counters for node in nodes))),
            nodes,
            {run: _counted(noted).snapshot() for run, noted in latest},
            dropped_events,
            {name: copy(model) for name, model in self._models.items()},
        )

    def _node(self, name: str) -> _Node:
        node = self._nodes.get(name)
        if node is None:
            if len(self._nodes) >= self._most_nodes:
                name = OTHERS
            node = self._nodes.setdefault(name, _Node())
        return node

    def _note_run(self, event: Counted, parent: str = "") -> None:
        """Keep an event of a run, uncounted, because few runs are ever read."""
        run = event.run_id
        if parent:
            self._roots[run] = self._roots.get(parent, parent)
            if len(self._roots) > self._most_runs * _RUNS_PER_ROOT:
                self._roots.popitem(last=False)
        if self._roots:
            run = self._roots.get(run, run)
        known = self._runs.get(run)
        if known is None:
            self._runs[run] = (event,)
            if len(self._runs) >= 2 * self._most_runs:
                for oldest in tuple(islice(self._runs, len(self._runs) - self._most_runs)):
                    del self._runs[oldest]
        elif len(known) < _MOST_EVENTS:
            self._runs[run] = (*known, event)
        else:
            self._runs[run] = (_counted(known), event)


def _counted(noted: _Noted) -> EventTotals:
    totals = EventTotals()
    for one in noted:
        if isinstance(one, EventTotals):
            totals = totals.merge(one)
        else:
            totals.add(one)
    return totals


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
            node.running = 0  # the runs under way ended with the incarnation
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
