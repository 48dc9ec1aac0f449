from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.death_watch import watch
from actors.runtime.errors import ActorStoppingError, MailboxFullError, Reject
from actors.runtime.mailbox import MailboxConfig
from actors.runtime.options import StartOptions
from actors.testing import settle
from protocols.control import DeadLetterReason, Terminated
from tests.contracts.mailbox_kinds import CONFIGS, KEYED, ListMailbox, every_mailbox

if TYPE_CHECKING:
    from actors.runtime.envelope import Envelope
    from actors.runtime.ref import ActorRef
    from actors.runtime.system import ActorSystem


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
    assert actor_system.dead_letters.counts == {DeadLetterReason.STOPPED: 10_000, DeadLetterReason.FAILED: 1}


@every_mailbox
@pytest.mark.conformance("R77", "R97")
async def test_the_news_of_an_end_reaches_a_full_mailbox_after_what_was_there(
    actor_system: ActorSystem, name: str
) -> None:
    log: list[Any] = []
    gate = asyncio.Event()
    watched = actor_system.start(AsyncioActor)
    ref = await stuck(actor_system, CONFIGS[name](2), log, gate)
    watch(ref._cell, watched._cell)  # pyright: ignore[reportPrivateUsage]
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
async def test_an_ask_that_loses_its_place_fails_at_once_or_waits(actor_system: ActorSystem, name: str) -> None:
    log: list[Any] = []
    ref = await stuck(actor_system, CONFIGS[name](2), log)
    asks = [ref.ask((1, number), timeout=None) for number in range(4)]
    await settle()

    failed = [ask for ask in asks if ask.done()]
    assert len(failed) == (0 if "wait" in name else 4 - ref.statistics().depth)
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


@pytest.mark.conformance("R95")
async def test_every_message_that_was_taken_is_acknowledged_once_when_it_is_settled(actor_system: ActorSystem) -> None:
    settled: list[Any] = []

    class Counting(ListMailbox):
        def ack(self, envelope: Envelope) -> None:
            settled.append(envelope.message)

    class Works(AsyncioActor):
        async def on_receive(self, message: str) -> None:
            if message == "waits":
                await asyncio.sleep(0)
            if message == "fails":
                raise Reject(message)

    ref = actor_system.start(Works, options=StartOptions(mailbox=MailboxConfig(factory=Counting)))
    for message in ("waits", "fails", "returns"):
        ref.tell(message)
    await settle()
    ref.tell("lost")
    await ref.kill()

    assert settled == ["waits", "fails", "returns", "lost"]
