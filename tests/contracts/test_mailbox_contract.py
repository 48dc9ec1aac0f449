"""What every mailbox does, whatever its order and its overflow policy."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.actor import AsyncioActor
from actors.runtime.envelope import Envelope
from actors.runtime.errors import ActorStoppingError, MailboxFullError
from actors.runtime.mailbox import BoundedMailbox, MailboxConfig
from actors.runtime.start import StartOptions
from actors.testing import settle
from protocols.control import DeadLetterReason, Terminated
from protocols.mailbox import Overflow

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.ref import ActorRef
    from actors.runtime.system import ActorSystem


def kind_of(message: Any) -> Any:
    """Return the first half of a pair; breaks on anything else, as user code may."""
    return message[0]


PLAIN = [policy for policy in Overflow if policy is not Overflow.COALESCE]
CONFIGS: dict[str, Callable[[int], MailboxConfig]] = {
    **{str(policy): partial(MailboxConfig, overflow=policy) for policy in PLAIN},
    "coalesce": partial(MailboxConfig, overflow=Overflow.COALESCE, key=kind_of),
    **{f"priority {policy}": partial(MailboxConfig, overflow=policy, priority=kind_of) for policy in PLAIN},
}
KEYED = [name for name in CONFIGS if name == "coalesce" or name.startswith("priority")]

every_mailbox = pytest.mark.parametrize("name", CONFIGS)


def build(name: str, capacity: int) -> BoundedMailbox:
    return CONFIGS[name](capacity).build("test")


def envelope(message: Any, at: float = 0.0) -> Envelope:
    nobody: Any = None
    return Envelope(message, nobody, at=at)


def put(box: BoundedMailbox, *messages: Any) -> None:
    for message in messages:
        assert box.put(envelope(message)) is None


def drain(box: BoundedMailbox) -> list[Any]:
    taken: list[Any] = []
    while (each := box.get()) is not None:
        taken.append(each.message)
    return taken


@every_mailbox
def test_a_new_mailbox_is_empty_and_open(name: str) -> None:
    box = build(name, 3)

    assert len(box) == 0
    assert box.get() is None
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
    first, second = box.get(), box.get()
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
            taken = box.get()
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
        each = box.get()
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
        ({"priority": kind_of, "starvation_bound": 0}, "starvation_bound must be >= 1, not 0"),
    ],
)
def test_a_mailbox_that_makes_no_sense_is_refused_naming_the_field(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MailboxConfig(**options)


# -- in an actor -----------------------------------------------------------------------------------------------------


class Slow(AsyncioActor):
    """Handles a message when the gate is opened for it."""

    def __init__(self, gate: asyncio.Event, log: list[Any]) -> None:
        super().__init__()
        self.gate = gate
        self.log = log

    async def on_receive(self, message: Any) -> Any:
        await self.gate.wait()
        self.log.append(message)
        return message

    def on_terminated(self, terminated: Terminated) -> None:
        self.log.append("terminated")


async def stuck(
    system: ActorSystem, config: MailboxConfig, log: list[Any], gate: asyncio.Event | None = None
) -> ActorRef[Slow]:
    """Start an actor that has one message in hand."""
    ref = system.start(Slow, (gate or asyncio.Event(), log), options=StartOptions(mailbox=config))
    ref.tell((0, "in hand"))
    await settle()
    return ref


@every_mailbox
@pytest.mark.conformance("R96", "R97")
async def test_stop_and_kill_do_not_wait_behind_the_mail(actor_system: ActorSystem, name: str) -> None:
    log: list[Any] = []
    ref = await stuck(actor_system, CONFIGS[name](10_000), log)
    for number in range(10_000):
        ref.tell((number, number))

    await ref.kill()

    assert log == []
    assert actor_system.dead_letters.counts == {DeadLetterReason.STOPPED: 10_000}


@every_mailbox
@pytest.mark.conformance("R77", "R97")
async def test_the_news_of_an_end_reaches_a_full_mailbox_after_what_was_there(
    actor_system: ActorSystem, name: str
) -> None:
    log: list[Any] = []
    gate = asyncio.Event()
    watched = actor_system.start(AsyncioActor)
    ref = await stuck(actor_system, CONFIGS[name](2), log, gate)
    actor_system.watch(ref._cell, watched._cell)  # pyright: ignore[reportPrivateUsage]
    ref.tell((1, 1))
    ref.tell((2, 2))
    await watched.stop()
    gate.set()
    await settle()

    assert log == [(0, "in hand"), (1, 1), (2, 2), "terminated"]


@every_mailbox
@pytest.mark.conformance("R95", "R100")
async def test_an_actor_that_is_stuck_keeps_no_more_than_its_capacity(actor_system: ActorSystem, name: str) -> None:
    log: list[Any] = []
    ref = await stuck(actor_system, CONFIGS[name](5), log)
    refused = 0
    for number in range(1_000):
        try:
            ref.tell((number, number))
        except MailboxFullError:
            refused += 1

    cell = ref._cell  # pyright: ignore[reportPrivateUsage]
    assert ref.statistics().depth == 5
    assert ref.statistics().free == 0
    assert refused + cell.accepted == 1_001
    assert cell.dead == actor_system.dead_letters.counts[DeadLetterReason.OVERFLOW] == cell.accepted - 6
    await ref.kill()


@every_mailbox
@pytest.mark.conformance("R95")
async def test_an_ask_that_loses_its_place_fails_at_once(actor_system: ActorSystem, name: str) -> None:
    log: list[Any] = []
    ref = await stuck(actor_system, CONFIGS[name](2), log)
    asks = [ref.ask((1, number), timeout=None) for number in range(4)]
    await settle()

    failed = [ask for ask in asks if ask.done()]
    assert len(failed) == 4 - ref.statistics().depth
    assert all(isinstance(ask.exception(), MailboxFullError) for ask in failed)
    await ref.kill()


@every_mailbox
@pytest.mark.conformance("R95")
async def test_a_waiting_sender_gets_its_turn_or_is_cancelled_or_fails_with_the_end_of_the_actor(
    actor_system: ActorSystem, name: str
) -> None:
    log: list[Any] = []
    gate = asyncio.Event()
    ref = await stuck(actor_system, CONFIGS[name](1), log, gate)
    ref.tell((1, "waits"))
    first, second = (asyncio.create_task(ref.send((2, text))) for text in ("first", "second"))
    await settle()
    assert not first.done()
    first.cancel()
    gate.set()
    await settle()
    assert first.cancelled()
    assert second.done()
    assert log == [(0, "in hand"), (1, "waits"), (2, "second")]

    gate.clear()
    ref.tell((0, "in hand"))
    await settle()
    ref.tell((1, "waits"))
    third = asyncio.create_task(ref.send((2, "third")))
    await settle()
    await ref.kill()
    await settle()
    assert isinstance(third.exception(), ActorStoppingError)


@pytest.mark.parametrize("name", KEYED)
async def test_a_key_function_that_raises_fails_the_sender_and_nothing_else(
    actor_system: ActorSystem, name: str
) -> None:
    log: list[Any] = []
    gate = asyncio.Event()
    gate.set()
    ref = await stuck(actor_system, CONFIGS[name](5), log, gate)

    with pytest.raises(TypeError):
        ref.tell(42)
    with pytest.raises(TypeError):
        await ref.ask(42)

    assert await ref.ask((1, "still here")) == (1, "still here")
