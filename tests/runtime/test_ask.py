"""Asks: every one of them ends, with a value, an error or a timeout."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import ActorRestartingError, ActorStoppingError, AskCycleError, AskTimeoutError
from actors.runtime.lifecycle import revive
from actors.runtime.options import StartOptions
from actors.runtime.ref import ActorRef
from actors.testing import ManualClock, TestProbe, settle
from protocols.control import DeadLetterReason, ExitReason
from tests.runtime.conftest import cell_of
from tests.support.actors import Asks, BlockedActor, Echo, RecordingActor

if TYPE_CHECKING:
    from actors.runtime.cell import Cell
    from actors.runtime.system import ActorSystem


@pytest.mark.conformance("R81")
async def test_an_ask_to_a_dead_actor_fails_at_once(actor_system: ActorSystem) -> None:
    ref = actor_system.start(Echo)
    await ref.stop()

    asked = ref.ask(1, timeout=None)

    assert isinstance(asked.exception(), ActorStoppingError)


@pytest.mark.conformance("R82")
async def test_an_ask_ends_at_its_deadline_and_its_late_reply_is_counted_and_dropped(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    probe = TestProbe(actor_system)
    first = probe.ref.ask("first", timeout=5)
    await manual_clock.advance(4.9)
    assert not first.done()
    await manual_clock.advance(0.1)
    with pytest.raises(AskTimeoutError, match="did not answer str before its deadline"):
        await first

    second = probe.ref.ask("second", timeout=5)
    await probe.reply("for the first")  # comes too late, and must not be taken for the second's
    await probe.reply("for the second")

    assert await second == "for the second"
    assert len(actor_system.deadlines) == 0


@pytest.mark.conformance("R82")
async def test_a_handler_that_answers_after_its_asker_has_gone_is_a_late_reply(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    class AnswersAnyway(AsyncioActor):
        async def on_receive(self, message: Any) -> Any:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return "late"

    ref = actor_system.start(AnswersAnyway)
    asked = ref.ask("go", timeout=5)
    await manual_clock.advance(5)

    assert isinstance(asked.exception(), AskTimeoutError)
    assert actor_system.late_replies == 1
    assert ref.is_alive()


@pytest.mark.conformance("R83")
@pytest.mark.parametrize("how", ["timeout", "cancel"])
async def test_queued_work_that_nobody_waits_for_is_not_started(
    actor_system: ActorSystem, manual_clock: ManualClock, how: str
) -> None:
    log: list[Any] = []
    gate = asyncio.Event()
    ref = actor_system.start(BlockedActor, (log, gate))
    ref.tell("first")
    asks = [ref.ask(number, timeout=5) for number in range(10)]
    await settle()

    if how == "timeout":
        await manual_clock.advance(5)
    else:
        for ask in asks:
            ask.cancel()
    gate.set()
    await settle()

    assert log == [("begin", "first"), ("end", "first")]
    reason = DeadLetterReason.EXPIRED if how == "timeout" else DeadLetterReason.CANCELLED
    assert actor_system.dead_letters.counts == {reason: 10}
    cell = cell_of(ref)
    assert (cell.accepted, cell.handled, cell.dead) == (11, 1, 10)


@pytest.mark.conformance("R83", "R103")
@pytest.mark.parametrize("how", ["timeout", "cancel", "wait_for"])
async def test_running_work_that_nobody_waits_for_is_cancelled_and_the_actor_lives_on(
    actor_system: ActorSystem, manual_clock: ManualClock, how: str
) -> None:
    log: list[Any] = []
    ref = actor_system.start(BlockedActor, (log,))

    async def caller() -> Any:
        return await ref.ask("go", timeout=5 if how == "timeout" else None)

    task = asyncio.create_task(caller())
    await settle()
    if how == "timeout":
        await manual_clock.advance(5)
    else:
        task.cancel()
    await settle()

    assert log == [("begin", "go"), ("cancelled", "go")]
    assert ref.is_alive()
    with pytest.raises(asyncio.CancelledError if how != "timeout" else AskTimeoutError):
        await task
    assert manual_clock.pending == 0 or how != "timeout"


@pytest.mark.conformance("R84")
async def test_an_actor_that_asks_itself_is_refused_at_once(actor_system: ActorSystem) -> None:
    ref = actor_system.start(Asks, name="me")
    await ref.ask(ref)

    with pytest.raises(AskCycleError, match="me -> me") as caught:
        await ref.ask("go", timeout=None)

    assert caught.value.chain == ("me", "me")


@pytest.mark.conformance("R85")
@pytest.mark.parametrize("size", [2, 3, 10])
async def test_a_ring_of_asks_is_refused_at_once_naming_the_chain(actor_system: ActorSystem, size: int) -> None:
    ring = [actor_system.start(lambda: Asks(timeout=None), name=f"a{n}") for n in range(size)]
    for number, ref in enumerate(ring):
        await ref.ask(ring[(number + 1) % size])

    with pytest.raises(AskCycleError) as caught:
        await ring[0].ask("go", timeout=None)

    assert caught.value.chain == (*(f"a{n}" for n in range(size)), "a0")
    assert [await ref.stop() for ref in ring]


@pytest.mark.conformance("R85")
async def test_a_ring_that_starts_with_a_tell_is_refused_as_well(actor_system: ActorSystem) -> None:
    one = actor_system.start(lambda: Asks(timeout=None), name="one")
    two = actor_system.start(lambda: Asks(one, timeout=None), name="two")
    await one.ask(two)
    probe = TestProbe(actor_system)
    await probe.watch(one)

    one.tell("go")

    assert isinstance((await probe.expect_terminated(one)).cause, AskCycleError)


@pytest.mark.conformance("R85")
async def test_a_reentrant_actor_may_be_asked_in_a_ring(actor_system: ActorSystem) -> None:
    class Reentrant(AsyncioActor):
        def __init__(self, other: list[ActorRef[Any]]) -> None:
            super().__init__()
            self.other = other

        async def on_receive(self, message: int) -> int:
            return message if message == 0 else await self.other[0].ask(message - 1)

    others: list[ActorRef[Any]] = []
    ref = actor_system.start(Reentrant, (others,), options=StartOptions(max_concurrency=10))
    others.append(ref)

    assert await ref.ask(5) == 0


async def test_two_actors_that_ask_each_other_in_turn_are_no_ring(actor_system: ActorSystem) -> None:
    echo = actor_system.start(Echo)
    one = actor_system.start(Asks, (echo,))

    assert await asyncio.gather(*(one.ask(n) for n in range(5))) == list(range(5))


@pytest.mark.conformance("R87")
async def test_an_ask_has_a_finite_deadline_unless_none_is_spelled_out(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    probe = TestProbe(actor_system)
    default, for_ever = probe.ref.ask("default"), probe.ref.ask("for ever", timeout=None)

    await manual_clock.advance(actor_system.config.ask_timeout)
    assert isinstance(default.exception(), AskTimeoutError)
    await manual_clock.advance(1_000_000)
    assert not for_ever.done()
    for_ever.cancel()


@pytest.mark.conformance("R87")
async def test_an_actor_class_sets_the_deadline_of_asks_to_it(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    class Patient(BlockedActor):
        ask_timeout = 300.0

    ask = actor_system.start(Patient, ([],)).ask("go")
    await manual_clock.advance(299)
    assert not ask.done()
    await manual_clock.advance(1)
    assert isinstance(ask.exception(), AskTimeoutError)


@pytest.mark.conformance("R90")
async def test_a_timeout_around_many_asks_is_for_the_whole_call(actor_system: ActorSystem) -> None:
    log: list[Any] = []
    refs = [actor_system.start(BlockedActor, (log,)) for _ in range(3)]

    async def everything() -> None:
        await asyncio.gather(*(ref.ask("go", timeout=None) for ref in refs))

    waiting = asyncio.create_task(everything())
    await settle()
    waiting.cancel()
    await settle()

    assert waiting.cancelled()
    assert [what for what, _ in log] == ["begin"] * 3 + ["cancelled"] * 3


async def test_mapped_joined_and_reduced_futures_pass_values_errors_and_cancellation(actor_system: ActorSystem) -> None:
    echo, log = actor_system.start(Echo), list[Any]()
    gated = actor_system.start(BlockedActor, (log,))

    assert await echo.ask(20, block=False).map(lambda n: n + 1) == 21
    assert await echo.ask(1, block=False).join(echo.ask(2), echo.ask(3)) == [1, 2, 3]
    assert await echo.ask([1, 2, 3, 4], block=False).filter(lambda n: n % 2 == 0) == [2, 4]
    assert await echo.ask([1, 2, 3], block=False).reduce(lambda a, b: a + b, 10) == 16
    with pytest.raises(ZeroDivisionError):
        await echo.ask(0, block=False).map(lambda n: 1 / n)

    mapped = gated.ask("go", block=False).map(lambda n: n)
    await settle()
    mapped.cancel()
    await settle()
    assert log == [("begin", "go"), ("cancelled", "go")]


@pytest.mark.conformance("R92")
async def test_messages_and_replies_go_by_reference(actor_system: ActorSystem) -> None:
    message = ["mutable"]

    assert await actor_system.start(Echo).ask(message) is message


@pytest.mark.conformance("R71")
async def test_an_ask_while_the_actor_restarts_is_served_by_the_next_incarnation(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    held: list[Cell] = []

    class Holds(AsyncioActor):
        def holds(self, child: Cell, reason: ExitReason) -> bool:
            held.append(child)
            return True

        stops_together = False

        def ended(self, event: Any) -> None: ...

        def resumes(self, child: Cell, error: BaseException) -> bool:
            return False

        def in_start_order(self, children: tuple[Cell, ...]) -> tuple[Cell, ...]:
            return children

        def on_start(self) -> None:
            self._actor_cell.supervision = self

    parent = actor_system.start(Holds)
    ref = actor_system.start(RecordingActor, ([],), options=StartOptions(parent=cell_of(parent)))
    ref.tell(ValueError("no"))
    await settle()
    patient, hasty = ref.ask("patient", timeout=10), ref.ask("hasty", timeout=1)
    await manual_clock.advance(1)
    with pytest.raises(ActorRestartingError):
        await hasty

    revive(held[0])

    assert await patient == "patient"


@pytest.mark.parametrize("timeout", [-1, float("nan"), "soon", True])
async def test_a_timeout_that_is_no_time_is_refused_before_anything_is_sent(
    actor_system: ActorSystem, timeout: Any
) -> None:
    log: list[Any] = []
    ref = actor_system.start(RecordingActor, (log,))
    with pytest.raises(ValueError, match="seconds >= 0"):
        ref.ask(1, timeout=timeout)
    with pytest.raises(ValueError, match="seconds >= 0"):
        await asyncio.to_thread(ref.ask, 1, timeout=timeout)
    await settle()

    assert log == []


async def test_a_timeout_of_zero_ends_an_ask_that_cannot_be_answered_at_once(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    asked = actor_system.start(BlockedActor, ([],)).ask("go", timeout=0)
    await manual_clock.advance(0)

    assert isinstance(asked.exception(), AskTimeoutError)


async def test_an_ask_that_nobody_awaits_causes_no_warning(actor_system: ActorSystem) -> None:
    ref = actor_system.start(RecordingActor, ([],))
    asked = ref.ask(ValueError("no"))
    assert inspect.isawaitable(asked)
    await settle()
    del asked
