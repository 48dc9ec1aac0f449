"""How actors stop: by wish, by time, by kill."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import (
    AbandonedError,
    ActorCrashedError,
    ActorStoppingError,
    SelfStopError,
)
from actors.runtime.ref import Mode
from actors.runtime.system import ActorSystem
from actors.testing import ManualClock, TestProbe, settle
from protocols.control import ActorState, DeadLetterReason, ExitReason
from tests.runtime.conftest import cell_of
from tests.support.actors import BlockedActor, Echo, RecordingActor, UncancellableActor

if TYPE_CHECKING:
    from actors.runtime.ref import ActorRef


@pytest.mark.conformance("R12")
async def test_stop_runs_on_stop_once_and_returns_when_it_has_finished(actor_system: ActorSystem) -> None:
    gate = asyncio.Event()
    log: list[str] = []

    class SlowEnd(AsyncioActor):
        async def on_stop(self) -> None:
            await gate.wait()
            log.append("on_stop")

    ref = actor_system.start(SlowEnd)
    first, second = ref.stop(), ref.stop()
    await settle()
    assert not first.done()
    assert not second.done()
    gate.set()

    assert await first is True
    assert await second is True
    assert await ref.stop() is False
    assert log == ["on_stop"]
    assert ref.state is ActorState.STOPPED


@pytest.mark.conformance("R13")
@pytest.mark.parametrize("mode", ["drain", "now"])
async def test_a_stopping_actor_refuses_everything_at_once(actor_system: ActorSystem, mode: Mode) -> None:
    log: list[Any] = []
    ref = actor_system.start(BlockedActor, (log,))
    ref.tell("running")
    await settle()
    stopping = ref.stop(mode=mode)

    with pytest.raises(ActorStoppingError, match=r"BlockedActor \(urn:uuid:[-0-9a-f]+, stopping\) not found"):
        ref.tell("tell")
    with pytest.raises(ActorStoppingError):
        await ref.ask("ask")
    with pytest.raises(ActorStoppingError):
        await ref.send("send")
    with pytest.raises(ActorStoppingError):
        await asyncio.to_thread(ref.tell, "thread")
    with pytest.raises(ActorStoppingError):
        await asyncio.to_thread(ref.ask, "thread")
    await settle()

    assert [letter.message for letter in actor_system.dead_letters] == ["tell", "ask", "send", "thread", "thread"]
    assert actor_system.dead_letters.counts == {DeadLetterReason.DEAD: 5}
    actor = cell_of(ref).actor
    assert isinstance(actor, BlockedActor)
    actor.gate.set()
    await stopping


@pytest.mark.conformance("R14")
async def test_drain_handles_everything_accepted_before_in_order(actor_system: ActorSystem) -> None:
    log: list[Any] = []
    gate = asyncio.Event()
    ref = actor_system.start(BlockedActor, (log, gate))
    asks = [ref.ask(number) for number in range(200)]
    stopped = ref.stop()
    gate.set()
    await stopped

    assert [await ask for ask in asks] == list(range(200))
    assert [number for what, number in log[:-1] if what == "end"] == list(range(200))
    assert log[-1] == "on_stop"


@pytest.mark.conformance("R15")
async def test_now_lets_the_running_handler_finish_and_drops_the_rest(actor_system: ActorSystem) -> None:
    log: list[Any] = []
    gate = asyncio.Event()
    ref = actor_system.start(BlockedActor, (log, gate))
    running = ref.ask("running")
    waiting = [ref.ask(number) for number in range(400)]
    ref.tell("told")
    await settle()

    stopped = ref.stop(mode="now")
    await settle()
    assert all(isinstance(ask.exception(), ActorStoppingError) for ask in waiting)
    assert not stopped.done()
    gate.set()

    assert await stopped is True
    assert await running == "running"
    assert log == [("begin", "running"), ("end", "running"), "on_stop"]
    assert actor_system.dead_letters.counts == {DeadLetterReason.STOPPED: 401}


@pytest.mark.conformance("R15")
async def test_now_after_drain_hurries_the_end(actor_system: ActorSystem) -> None:
    log: list[Any] = []
    gate = asyncio.Event()
    ref = actor_system.start(BlockedActor, (log, gate))
    asks = [ref.ask(number) for number in range(3)]
    await settle()
    drained = ref.stop()
    hurried = ref.stop(mode="now")
    gate.set()

    assert await drained is True
    assert await hurried is True
    assert await asks[0] == 0
    assert all(isinstance(ask.exception(), ActorStoppingError) for ask in asks[1:])


@pytest.mark.conformance("R16")
async def test_a_handler_is_cancelled_when_the_stop_timeout_passes(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    log: list[Any] = []
    ref = actor_system.start(BlockedActor, (log,))
    running, queued = ref.ask("running", timeout=None), ref.ask("queued", timeout=None)
    await settle()
    stopped = ref.stop(timeout=5)
    await manual_clock.advance(4.9)
    assert not stopped.done()
    await manual_clock.advance(0.1)

    assert await stopped is True
    assert log == [("begin", "running"), ("cancelled", "running"), "on_stop"]
    with pytest.raises(ActorCrashedError, match="was stopped while it handled the message"):
        await running
    with pytest.raises(ActorStoppingError):
        await queued
    assert manual_clock.pending == 0


@pytest.mark.conformance("R16", "R69")
async def test_a_told_message_whose_handler_was_cancelled_by_a_stop_is_a_dead_letter(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    release = asyncio.Event()
    gated, stubborn = actor_system.start(BlockedActor, ([],)), actor_system.start(UncancellableActor, (release,))
    gated.tell("cancelled")
    stubborn.tell("cut loose")
    await settle()
    stopped = [ref.stop(timeout=1) for ref in (gated, stubborn)]
    await manual_clock.advance(1 + actor_system.config.grace)
    assert all(each.done() for each in stopped)

    letters = [(letter.message, letter.reason, type(letter.cause)) for letter in actor_system.dead_letters]
    assert letters == [("cancelled", "failed", ActorCrashedError), ("cut loose", "failed", AbandonedError)]
    release.set()
    await settle()


@pytest.mark.conformance("R16", "R104")
async def test_a_handler_that_ignores_its_cancellation_is_cut_loose_after_the_grace(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    release = asyncio.Event()
    probe = TestProbe(actor_system)
    ref = actor_system.start(UncancellableActor, (release, lambda: probe.ref.tell("from the grave")), name="stubborn")
    running = ref.ask("running", timeout=None)
    await settle()
    stopped = ref.stop(timeout=5)
    await manual_clock.advance(5)
    assert not stopped.done()
    await manual_clock.advance(actor_system.config.grace)

    assert await stopped is True
    with pytest.raises(AbandonedError):
        await running
    assert cell_of(ref).abandoned_turns == 1
    release.set()
    await probe.expect_none()
    assert actor_system.dead_letters.counts[DeadLetterReason.FENCED] == 1


@pytest.mark.conformance("R16")
async def test_an_on_stop_that_hangs_is_cut_loose(actor_system: ActorSystem, manual_clock: ManualClock) -> None:
    release = asyncio.Event()

    class HangsInOnStop(AsyncioActor):
        async def on_stop(self) -> None:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue

    ref = actor_system.start(HangsInOnStop, name="hangs")
    stopped = ref.stop(timeout=5)
    await manual_clock.advance(5)
    await manual_clock.advance(actor_system.config.grace)

    assert stopped.done()
    assert ref.state is ActorState.STOPPED
    assert actor_system.get("hangs") is None
    release.set()
    await settle()
    assert manual_clock.pending == 0


@pytest.mark.conformance("R17")
async def test_a_handler_that_waits_for_its_own_stop_is_refused_and_the_stop_happens(actor_system: ActorSystem) -> None:
    class StopsItself(AsyncioActor):
        async def on_receive(self, message: object) -> object:
            try:
                await self.actor_ref.stop(block=False)
            except SelfStopError as error:
                return error.chain
            return None

    ref = actor_system.start(StopsItself, name="self")

    assert await ref.ask("go") == ("self", "self")
    assert await ref.stop() in {True, False}
    assert ref.state is ActorState.STOPPED


@pytest.mark.conformance("R17")
async def test_stopping_an_actor_that_waits_for_this_handler_is_refused(actor_system: ActorSystem) -> None:
    class Inner(AsyncioActor):
        async def on_receive(self, message: ActorRef[Any]) -> object:
            try:
                await message.stop()
            except SelfStopError as error:
                return error.chain
            return None

    inner = actor_system.start(Inner, name="inner")

    class Outer(AsyncioActor):
        async def on_receive(self, message: object) -> object:
            return await inner.ask(self.actor_ref)

    outer = actor_system.start(Outer, name="outer")

    assert await outer.ask("go") == ("outer", "inner", "outer")


async def test_an_actor_may_ask_for_its_own_stop_without_waiting(actor_system: ActorSystem) -> None:
    log: list[Any] = []

    class StopsItself(RecordingActor):
        def on_receive(self, message: Any) -> Any:
            self.stop()
            return super().on_receive(message)

    ref = actor_system.start(StopsItself, (log,))
    first, second = ref.ask(1), ref.ask(2)
    await settle()

    assert await first == 1
    assert await second == 2
    assert log == [1, 2, "on_stop"]


@pytest.mark.conformance("R18")
async def test_a_stopped_actor_can_be_watched_stopped_and_killed_again(actor_system: ActorSystem) -> None:
    ref = actor_system.start(Echo)
    probe = TestProbe(actor_system)
    await ref.stop()

    await probe.watch(ref)
    assert await ref.stop() is False
    assert await ref.kill() is False

    assert (await probe.expect_terminated(ref)).reason is ExitReason.ALREADY_DEAD
    await probe.expect_none()


@pytest.mark.conformance("R34", "R35")
@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
@pytest.mark.parametrize("late", [False, True])
async def test_a_failing_on_stop_runs_once_and_the_stop_completes(
    actor_system: ActorSystem, kind: type[BaseException], late: bool, caplog: pytest.LogCaptureFixture
) -> None:
    runs: list[int] = []
    bystander = actor_system.start(Echo)

    class FailsAtTheEnd(AsyncioActor):
        async def on_stop(self) -> None:
            runs.append(1)
            if late:
                await asyncio.sleep(0)
            raise kind("no")

    ref = actor_system.start(FailsAtTheEnd, name="ending")

    assert await ref.stop() is True
    assert runs == [1]
    assert actor_system.get("ending") is None
    assert "a hook failed" in caplog.text
    if kind not in (SystemExit, KeyboardInterrupt):  # these two end the system, in order
        assert await bystander.ask("still here") == "still here"


@pytest.mark.conformance("R28")
async def test_stop_all_stops_the_others_and_names_the_one_that_is_stuck(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    release = asyncio.Event()
    others = [actor_system.start(Echo) for _ in range(3)]
    actor_system.start(UncancellableActor, (release,), name="stuck").tell("go")
    await settle()

    stopping = asyncio.create_task(actor_system.stop_all(timeout=2))
    await manual_clock.advance(2)
    assert not any(other.is_alive() for other in others)
    await manual_clock.advance(actor_system.config.grace)

    assert await stopping == ["stuck"]
    assert actor_system.actors() == []
    release.set()
    await settle()


@pytest.mark.conformance("R27")
async def test_an_actor_that_starts_another_in_on_stop_leaves_none_behind() -> None:
    system = ActorSystem("ending")
    tried: list[BaseException] = []

    class Breeds(AsyncioActor):
        async def on_stop(self) -> None:
            try:
                self.system.start(Echo)
            except Exception as error:
                tried.append(error)
                raise

    system.start(Breeds)
    await system.close()

    assert system.actors() == []
    assert [type(error).__name__ for error in tried] == ["RuntimeClosedError"]
