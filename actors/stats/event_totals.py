"""Numbers folded from events and durations, exact in any order: one event at a time, or parts merged.

The file is pure: no clock, no actor. All numbers are integers or exact decimals. So counting events one by one gives
the same numbers as counting them in several places and merging.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Context, Decimal
from functools import reduce
from math import isfinite
from operator import add
from typing import Any, Final, Self

import msgspec

from protocols.brief_events import RunAnswered, RunBegan
from protocols.cost import ZERO_COST
from protocols.events import (
    ActorCrashed,
    ChildRestarted,
    DeadLetter,
    Event,
    EventsDropped,
    LateReply,
    MailboxOverflow,
    MessageReceived,
    MessageSent,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunStarted,
    TalkFailed,
    TalkProcessed,
    ToolCalled,
)

EXACT = Context(prec=200)  # the default context rounds to 28 digits, and rounded sums depend on the order
_NANOSECONDS = 1_000_000_000

Counted = Event | RunBegan | RunAnswered
"""What can be counted."""


class UsageTotals(msgspec.Struct, frozen=True, gc=False):
    """Tokens and money of runs, failed ones included, and bytes of messages."""

    input_tokens: int = 0
    """Tokens read by models."""
    output_tokens: int = 0
    """Tokens written by models."""
    cost: Decimal = ZERO_COST
    """Money in US dollars, of the messages with a known price."""
    unpriced: int = 0
    """Messages without a known price."""
    byte_count: int = 0
    """Bytes of UTF-8 in the messages."""

    @property
    def total_cost(self) -> float:
        """`cost` as a float."""
        return float(self.cost)

    @property
    def cost_known(self) -> bool:
        """True if the price of every message is known."""
        return not self.unpriced

    @classmethod
    def sum(cls, several: Iterable[Self]) -> Self:
        """Return the exact sum of several."""
        columns = zip(*map(msgspec.structs.astuple, (cls(), *several)), strict=True)
        return cls(*map(_sum, columns))

    def __add__(self, other: Self) -> Self:
        """Return the exact sum of both."""
        return self.sum((self, other))


def _sum(values: tuple[Any, ...]) -> Any:
    if isinstance(values[0], Decimal):
        return reduce(EXACT.add, values)
    if isinstance(values[0], int):
        return sum(values)
    return max((time for time in values if time is not None), default=None)


class EventTotalsSnapshot(UsageTotals, frozen=True, gc=False):
    """The numbers at one moment; `msgspec.json.encode` makes it JSON in one call (money as text, exact)."""

    messages: int = 0
    """Answers of nodes; the answers of teams and chains are in `composed`."""
    composed: int = 0
    """Answers of teams and chains, whose members' answers are in `messages`."""
    received: int = 0
    """Messages taken by nodes."""
    runs: int = 0
    """Runs started."""
    completed: int = 0
    """Runs that ended with a result."""
    failures: int = 0
    """Runs that failed by themselves. A team's failure because of a member counts once, for the member."""
    cancelled: int = 0
    """Cancelled runs."""
    crashes: int = 0
    """Crashes of actors."""
    talk_failures: int = 0
    """Messages that a connection could not handle."""
    tool_failures: int = 0
    """Calls of tools that failed. The model saw the failure, and the run continued."""
    tool_calls: int = 0
    """Calls of tools."""
    busy_ns: int = 0
    """Nanoseconds spent on the answers, summed over nodes that may have worked at the same time."""
    forwarded: int = 0
    """Messages passed on by connections."""
    restarts: int = 0
    """Restarts of actors by their supervisors."""
    dead_letters: int = 0
    """Messages that could not be delivered."""
    late_replies: int = 0
    """Replies that came after their ask had ended."""
    dropped: int = 0
    """Messages lost by full mailboxes."""
    dropped_events: int = 0
    """Events lost by slow subscribers, so other numbers may be too small."""

    @property
    def token_count(self) -> int:
        """Tokens read and written."""
        return self.input_tokens + self.output_tokens

    @property
    def total_tokens(self) -> int:
        """Same as `token_count`."""
        return self.token_count

    @property
    def message_count(self) -> int:
        """Same as `messages`."""
        return self.messages

    @property
    def busy_time(self) -> float:
        """Seconds spent on the answers."""
        return self.busy_ns / _NANOSECONDS

    @property
    def errors(self) -> int:
        """Failed runs, crashes, and messages that connections could not handle."""
        return self.failures + self.crashes + self.talk_failures


