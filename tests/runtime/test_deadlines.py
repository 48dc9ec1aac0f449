"""Deadlines of nested asks: they end with the ask that is handled, whoever waits for them."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.deadline import Deadlines
from actors.runtime.errors import AskTimeoutError
from actors.runtime.options import StartOptions
from actors.runtime.ref import ActorRef
from actors.runtime.system import ActorSystem
from actors.testing import ManualClock, settle
from tests.support.actors import Asks, BlockedActor


@pytest.mark.conformance("R88")
@pytest.mark.parametrize("depth", [1, 3])
async def test_whoever_gave_the_time_is_told_first_however_late_its_timer_is(
    depth: int, actor_system: ActorSystem, manual_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = Deadlines._sweep  # pyright: ignore[reportPrivateUsage]

    def late(*args: Any) -> None:
        manual_clock.call_later(1, sweep, *args)

    monkeypatch.setattr(Deadlines, "_sweep", late)
    log: list[Any] = []
    ref: ActorRef[Any] = actor_system.start(BlockedActor, (log,))
    for place in range(depth):
        ref = actor_system.start(Asks, (ref,), options=StartOptions(name=f"asks{place}"))

    asked = ref.ask("go", timeout=2)
    await manual_clock.advance(3)

    with pytest.raises(AskTimeoutError, match=f"^actor asks{depth - 1} did not answer") as caught:
        await asked
    assert not caught.value.is_rest
    assert log == [("begin", "go"), ("cancelled", "go")]


@pytest.mark.conformance("R88")
async def test_a_nested_ask_does_not_outlive_the_outer_one(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    log: list[Any] = []
    inner = actor_system.start(BlockedActor, (log,))
    outer = actor_system.start(lambda: Asks(inner, timeout=10))
    asked = outer.ask("go", timeout=2)
    await manual_clock.advance(1.9)
    assert not asked.done()
    await manual_clock.advance(0.1)

    assert isinstance(asked.exception(), AskTimeoutError)
    assert log == [("begin", "go"), ("cancelled", "go")]


class Leaves(AsyncioActor):
    """Asks another actor, does not wait for the answer, and hands its own reply on before or after that."""

    def __init__(self, how: str, other: ActorRef[Any], kept: list[Any]) -> None:
        super().__init__()
        self.how = how
        self.other = other
        self.kept = kept

    def on_receive(self, message: Any) -> Any:
        reply = self.take_reply() if self.how.startswith("first") else None
        self.kept.append(self.other.ask(message))
        if self.how == "stash" and len(self.kept) == 1:
            self.stash()
        elif "reply" in self.how:
            reply = reply or self.take_reply()
            assert reply is not None
            if "forward" in self.how:
                self.other.forward("handed on", reply)
            else:
                self.kept.append(reply)


@pytest.mark.conformance("R88")
@pytest.mark.parametrize("how", ["answer", "reply", "first reply", "reply forward", "first reply forward", "stash"])
async def test_an_ask_that_its_handler_leaves_behind_ends_with_the_time_of_that_handler(
    how: str, actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    kept: list[Any] = []
    blocked: ActorRef[Any] = actor_system.start(BlockedActor, ([],))
    ref = actor_system.start(Leaves, (how, blocked, kept))

    asked = ref.ask("go", timeout=2)
    await manual_clock.advance(1.9)
    assert not kept[0].done()
    await manual_clock.advance(0.1)

    assert isinstance(kept[0].exception(), AskTimeoutError)
    assert how in ("answer", "stash") or isinstance(asked.exception(), AskTimeoutError)
    assert len(actor_system.deadlines) == 0


@pytest.mark.conformance("R88")
async def test_a_nested_ask_with_less_time_keeps_its_own(actor_system: ActorSystem, manual_clock: ManualClock) -> None:
    inner = actor_system.start(BlockedActor, ([],))
    outer = actor_system.start(lambda: Asks(inner, timeout=1))
    asked = outer.ask("go", timeout=5)
    await manual_clock.advance(1)

    error = asked.exception()
    assert isinstance(error, AskTimeoutError)
    assert "actor BlockedActor did not answer" in str(error)


class Stubborn(AsyncioActor):
    """Asks another actor once more after its own asker has given up."""

    def __init__(self, other: ActorRef[Any], kept: list[Any]) -> None:
        super().__init__()
        self.other = other
        self.kept = kept

    async def on_receive(self, message: Any) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        self.kept.append(self.other.ask(message))


@pytest.mark.conformance("R88")
async def test_an_ask_made_after_the_asker_gave_up_ends_with_its_time_all_the_same(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    kept: list[Any] = []
    blocked: ActorRef[Any] = actor_system.start(BlockedActor, ([],))
    asked = actor_system.start(Stubborn, (blocked, kept)).ask("go", timeout=2)
    await settle()
    asked.cancel()
    await settle()
    assert not kept[0].done()

    await manual_clock.advance(2)

    assert isinstance(kept[0].exception(), AskTimeoutError)
    assert len(actor_system.deadlines) == 0
