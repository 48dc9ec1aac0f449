"""Fold the events of a system into tables of the feed: runs, failures, costs, blocked loops, approvals, and a log."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from heapq import merge
from typing import Any, ClassVar, Final

from actors.dashboard.feed_table import FeedTable, name_of, shown
from actors.dashboard.open_runs import OpenRuns
from actors.dashboard.spending import Spending
from protocols.approval_events import ApprovalDecided, ApprovalRequested
from protocols.brief_events import RunAnswered, RunBegan
from protocols.events import (
    KINDS,
    ActorCrashed,
    ActorRestarted,
    ActorStarted,
    ActorStopped,
    ChildGaveUp,
    ChildRestarted,
    DeadLetter,
    EventsDropped,
    HandlerAbandoned,
    HopLimitReached,
    LoopBlocked,
    MailboxOverflow,
    MessageReceived,
    MessageSent,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunRetried,
    RunStarted,
    StampedEvent,
    TalkFailed,
    TalkProcessed,
    ToolCalled,
    kind_of,
)
from protocols.journal_events import JournalStalled
from protocols.model_events import (
    BudgetWarning,
    CircuitOpened,
    ModelRequested,
    ModelResponded,
    ModelRetried,
    ModelThrottled,
    ProtocolWarning,
    ToolAbandoned,
    ToolStarted,
)

FOLLOWED: Final = tuple(kind for kind in KINDS.values() if kind is not MessageReceived)
"""The events of the feed."""
MOST_LINES: Final = 2_000
"""Lines of the log that are kept."""
LINES_AT_ONCE: Final = 200
"""Lines of the log between two messages of the feed, and as many of trouble; of more events the latest are shown."""
_WARNINGS: Final = (
    DeadLetter, RunRetried, RunCancelled, MailboxOverflow, LoopBlocked, EventsDropped, ChildRestarted, ModelRetried,
    ModelThrottled, CircuitOpened, BudgetWarning, ToolAbandoned, JournalStalled, HopLimitReached, ProtocolWarning,
)  # fmt: skip
_LEVELS: Final[Mapping[type[Any], str]] = {
    **dict.fromkeys((RunFailed, ActorCrashed, ChildGaveUp, TalkFailed, HandlerAbandoned), "error"),
    **dict.fromkeys(_WARNINGS, "warning"),
}


_BRIEF: Final[Mapping[type[Any], str]] = {RunBegan: "run_started", RunAnswered: "message_sent"}
_STEPS: Final[Mapping[type[Any], Callable[[Any], tuple[str, str]]]] = {
    ToolStarted: lambda event: (f"tool {event.tool_name}", "running"),
    ToolCalled: lambda _: ("", "running"),
    ModelRequested: lambda event: (f"model {event.model}", "running"),
    ModelResponded: lambda _: ("", "running"),
    ModelRetried: lambda event: (f"model {event.model}, attempt {event.attempt + 1}", "running"),
    ModelThrottled: lambda event: (f"waits for the limits of {event.model}", "waiting"),
    RunRetried: lambda event: (f"attempt {event.attempt + 1}", "waiting" if event.delay else "running"),
    ApprovalRequested: lambda event: (f"tool {event.tool_name}", "approval"),
    ApprovalDecided: lambda event: (f"tool {event.tool_name}", "running"),
}


class EventRows:
    """Tables that are folded from events.

    Args:
        find: returns the node of a name, or None.
        wall: the wall clock, in seconds since 1970 UTC.
    """

    def __init__(self, find: Callable[[str], Any], wall: Callable[[], float] = time.time) -> None:
        self.runs = OpenRuns(find)
        self.spending = Spending()
        self.failures = FeedTable(500, is_ring=True)
        self.blocked = FeedTable(100, is_ring=True)
        self.log = FeedTable(MOST_LINES, is_ring=True)
        self._wall = wall
        self._lines: deque[tuple[int, float, Any]] = deque(maxlen=LINES_AT_ONCE)
        self._trouble: deque[tuple[int, float, Any]] = deque(maxlen=LINES_AT_ONCE)
        """Apart, so that a burst of other events does not push it out."""
        self._events = self._left_out = self._number = 0

    @property
    def tables(self) -> dict[str, FeedTable]:
        """The tables by name."""
        return {
            "runs": self.runs.table, "costs": self.spending.table, "failures": self.failures, "blocked": self.blocked,
            "log": self.log,
        }  # fmt: skip

    def add_all(self, events: Iterable[Any]) -> None:
        """Fold events, and runs in brief, in order."""
        now = self._wall()
        for event in events:
            kind: Any = event.__class__
            fold = self._folds.get(kind)
            if fold is not None:
                fold(self, event, now)
            if kind is not RunCompleted:
                lines = self._trouble if kind in _LEVELS else self._lines
                self._left_out += len(lines) == LINES_AT_ONCE
                self._events += 1
                lines.append((self._events, now, event))

    def renew(self, now: float) -> None:
        """Bring all tables up to date."""
        if self._left_out:
            self._put_line(now, "events_left_out", "", f"{self._left_out} earlier events are not shown", "", "info")
            self._left_out = 0
        for _, at, event in merge(self._lines, self._trouble):
            kind: Any = event.__class__
            word = _BRIEF.get(kind) or kind_of(kind.__name__)
            level = _LEVELS.get(kind, "info")
            when = event.time if isinstance(event, StampedEvent) else at
            self._put_line(when, word, event.actor, text_of(event), event.run_id, level)
        self._lines.clear()
        self._trouble.clear()
        self.runs.renew(now)
        self.spending.renew(now)

    def _put_line(self, at: float, kind: str, node: str, text: str, run: str, level: str) -> None:
        self._number += 1
        line = {"at": at, "kind": kind, "node": name_of(node), "text": shown(text), "run": name_of(run), "level": level}
        self.log.put(str(self._number), line)

    # -- folds ----------------------------------------------------------------------------------------------------

    def _began(self, event: RunBegan | RunStarted, now: float) -> None:
        self.runs.begin(event.run_id, event.actor, event.parent_run_id, now)
        run = self.runs.get(event.run_id)
        if run is not None and isinstance(event, RunStarted):
            run.conversation = event.conversation_id

    def _answered(self, event: RunAnswered | MessageSent, now: float) -> None:
        run = self.runs.end(event.run_id) if isinstance(event, RunAnswered) else self.runs.get(event.run_id)
        if not event.composed:
            model = event.model if isinstance(event, MessageSent) else "" if run is None else run.model
            self.spending.add(now, event.actor, model, event.input_tokens, event.output_tokens, event.cost)

    def _completed(self, event: RunCompleted, _now: float) -> None:
        self.runs.end(event.run_id)

    def _failed(self, event: RunFailed | RunCancelled, now: float) -> None:
        run = self.runs.end(event.run_id)
        model = "" if run is None else run.model
        self.spending.add(now, event.actor, model, event.input_tokens, event.output_tokens, event.cost)
        if isinstance(event, RunFailed):
            row = {
                "at": event.time, "node": name_of(event.actor), "error_type": name_of(event.error_type),
                "error": shown(event.error), "duration": event.duration,
                "conversation": "" if run is None else name_of(run.conversation),
            }  # fmt: skip
            self.failures.put(event.run_id, row)

    def _steps(self, event: Any, now: float) -> None:
        run = self.runs.get(event.run_id)
        if run is None:
            return
        run.seen = now
        run.step, run.state = _STEPS[type(event)](event)
        if isinstance(event, ModelRequested):
            run.model = event.model
        elif isinstance(event, ModelResponded):
            run.input_tokens += event.input_tokens
            run.output_tokens += event.output_tokens

    def _was_blocked(self, event: LoopBlocked, _now: float) -> None:
        where = f"{event.actor} {event.message_type}".strip()
        self.blocked.put(str(event.seq), {"at": event.time, "duration": event.duration, "where": shown(where)})

    _folds: ClassVar[Mapping[Any, Callable[[Any, Any, float], None]]] = {
        RunBegan: _began,
        RunStarted: _began,
        RunAnswered: _answered,
        MessageSent: _answered,
        RunCompleted: _completed,
        RunFailed: _failed,
        RunCancelled: _failed,
        LoopBlocked: _was_blocked,
        **dict.fromkeys(_STEPS, _steps),
    }


_TEXTS: Final[Mapping[type[Any], str]] = {
    RunBegan: "started",
    RunStarted: "started",
    RunAnswered: "answered after {0.response_time:.2f} s",
    MessageSent: "answered after {0.response_time:.2f} s",
    RunFailed: "{0.error_type}: {0.error}",
    RunRetried: "attempt {0.attempt} failed: {0.error_type}: {0.error}",
    RunCancelled: "cancelled after {0.duration:.2f} s",
    ToolStarted: "tool {0.tool_name}",
    ToolCalled: "tool {0.tool_name} after {0.duration:.2f} s",
    ModelRequested: "model {0.model}",
    ModelResponded: "model {0.model} after {0.duration:.2f} s {0.error_type}",
    ModelRetried: "model {0.model}: attempt {0.attempt} failed: {0.error_type}",
    ModelThrottled: "model {0.model}: waits {0.delay:.1f} s for its limits",
    CircuitOpened: "{0.endpoint}: no requests for {0.delay:.1f} s",
    ProtocolWarning: "{0.endpoint}: {0.problem}",
    BudgetWarning: "budget of {0.budget}: {0.spent:g} of {0.most:g} {0.limit}",
    TalkProcessed: "connection {0.talk}",
    TalkFailed: "connection {0.talk} to {0.target}: {0.error_type}: {0.error}",
    HopLimitReached: "connection {0.talk}: more than {0.limit} hops",
    ActorStarted: "{0.actor_type} started",
    ActorStopped: "stopped: {0.reason}",
    ActorCrashed: "{0.error_type}: {0.error}",
    ActorRestarted: "restarted, life {0.incarnation}",
    ChildRestarted: "{0.child} restarted after {0.delay:.1f} s: {0.reason}",
    ChildGaveUp: "gave up on {0.child} after {0.restarts} restarts: {0.reason}",
    DeadLetter: "dead letter {0.message_type}: {0.reason}",
    MailboxOverflow: "mailbox full ({0.capacity}): {0.policy}, {0.dropped} lost",
    HandlerAbandoned: "a handler of {0.message_type} was cut loose",
    LoopBlocked: "the event loop stood still for {0.duration:.2f} s",
    EventsDropped: "{0.subscriber} lost {0.count} events",
    ApprovalRequested: "tool {0.tool_name} waits for approval",
    ApprovalDecided: "tool {0.tool_name}: decided by {0.by}",
    ToolAbandoned: "tool {0.tool} does not stop",
    JournalStalled: "writes wait for the disk for {0.waiting:.1f} s",
}


def text_of(event: Any) -> str:
    """Return an event in words."""
    kind: Any = event.__class__
    return _TEXTS.get(kind, "").format(event)
