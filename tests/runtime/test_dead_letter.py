"""Dead letters and the event stream: nothing vanishes silently, and nobody who listens can harm who speaks."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import ActorStoppingError
from actors.runtime.mailbox import MailboxConfig
from actors.runtime.options import StartOptions, SystemConfig
from actors.runtime.system import ActorSystem
from actors.testing import ManualClock, settle
from protocols.events import ActorStarted, DeadLetter, EventsDropped, StampedEvent
from tests.support.actors import Echo, RecordingActor

if TYPE_CHECKING:
    from actors.runtime.ref import ActorRef


async def dead(system: ActorSystem) -> ActorRef[Any]:
    """Return an actor that has ended."""
    ref = system.start(Echo, name="gone")
    await ref.stop()
    return ref


def send_to(ref: ActorRef[Any], message: Any) -> None:
    """Send to an actor that has ended, and be refused."""
    with pytest.raises(ActorStoppingError):
        ref.tell(message)


@pytest.mark.conformance("R78")
async def test_a_dead_letter_says_what_to_whom_from_whom_why_and_how_old(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    gone = await dead(actor_system)
    seen: list[Any] = []
    actor_system.events.subscribe(seen.append, [DeadLetter])

    class Sends(AsyncioActor):
        def on_receive(self, message: Any) -> None:
            send_to(gone, message)

    sender = actor_system.start(Sends, name="sender")
    await sender.ask("hello")

    letter = next(iter(actor_system.dead_letters))
    assert (letter.message, letter.target, letter.reason, letter.sender) == ("hello", gone, "dead", sender)
    assert letter.age == 0
    assert [(e.actor, e.message_type, e.reason, e.sender) for e in seen] == [("gone", "str", "dead", "sender")]


@pytest.mark.conformance("R78")
async def test_the_age_of_a_dead_letter_is_how_long_it_waited(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    class Waits(AsyncioActor):
        async def on_receive(self, message: Any) -> None:
            await asyncio.Event().wait()

    ref = actor_system.start(Waits)
    ref.tell("in hand")
    ref.tell("waits")
    await manual_clock.advance(7)
    assert ref.statistics().oldest_age == 7
    await ref.kill()

    assert [(letter.message, letter.age) for letter in actor_system.dead_letters] == [("waits", 7), ("in hand", 7)]


@pytest.mark.conformance("R78")
async def test_dead_letters_are_all_counted_and_the_newest_kept() -> None:
    async with ActorSystem("small", config=SystemConfig(dead_letters=3)) as system:
        gone = await dead(system)
        for number in range(10):
            send_to(gone, number)

        assert system.dead_letters.total == 10
        assert len(system.dead_letters) == 3
        assert [letter.message for letter in system.dead_letters] == [7, 8, 9]


@pytest.mark.conformance("R78")
async def test_a_flood_of_dead_letters_writes_few_lines_and_says_later_how_many_were_left_out(
    actor_system: ActorSystem, manual_clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="understage")
    gone = await dead(actor_system)
    for number in range(1_000):
        send_to(gone, number)
    assert len(caplog.records) == 10

    await manual_clock.advance(61)
    send_to(gone, "next minute")

    assert len(caplog.records) == 12
    assert "repeated" in caplog.records[10].getMessage()


@pytest.mark.conformance("R78")
async def test_a_dead_letter_about_a_dead_letter_does_not_go_round(actor_system: ActorSystem) -> None:
    log: list[Any] = []
    subscriber = actor_system.start(RecordingActor, (log,), options=StartOptions(mailbox=MailboxConfig(capacity=1)))
    actor_system.events.subscribe(subscriber, [DeadLetter])
    gone = await dead(actor_system)
    for number in range(100):
        send_to(gone, number)
    await settle()
    await subscriber.stop()
    send_to(gone, "after the subscriber's end")
    await settle()

    assert actor_system.dead_letters.total < 205
    assert actor_system.events.dropped == 99


@pytest.mark.conformance("R78", "R120")
async def test_a_subscriber_that_raises_stops_nobody(
    actor_system: ActorSystem, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[StampedEvent] = []

    def breaks(event: StampedEvent) -> None:
        raise LookupError(event.seq)

    actor_system.events.subscribe(breaks)
    actor_system.events.subscribe(seen.append)
    await actor_system.start(Echo, name="heard").ask(1)

    assert [type(event).__name__ for event in seen] == ["ActorStarted"]
    assert "an event subscriber failed" in caplog.text


@pytest.mark.conformance("R120")
async def test_a_slow_subscriber_loses_events_that_are_counted_and_leave_a_gap(actor_system: ActorSystem) -> None:
    gate = asyncio.Event()
    seen: list[int] = []
    gaps: list[Any] = []

    class Slow(AsyncioActor):
        async def on_receive(self, message: StampedEvent) -> None:
            await gate.wait()
            seen.append(message.seq)

    slow = actor_system.start(Slow, options=StartOptions(mailbox=MailboxConfig(capacity=5)))
    subscription = actor_system.events.subscribe(slow, [ActorStarted])
    actor_system.events.subscribe(gaps.append, [EventsDropped])
    for _ in range(20):
        actor_system.start(Echo)
    gate.set()
    await settle()

    assert subscription.dropped == actor_system.events.dropped == 15
    assert seen == [1, 2, 3, 4, 5]
    assert [gap.count for gap in gaps] == list(range(1, 16))


async def test_events_are_numbered_without_gaps_and_only_made_when_wanted(actor_system: ActorSystem) -> None:
    actor_system.start(Echo)
    assert actor_system.events.published == 0
    seen: list[StampedEvent] = []
    subscription = actor_system.events.subscribe(seen.append)
    for _ in range(3):
        await actor_system.start(Echo).stop()
    subscription.cancel()
    subscription.cancel()
    actor_system.start(Echo)

    assert [event.seq for event in seen] == [1, 2, 3, 4, 5, 6]
    assert {event.system for event in seen} == {"test"}


async def test_a_subscriber_that_has_ended_is_forgotten(actor_system: ActorSystem) -> None:
    subscriber = actor_system.start(RecordingActor, ([],))
    actor_system.events.subscribe(subscriber, [ActorStarted])
    await subscriber.stop()
    actor_system.start(Echo)

    assert not actor_system.events.wants(ActorStarted)


async def test_what_is_no_event_cannot_be_subscribed_to(actor_system: ActorSystem) -> None:
    wrong: Any = [int]
    with pytest.raises(ValueError, match="no event classes"):
        actor_system.events.subscribe(print, wrong)


async def test_the_tree_shows_every_actor_with_its_numbers(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    gate = asyncio.Event()

    class Waits(AsyncioActor):
        async def on_receive(self, message: Any) -> None:
            await gate.wait()

    parent = actor_system.start(Echo, name="parent")
    options = StartOptions(name="child", parent=parent._cell)  # pyright: ignore[reportPrivateUsage]
    child = actor_system.start(Waits, options=options)
    for number in range(3):
        child.tell(number)
    await manual_clock.advance(5)

    (node,) = actor_system.tree()
    (leaf,) = node.children
    assert (node.name, node.actor_type, node.state, node.depth) == ("parent", "Echo", "running", 0)
    assert (leaf.name, leaf.depth, leaf.in_flight, leaf.accepted, leaf.oldest_age) == ("child", 2, 1, 3, 5)
    gate.set()


@pytest.mark.conformance("R115")
async def test_an_actor_that_nobody_refers_to_lives_until_it_is_stopped_and_is_listed(
    actor_system: ActorSystem,
) -> None:
    log: list[Any] = []
    actor_system.start(RecordingActor, (log,))
    gc.collect()

    (orphan,) = actor_system.orphans()
    assert await orphan.ask("still here") == "still here"
    await orphan.stop()
    assert actor_system.orphans() == []


async def test_dead_letters_are_bounded_by_bytes_and_the_counts_stay_exact(actor_system: ActorSystem) -> None:
    ref = await dead(actor_system)
    for _ in range(100):
        send_to(ref, bytes(2**19))

    assert len(actor_system.dead_letters) == 63
    assert actor_system.dead_letters.total == 100


@pytest.mark.conformance("R78")
async def test_a_message_that_is_too_large_to_be_kept_takes_no_place_from_others(actor_system: ActorSystem) -> None:
    ref = await dead(actor_system)
    sent = ["small", bytes(2**22), bytes(2**20 + 1), bytes(2**19)]
    for message in sent:
        send_to(ref, message)

    letters = list(actor_system.dead_letters)
    assert [letter.message_type for letter in letters] == ["str", "bytes", "bytes", "bytes"]
    assert [letter.is_kept for letter in letters] == [True, False, False, True]
    assert [letter.message for letter in letters] == ["small", None, None, sent[-1]]


@pytest.mark.conformance("R78")
async def test_the_event_of_a_dead_letter_has_its_number_and_the_letter_the_time_of_day(
    actor_system: ActorSystem,
) -> None:
    seen: list[Any] = []
    ref = await dead(actor_system)
    send_to(ref, "before")
    actor_system.events.subscribe(seen.append, [DeadLetter])
    began = time.time()
    for number in range(3):
        send_to(ref, number)

    letters = list(actor_system.dead_letters)
    assert [letter.id for letter in letters] == [1, 2, 3, 4]
    assert [event.id for event in seen] == [2, 3, 4]
    assert all(began <= letter.at <= time.time() for letter in letters[1:])
