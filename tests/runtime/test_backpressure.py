"""Senders that wait for space in a full mailbox are served in the order in which they came."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import ActorStoppingError, AskTimeoutError, MailboxFullError
from actors.runtime.mailbox import MailboxConfig
from actors.runtime.options import StartOptions
from actors.testing import settle
from protocols.control import DeadLetterReason
from protocols.mailbox import Overflow
from tests.runtime.conftest import cell_of
from tests.support.actors import BlockedActor, RecordingActor
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from actors.runtime.ref import ActorRef
    from actors.runtime.system import ActorSystem
    from actors.testing.clock import ManualClock

SHIFT = 500
"""Messages of one sender."""


def full_of(
    system: ActorSystem, capacity: int = 1, overflow: Overflow = Overflow.WAIT
) -> tuple[ActorRef[BlockedActor], list[Any], asyncio.Event]:
    """Return an actor that handles one message, has `capacity` more in its mailbox, and waits for its gate."""
    log: list[Any] = []
    gate = asyncio.Event()
    options = StartOptions(mailbox=MailboxConfig(capacity=capacity, overflow=overflow))
    ref = system.start(BlockedActor, (log, gate), options=options)
    return ref, log, gate


async def fill(ref: ActorRef[Any], capacity: int = 1) -> None:
    ref.tell("in hand")
    await settle()
    for number in range(capacity):
        ref.tell(number)


def begun(log: list[Any]) -> list[Any]:
    return [entry[1] for entry in log if entry[0] == "begin"]


@pytest.mark.parametrize("way", ["send", "ask"])
@pytest.mark.parametrize("capacity", [1, 4])
async def test_equal_senders_get_equal_shares(actor_system: ActorSystem, capacity: int, way: str) -> None:
    assert await _most_ahead(actor_system, 9, SHIFT, capacity, way) <= 1


@pytest.mark.soak
@pytest.mark.parametrize("way", ["send", "ask"])
async def test_equal_senders_get_equal_shares_for_long(actor_system: ActorSystem, way: str) -> None:
    assert await _most_ahead(actor_system, 20, 20_000, 4, way) <= 1


async def _most_ahead(system: ActorSystem, senders: int, shift: int, capacity: int, way: str) -> int:
    """Let senders compete for one mailbox; return by how many messages one was ahead of another at most."""
    seen, most = Counter[int](), 0

    class Counts(AsyncioActor):
        def on_receive(self, message: int) -> None:
            nonlocal most
            seen[message] += 1
            if seen.total() > senders:
                most = max(most, max(seen.values()) - min(seen[each] for each in range(senders)))

    mailbox = MailboxConfig(capacity=capacity, overflow=Overflow.WAIT)
    ref = system.start(Counts, options=StartOptions(mailbox=mailbox))

    async def send(sender: int) -> None:
        for _ in range(shift):
            await getattr(ref, way)(sender)

    await asyncio.gather(*(send(sender) for sender in range(senders)))
    await ref.stop()
    assert seen == dict.fromkeys(range(senders), shift)
    return most


async def test_sends_and_asks_wait_in_one_queue(actor_system: ActorSystem) -> None:
    ref, log, gate = full_of(actor_system)
    await fill(ref)
    waiting: list[Any] = []
    for number in range(1, 7):
        waiting.append(asyncio.create_task(ref.send(number)) if number % 2 else ref.ask(number))
        await settle()

    gate.set()
    await asyncio.gather(*waiting)
    await settle()

    assert begun(log) == ["in hand", 0, 1, 2, 3, 4, 5, 6]


async def test_nobody_overtakes_those_who_wait(actor_system: ActorSystem) -> None:
    ref, log, gate = full_of(actor_system)
    await fill(ref)
    waiting = asyncio.create_task(ref.send("first"))
    await settle()

    with pytest.raises(MailboxFullError):
        ref.tell("has no place")
    gate.set()
    await waiting
    await settle()

    assert begun(log) == ["in hand", 0, "first"]


async def test_an_ask_of_a_mailbox_that_refuses_does_not_wait(actor_system: ActorSystem) -> None:
    ref, _, gate = full_of(actor_system, overflow=Overflow.REJECT)
    await fill(ref)

    with pytest.raises(MailboxFullError):
        await ref.ask("has no place")
    gate.set()


@pytest.mark.parametrize("how", ["expires", "is cancelled"])
async def test_an_ask_that_ends_while_it_waits_is_never_handled(
    actor_system: ActorSystem, manual_clock: ManualClock, how: str
) -> None:
    ref, log, gate = full_of(actor_system)
    await fill(ref)
    reply = ref.ask("late", timeout=1.0)
    if how == "expires":
        await manual_clock.advance(1.0)
        assert isinstance(reply.exception(), AskTimeoutError)
    else:
        reply.cancel()
    await settle()

    assert not cell_of(ref).senders
    gate.set()
    await settle()
    assert begun(log) == ["in hand", 0]


async def test_a_send_that_is_cancelled_while_it_waits_gives_its_place_away(actor_system: ActorSystem) -> None:
    ref, log, gate = full_of(actor_system)
    await fill(ref)
    tasks = [asyncio.create_task(ref.send(name)) for name in ("gone", "next")]
    await settle()

    tasks[0].cancel()
    gate.set()
    await tasks[1]
    await settle()

    assert begun(log) == ["in hand", 0, "next"]
    assert cell_of(ref).senders is None


async def test_a_send_that_is_cancelled_in_the_moment_of_its_place_is_a_dead_letter(actor_system: ActorSystem) -> None:
    log: list[Any] = []
    gate = asyncio.Event()

    class Cancels(BlockedActor):
        async def on_receive(self, message: Any) -> Any:
            if message == 0:  # its place in the mailbox was given away in this step
                task.cancel()
                await asyncio.wait([task])
            return await super().on_receive(message)

    mailbox = MailboxConfig(capacity=1, overflow=Overflow.WAIT)
    ref = actor_system.start(Cancels, (log, gate), options=StartOptions(mailbox=mailbox))
    await fill(ref)
    task = asyncio.create_task(ref.send("told to end"))
    await settle()

    gate.set()
    await asyncio.wait([task])
    await settle()

    assert task.cancelled()
    assert begun(log) == ["in hand", 0]
    assert actor_system.dead_letters.counts == {DeadLetterReason.CANCELLED: 1}


async def test_all_who_wait_are_told_when_the_actor_ends(actor_system: ActorSystem) -> None:
    ref, log, _ = full_of(actor_system)
    await fill(ref)
    waiting: list[Any] = [ref.ask("ask"), asyncio.create_task(ref.send("send"))]
    waiting.append(asyncio.create_task(asyncio.to_thread(ref.tell, "thread")))
    await wait_until(lambda: len(cell_of(ref).senders or ()) == 3)

    await ref.kill()

    errors = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(error) for error in errors] == [ActorStoppingError] * 3
    assert begun(log) == ["in hand"]
    cell = cell_of(ref)
    assert cell.accepted == cell.handled + cell.failed + cell.dead


async def test_an_ask_from_a_thread_waits_as_well(actor_system: ActorSystem) -> None:
    log: list[Any] = []
    mailbox = MailboxConfig(capacity=1, overflow=Overflow.WAIT)
    ref = actor_system.start(RecordingActor, (log,), options=StartOptions(mailbox=mailbox))

    def work(start: int) -> None:
        for number in range(start, start + 100):
            assert ref.ask(number) == number

    await asyncio.gather(*(asyncio.to_thread(work, start) for start in (0, 1_000, 2_000)))

    assert len(log) == 300