class EventTotals:
    """Numbers that grow with events and can be merged.

    `merge` is associative and commutative, and merging with a new object changes nothing. Any thread may read at any
    time; each number only ever grows.

    Example:
        >>> totals = EventTotals([MessageSent(input_tokens=3, output_tokens=4), MessageSent()])
        >>> totals.snapshot().messages, totals.snapshot().total_tokens
        (2, 7)
    """

    __slots__ = ("_numbers",)

    def __init__(self, events: Iterable[Counted] = ()) -> None:
        self._numbers: dict[str, Any] = dict(_ZERO)
        for event in events:
            self.add(event)

    def add(self, event: Counted) -> None:
        """Count one event, or one run in brief. Events without numbers change nothing."""
        count = _COUNTING.get(type(event))
        if count is not None:
            count(self._numbers, event)
        elif type(event) is RunAnswered:
            self.add_answer(event)

    def add_run(self) -> None:
        """Count the begin of a run."""
        self._numbers["runs"] += 1

    def add_answer(self, run: RunAnswered) -> None:
        """Count the answer of a run, and its begin if it is whole."""
        self._numbers["runs"] += run.is_whole
        self._numbers["completed"] += 1
        _answered(self._numbers, run)

    def merge(self, other: "EventTotals") -> "EventTotals":
        """Return the exact sum of both."""
        return EventTotals.of(self.snapshot() + other.snapshot())

    @staticmethod
    def of(snapshot: EventTotalsSnapshot) -> "EventTotals":
        """Return totals that continue from a snapshot."""
        totals = EventTotals()
        totals._numbers.update(msgspec.structs.asdict(snapshot))
        return totals

    def snapshot(self) -> EventTotalsSnapshot:
        """Return the numbers of this moment."""
        return EventTotalsSnapshot(**self._numbers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EventTotals) and self.snapshot() == other.snapshot()

    __hash__ = None  # type: ignore[assignment] # it changes, so it has no lasting hash

    def __repr__(self) -> str:
        return f"EventTotals({', '.join(f'{name}={number}' for name, number in self._numbers.items() if number)})"


_ZERO: Mapping[str, Any] = msgspec.structs.asdict(EventTotalsSnapshot())


def _answered(numbers: dict[str, Any], answer: MessageSent | RunAnswered) -> None:
    if answer.composed:
        numbers["composed"] += 1
        return
    numbers["messages"] += 1
    numbers["byte_count"] += answer.byte_count
    if isfinite(answer.response_time):
        numbers["busy_ns"] += round(answer.response_time * _NANOSECONDS)
    if isinstance(answer, MessageSent) or answer.has_more:
        numbers["tool_calls"] += answer.tool_calls
        _spent(numbers, answer)


def _spent(numbers: dict[str, Any], event: MessageSent | RunAnswered | RunFailed | RunCancelled) -> None:
    numbers["input_tokens"] += event.input_tokens
    numbers["output_tokens"] += event.output_tokens
    if not event.cost_known or not event.cost.is_finite():
        numbers["unpriced"] += 1
    elif event.cost:
        numbers["cost"] = EXACT.add(numbers["cost"], event.cost)


_Count = Callable[[dict[str, Any], Any], None]


def _adds(name: str, amount: Callable[[Any], int] = lambda _: 1, then: _Count | None = None) -> _Count:
    def count(numbers: dict[str, Any], event: object) -> None:
        numbers[name] += amount(event)
        if then is not None:
            then(numbers, event)

    return count


_COUNTING: Mapping[type[object], _Count] = {
    RunBegan: _adds("runs"),
    MessageSent: _answered,
    MessageReceived: _adds("received"),
    RunStarted: _adds("runs"),
    RunCompleted: _adds("completed"),
    RunFailed: _adds("failures", lambda event: not event.step, _spent),
    RunCancelled: _adds("cancelled", then=_spent),
    ToolCalled: _adds("tool_failures", lambda event: event.error is not None),
    TalkProcessed: _adds("forwarded", lambda event: bool(event.targets)),
    TalkFailed: _adds("talk_failures"),
    ActorCrashed: _adds("crashes"),
    ChildRestarted: _adds("restarts"),
    DeadLetter: _adds("dead_letters"),
    LateReply: _adds("late_replies"),
    MailboxOverflow: _adds("dropped", lambda event: event.dropped),
    EventsDropped: _adds("dropped_events", lambda event: event.count),
}


BOUNDS: Final = tuple(0.01 * 2**step for step in range(16))
"""Upper bounds of the classes in seconds, those that OpenTelemetry advises for models and two more; one class is above
the last."""


_ZEROS: Final = (0,) * (len(BOUNDS) + 1)


class DurationTotals(msgspec.Struct, frozen=True, gc=False):
    """The numbers of runs, one for each class of duration. The garbage collector has nothing to do with them."""

    counts: tuple[int, ...] = _ZEROS
    """Runs."""
    nanoseconds: tuple[int, ...] = _ZEROS
    """The time of these runs together."""

    @property
    def seconds(self) -> float:
        """The time of all runs together."""
        return sum(self.nanoseconds) / _NANOSECONDS

    def merge(self, other: "DurationTotals") -> "DurationTotals":
        """Return the sum of both."""
        nanoseconds = tuple(map(add, self.nanoseconds, other.nanoseconds))
        return DurationTotals(tuple(map(add, self.counts, other.counts)), nanoseconds)
