"""The probe records, waits, answers and watches."""

import asyncio

import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.system import ActorSystem
from actors.testing import TestProbe
from actors.testing import probe as probe_module
from protocols.control import ExitReason


async def test_a_probe_gives_what_came_in_order(actor_system: ActorSystem) -> None:
    probe = TestProbe(actor_system)
    probe.ref.tell(1)
    probe.ref.tell("two")

    assert await probe.receive(int) == 1
    await probe.expect("two")
    await probe.expect_none()
    assert list(probe.received) == [1, "two"]


async def test_a_probe_waits_for_a_message_that_a_thread_sends(actor_system: ActorSystem) -> None:
    probe = TestProbe(actor_system)
    sending = asyncio.create_task(asyncio.to_thread(probe.ref.tell, "from a thread"))

    await probe.expect("from a thread")
    await sending


async def test_a_probe_says_what_it_got_instead(actor_system: ActorSystem) -> None:
    probe = TestProbe(actor_system, name="till")
    probe.ref.tell("wrong")
    probe.ref.tell("left")

    with pytest.raises(AssertionError, match=r"'till'.* expected 'right' and got 'wrong'"):
        await probe.expect("right")
    with pytest.raises(AssertionError, match="expected nothing and got 'left'"):
        await probe.expect_none()
    with pytest.raises(AssertionError, match="expected a int and got 'left'"):
        await probe.receive(int)


async def test_a_probe_that_gets_nothing_says_so(actor_system: ActorSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_module, "_PATIENCE", 0.0)

    with pytest.raises(AssertionError, match="waited for a int and got none"):
        await TestProbe(actor_system).receive(int)


async def test_an_ask_waits_for_the_answer_that_the_test_gives(actor_system: ActorSystem) -> None:
    probe = TestProbe(actor_system)
    good, bad = probe.ref.ask("a"), probe.ref.ask("b")

    await probe.reply(42)
    await probe.reply(LookupError("no"))

    assert await good == 42
    with pytest.raises(LookupError):
        await bad
    with pytest.raises(AssertionError, match="no ask"):
        await probe.reply("nobody")


async def test_a_probe_with_an_answer_answers_at_once(actor_system: ActorSystem) -> None:
    probe = TestProbe(actor_system, answer=lambda message: message * 2)

    assert await probe.ref.ask(21) == 42


async def test_a_probe_watches(actor_system: ActorSystem) -> None:
    probe = TestProbe(actor_system)
    seen, unseen = actor_system.start(AsyncioActor), actor_system.start(AsyncioActor)
    await probe.watch(seen)
    await probe.watch(unseen)
    await probe.unwatch(unseen)

    await unseen.stop()
    await seen.stop()

    assert (await probe.expect_terminated(seen)).reason is ExitReason.NORMAL
    await probe.expect_none()


async def test_a_probe_knows_who_sent(actor_system: ActorSystem) -> None:
    probe = TestProbe(actor_system)

    class Sender(AsyncioActor):
        def on_receive(self, message: object) -> None:
            probe.ref.tell(message)

    sender = actor_system.start(Sender)
    sender.tell("hello")
    await probe.expect("hello")

    assert probe.senders[-1] == sender


def test_a_probe_needs_a_place_to_live() -> None:
    with pytest.raises(RuntimeError, match="TestProbe\\(system\\)"):
        TestProbe()
