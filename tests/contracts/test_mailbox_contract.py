"""What every mailbox does, whatever its order and its overflow policy."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.errors import ActorStoppingError, MailboxFullError
from actors.runtime.mailbox import MailboxConfig
from protocols.control import Terminated
from protocols.mailbox import Overflow
from tests.contracts.mailbox_kinds import CONFIGS, build, drain, envelope, every_mailbox, kind_of, put

if TYPE_CHECKING:
    from actors.runtime.envelope import Envelope


@every_mailbox
def test_a_new_mailbox_is_empty_and_open(name: str) -> None:
    box = build(name, 3)

    assert len(box) == 0
    assert box.take() is None
    assert box.oldest() is None
    assert box.clear() == []
    assert not box.closed


@every_mailbox
def test_equal_messages_come_out_as_they_went_in(name: str) -> None:
    box = build(name, 10)
    messages = [(0, number) for number in range(10)] if name != "coalesce" else [(n, n) for n in range(10)]
    put(box, *messages)

    assert len(box) == 10
    oldest = box.oldest()
    assert oldest is not None
    assert oldest.message == messages[0]
    assert drain(box) == messages
    assert len(box) == 0


@every_mailbox
@pytest.mark.conformance("R95")
def test_a_full_mailbox_never_holds_more_than_its_capacity_and_says_who_lost_its_place(name: str) -> None:
    box = build(name, 3)
    put(box, (1, 1), (2, 2), (3, 3))
    new = envelope((4, 4))
    policy = box.overflow

    if policy in (Overflow.REJECT, Overflow.WAIT, Overflow.COALESCE):
        with pytest.raises(MailboxFullError, match=r"actor test: mailbox is full \(3 messages\)") as caught:
            box.put(new)
        assert caught.value.message == (4, 4)
    else:
        lost = box.put(new)
        assert lost is not None
        drops_new = policy is Overflow.DROP_NEWEST or name == "priority drop_oldest"
        assert lost.message == ((4, 4) if drops_new else (1, 1))
    assert len(box) == 3


@every_mailbox
def test_a_closed_mailbox_refuses_and_keeps_what_it_has(name: str) -> None:
    box = build(name, 3)
    put(box, (1, 1))
    box.close()
    box.close()

    for message in ((1, 2), (2, 2)):
        with pytest.raises(ActorStoppingError):
            box.put(envelope(message))
    assert box.closed
    assert drain(box) == [(1, 1)]


@every_mailbox
@pytest.mark.conformance("R97")
def test_what_the_engine_sends_is_taken_when_full_and_when_closed_behind_what_came_before(name: str) -> None:
    box = build(name, 2)
    put(box, (0, 1), (1, 2))
    system: Any = Terminated(None, None, 1)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    box.put_system(envelope(system))
    box.close()
    box.put_system(envelope(system))

    assert len(box) == 4
    assert drain(box) == [(0, 1), (1, 2), system, system]


@every_mailbox
@pytest.mark.conformance("R73", "R97")
def test_no_policy_drops_what_the_engine_sent(name: str) -> None:
    box = build(name, 2)
    system: Any = Terminated(None, None, 1)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    box.put_system(envelope(system))
    box.put_system(envelope(system))
    for number in range(5):
        with suppress(MailboxFullError):
            assert box.put(envelope((0, number))) is not None

    assert drain(box) == [system, system]


@every_mailbox
def test_clear_takes_everything_and_the_mailbox_can_be_used_again(name: str) -> None:
    box = build(name, 3)
    put(box, (1, 1), (2, 2), (3, 3))

    assert [each.message for each in box.clear()] == [(1, 1), (2, 2), (3, 3)]
    assert len(box) == 0
    put(box, (1, 4), (2, 5))
    assert drain(box) == [(1, 4), (2, 5)]


@every_mailbox
@pytest.mark.conformance("R99")
def test_what_is_put_back_comes_first_in_its_order_even_beyond_the_capacity(name: str) -> None:
    box = build(name, 3)
    put(box, (0, 1), (1, 2), (2, 3))
    first, second = box.take(), box.take()
    assert first is not None
    assert second is not None
    put(box, (3, 4), (4, 5))
    box.put_back([first, second])

    assert len(box) == 5
    assert drain(box) == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]


@given(
    name=st.sampled_from(list(CONFIGS)),
    capacity=st.integers(1, 5),
    steps=st.lists(st.one_of(st.none(), st.tuples(st.integers(0, 3), st.integers(0, 9))), max_size=60),
)
@pytest.mark.conformance("R95")
def test_nothing_is_lost_or_doubled_whatever_is_put_and_taken(
    name: str, capacity: int, steps: list[tuple[int, int] | None]
) -> None:
    box = build(name, capacity)
    inside: list[Envelope] = []
    for step in steps:
        if step is None:
            taken = box.take()
            assert (taken is None) == (not inside)
            if taken is not None:
                inside.remove(taken)
            continue
        new = envelope(step)
        try:
            lost = box.put(new)
        except MailboxFullError:
            assert len(inside) == capacity
            continue
        if lost is not new:
            inside.append(new)
        if lost is not None and lost is not new:
            inside.remove(lost)
        assert len(box) == len(inside) <= capacity
    assert {id(each) for each in box.clear()} == {id(each) for each in inside}


# -- coalescing ------------------------------------------------------------------------------------------------------


def test_a_message_takes_the_place_of_the_waiting_one_with_its_key() -> None:
    box = build("coalesce", 2)
    put(box, ("price", 1), ("volume", 1))
    lost = box.put(envelope(("price", 2)))

    assert lost is not None
    assert lost.message == ("price", 1)
    assert drain(box) == [("price", 2), ("volume", 1)]


def test_a_key_that_cannot_be_hashed_is_refused_to_its_sender() -> None:
    box = build("coalesce", 2)

    with pytest.raises(TypeError, match=r"actor test: mailbox key \[\] of tuple is not hashable"):
        box.put(envelope(([], 1)))
    assert len(box) == 0


def test_a_message_whose_key_has_changed_while_it_waited_is_taken_all_the_same() -> None:
    box = build("coalesce", 5)
    changing: Any = [1, "first"]
    put(box, changing)
    changing[0] = []
    lost = box.put(envelope([1, "second"]))  # takes its place: the key is the one it came with

    assert lost is not None
    assert lost.message is changing
    assert drain(box) == [[1, "second"]]


# -- priority --------------------------------------------------------------------------------------------------------


@pytest.mark.conformance("R98")
def test_lower_lanes_come_first_and_equal_ones_in_order() -> None:
    box = build("priority reject", 10)
    put(box, (2, 1), (1, 2), (0, 3), (1, 4), (0, 5))

    assert drain(box) == [(0, 3), (0, 5), (1, 2), (1, 4), (2, 1)]


@given(lanes=st.lists(st.integers(0, 4), min_size=1, max_size=100), bound=st.integers(1, 20))
@pytest.mark.conformance("R98")
def test_no_message_is_overtaken_more_often_than_the_bound_allows(lanes: list[int], bound: int) -> None:
    config = MailboxConfig(1_000, priority=kind_of, starvation_bound=bound)
    box = config.build("test")
    for number, lane in enumerate(lanes):
        assert box.put(envelope((lane, number), at=number)) is None
    put_more = len(lanes)
    waiting_low = [number for number, lane in enumerate(lanes) if lane == max(lanes)]
    taken: list[int] = []
    # Lane 0 never runs dry, and the lowest lane still gets its turn.
    while any(number not in taken for number in waiting_low):
        assert box.put(envelope((0, put_more), at=put_more)) is None
        put_more += 1
        each = box.take()
        assert each is not None
        taken.append(each.message[1])
        assert len(taken) <= (len(lanes) + 1) * (bound + 1)


@pytest.mark.parametrize("policy", ["drop_oldest"])
def test_a_full_priority_mailbox_drops_from_its_lowest_lane(policy: str) -> None:
    box = build(f"priority {policy}", 3)
    put(box, (0, 1), (5, 2), (5, 3))
    lost = box.put(envelope((1, 4)))

    assert lost is not None
    assert lost.message == (5, 2)


def test_a_priority_that_is_no_number_is_refused_to_its_sender() -> None:
    box = build("priority reject", 3)
    put(box, (0, 1))

    with pytest.raises(TypeError, match="mailbox priority 'high' of tuple is not a whole number"):
        box.put(envelope(("high", 2)))
    assert drain(box) == [(0, 1)]


# -- configuration ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"capacity": 0}, "capacity must be a whole number >= 1, not 0"),
        ({"capacity": -1}, "not -1"),
        ({"capacity": 1.5}, "not 1.5"),
        ({"capacity": True}, "not True"),
        ({"overflow": "explode"}, "overflow must be one of .*'coalesce', not 'explode'"),
        ({"overflow": Overflow.COALESCE}, "give both or neither"),
        ({"key": kind_of}, "give both or neither"),
        ({"overflow": Overflow.COALESCE, "key": kind_of, "priority": kind_of}, "priority does not go with"),
        ({"priority": kind_of, "starvation_bound": 0}, "starvation_bound must be .*>= 1, not 0"),
    ],
)
def test_a_mailbox_that_makes_no_sense_is_refused_naming_the_field(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MailboxConfig(**options)


# -- in an actor -----------------------------------------------------------------------------------------------------
