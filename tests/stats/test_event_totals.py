from decimal import Decimal
from functools import reduce

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from actors.stats.event_totals import EventTotals, EventTotalsSnapshot
from protocols.brief_events import RunAnswered, RunBegan
from protocols.events import (
    ActorCrashed,
    ActorRestarted,
    ActorStarted,
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

_small = st.integers(0, 10**12)
_sent = st.builds(
    MessageSent,
    input_tokens=_small,
    output_tokens=_small,
    cost=st.decimals(0, 10**6, allow_nan=False, places=12),
    cost_known=st.booleans(),
    tool_calls=_small,
    byte_count=_small,
    response_time=st.floats(0, 1e6),
    composed=st.booleans(),
)
_events: st.SearchStrategy[Event] = st.one_of(
    _sent,
    st.builds(RunFailed, step=st.sampled_from(["", "a"])),
    st.builds(ToolCalled, error=st.none() | st.text()),
    st.builds(TalkProcessed, targets=st.lists(st.text(), max_size=2).map(tuple)),
    st.builds(MailboxOverflow, dropped=_small),
    st.builds(EventsDropped, count=_small),
    st.sampled_from([RunStarted(), RunCompleted(), RunCancelled(), MessageReceived(), ActorCrashed(), ActorStarted()]),
    st.sampled_from([ChildRestarted(), DeadLetter(), LateReply(), TalkFailed(), ActorRestarted()]),
)
_totals = st.lists(_events, max_size=8).map(EventTotals)


@given(_totals, _totals, _totals)
def test_merge_is_associative(a: EventTotals, b: EventTotals, c: EventTotals) -> None:
    assert a.merge(b).merge(c) == a.merge(b.merge(c))


@given(_totals, _totals)
def test_merge_is_commutative(a: EventTotals, b: EventTotals) -> None:
    assert a.merge(b) == b.merge(a)


@given(_totals)
def test_merging_with_new_totals_changes_nothing(a: EventTotals) -> None:
    assert a.merge(EventTotals()) == a == EventTotals().merge(a)


@given(st.lists(st.lists(_events, max_size=6), max_size=5))
def test_adding_all_events_equals_merging_the_parts_of_any_split(parts: list[list[Event]]) -> None:
    whole = EventTotals(event for part in parts for event in part)
    assert reduce(EventTotals.merge, map(EventTotals, parts), EventTotals()) == whole


@given(st.lists(_events, max_size=10).flatmap(lambda found: st.tuples(st.just(found), st.permutations(found))))
def test_order_of_events_does_not_matter(orders: tuple[list[Event], list[Event]]) -> None:
    assert EventTotals(orders[0]) == EventTotals(orders[1])


@given(_totals, _events)
def test_no_number_ever_shrinks(totals: EventTotals, event: Event) -> None:
    before = msgspec.structs.asdict(totals.snapshot())
    totals.add(event)
    after = msgspec.structs.asdict(totals.snapshot())
    assert all(after[name] >= before[name] for name in before)


@given(_totals)
def test_snapshot_survives_json_and_counting_goes_on_from_it(totals: EventTotals) -> None:
    snapshot = totals.snapshot()
    copy = msgspec.json.decode(msgspec.json.encode(snapshot), type=EventTotalsSnapshot)
    assert copy == snapshot
    assert EventTotals.of(copy) == totals


def test_merge_leaves_both_sides_as_they_were() -> None:
    left, right = EventTotals([RunStarted()]), EventTotals([RunStarted()])
    assert left.merge(right).snapshot().runs == 2
    assert (left.snapshot().runs, right.snapshot().runs) == (1, 1)


def test_money_is_summed_exactly() -> None:
    totals = EventTotals(MessageSent(cost=Decimal("0.1")) for _ in range(10))
    assert totals.snapshot().cost == Decimal(1)
    assert totals.snapshot().total_cost == 1.0
    assert f"{EventTotals().snapshot().total_cost:.4f}" == "0.0000"


def test_unknown_price_is_not_counted_as_money_but_is_told() -> None:
    snapshot = EventTotals([MessageSent(cost=Decimal(5), cost_known=False), MessageSent(cost=Decimal(1))]).snapshot()
    assert (snapshot.cost, snapshot.cost_known, snapshot.unpriced) == (Decimal(1), False, 1)
    assert EventTotals([MessageSent(cost=Decimal("NaN"))]).snapshot().unpriced == 1


def test_everything_an_answer_carries_is_counted() -> None:
    sent = MessageSent(input_tokens=3, output_tokens=4, tool_calls=2, byte_count=9, response_time=0.5)
    snapshot = EventTotals([sent, sent]).snapshot()
    assert (snapshot.message_count, snapshot.token_count, snapshot.tool_calls, snapshot.byte_count) == (2, 14, 4, 18)
    assert snapshot.busy_time == 1.0


def test_answer_of_a_team_does_not_count_its_members_twice() -> None:
    snapshot = EventTotals([MessageSent(byte_count=4), MessageSent(byte_count=6, composed=True)]).snapshot()
    assert (snapshot.messages, snapshot.composed, snapshot.byte_count) == (1, 1, 4)


def test_failure_of_a_member_counts_once_although_its_team_fails_too() -> None:
    assert EventTotals([RunFailed(actor="a"), RunFailed(actor="team", step="a")]).snapshot().errors == 1


def test_restart_counts_once_although_two_events_tell_of_it() -> None:
    assert EventTotals([ChildRestarted(), ActorRestarted()]).snapshot().restarts == 1


def test_errors_are_failed_runs_crashes_and_failed_talks() -> None:
    assert EventTotals([RunFailed(), ActorCrashed(), TalkFailed(), ToolCalled(error="x")]).snapshot().errors == 3


def test_infinite_response_time_is_left_out() -> None:
    assert EventTotals([MessageSent(response_time=float("inf"))]).snapshot().busy_ns == 0


def test_counters_show_what_they_have_counted() -> None:
    assert repr(EventTotals([RunStarted()])) == "EventTotals(runs=1)"


@given(_sent, st.booleans())
def test_a_run_in_brief_counts_what_its_events_do(sent: MessageSent, is_whole: bool) -> None:
    brief = RunAnswered(
        "a", "1", sent.byte_count, sent.response_time, is_whole, "", True, sent.input_tokens, sent.output_tokens,
        sent.cost, sent.cost_known, sent.tool_calls, sent.composed,
    )  # fmt: skip

    told: list[RunBegan | RunAnswered] = [brief] if is_whole else [RunBegan("a", "1"), brief]
    assert EventTotals(told) == EventTotals([RunStarted(), sent, RunCompleted()])


@given(st.lists(_totals, max_size=5))
def test_the_total_of_several_is_what_merging_them_gives(several: list[EventTotals]) -> None:
    merged = reduce(EventTotals.merge, several, EventTotals())

    assert EventTotalsSnapshot.sum(totals.snapshot() for totals in several) == merged.snapshot()
