"""Who is told of events: subscriptions come and go in any order, and runs are told in brief where that is enough."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.event_stream import BatchSubscription, EventStream, Subscription
from protocols.events import KINDS, ActorStarted, MessageReceived, MessageSent, RunCompleted, RunStarted

OF_RUNS = frozenset((RunStarted, MessageSent, RunCompleted))
WANTED: list[list[Any] | None] = [
    None, [ActorStarted], [RunStarted], [MessageReceived], [*OF_RUNS], [*OF_RUNS, ActorStarted],
]  # fmt: skip


class Target:
    """Stands for an actor; it must not be compared with another one."""

    def __eq__(self, other: object) -> bool:
        raise AssertionError

    __hash__ = None  # type: ignore[assignment]

    def statistics(self) -> Target:
        """Stand for the numbers of its mailbox."""
        return self

    capacity = 10

    def tell(self, event: object) -> None:
        """Take an event."""


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(WANTED), st.booleans(), st.sampled_from("+-x"))))
def test_a_stream_knows_who_is_left_and_what_they_want(steps: list[tuple[int, Any, bool, str]]) -> None:
    def report(event: str, error: BaseException) -> None:
        raise error

    stream = EventStream("test", report)
    targets = [Target() for _ in range(4)]
    left: list[Subscription] = []
    for number, kinds, in_batches, step in steps:
        target = targets[number]
        own = [one for one in left if one.target is target]
        if step == "+":
            left.append((stream.subscribe_in_batches if in_batches else stream.subscribe)(target, kinds))
        elif step == "-":
            stream.forget(target)
            left = [one for one in left if one not in own]
        elif own:
            own[0].cancel()
            own[0].cancel()
            left.remove(own[0])

        assert [stream.wants(kind) for kind in KINDS.values()] == [
            any(kind in one.kinds for one in left) for kind in KINDS.values()
        ]
        of_runs = [one for one in left if one.kinds & OF_RUNS]
        in_brief = [one for one in of_runs if isinstance(one, BatchSubscription) and one.kinds >= OF_RUNS]
        is_brief = 0 < len(in_brief) == len(of_runs)
        assert (stream.count is not None) == is_brief
        is_received = any(MessageReceived in one.kinds for one in left if one not in in_brief)
        assert stream.is_heard == (is_received or (bool(of_runs) and not is_brief))
        if stream.count is not None:
            stream.count("in brief")
            assert [one.take() for one in in_brief] == [["in brief"]] * len(in_brief)
