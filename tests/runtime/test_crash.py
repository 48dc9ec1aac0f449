"""What a crash does: to the asker, to the actor, to the bystanders, to the loop."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import ActorCrashedError, ActorStoppingError, Reject, UnhandledMessageError
from actors.runtime.system import ActorSystem
from actors.testing import TestProbe, settle
from protocols.control import ActorState, DeadLetterReason, ExitReason
from protocols.events import ActorCrashed
from tests.runtime.conftest import StartChild, cell_of
from tests.support.actors import Echo, RecordingActor

if TYPE_CHECKING:
    from actors.runtime.ref import ActorRef


class Raises(AsyncioActor):
    """Raises what it is sent, at once or after a wait."""

    def __init__(self, *, late: bool = False) -> None:
        super().__init__()
        self.late = late

    async def on_receive(self, message: Any) -> Any:
        if self.late:
            await asyncio.sleep(0)
        if isinstance(message, BaseException):
            raise message
        return message


class RaisesAtOnce(AsyncioActor):
    def on_receive(self, message: Any) -> Any:
        if isinstance(message, BaseException):
            raise message
        return message


KINDS: list[Any] = [Raises, RaisesAtOnce, lambda: Raises(late=True)]


@pytest.mark.conformance("R31")
@pytest.mark.parametrize("factory", KINDS)
async def test_the_asker_gets_the_original_exception_at_once_with_a_note(
    actor_system: ActorSystem, factory: Any
) -> None:
    error = LookupError("no such row")
    ref = actor_system.start(factory, name="rows")

    with pytest.raises(LookupError) as caught:
        await ref.ask(error, timeout=None)

    assert caught.value is error
    assert error.__notes__ == ["raised by actor rows while handling LookupError"]


@pytest.mark.conformance("R32")
@pytest.mark.parametrize("factory", KINDS)
async def test_the_fate_of_the_actor_is_the_same_for_tell_and_ask(actor_system: ActorSystem, factory: Any) -> None:
    told, asked = actor_system.start(factory), actor_system.start(factory)
    probe = TestProbe(actor_system)
    await probe.watch(told)
    await probe.watch(asked)

    told.tell(ValueError("told"))
    one = await probe.expect_terminated(told)
    with pytest.raises(ValueError, match="asked"):
        await asked.ask(ValueError("asked"))
    other = await probe.expect_terminated(asked)

    assert one.reason is other.reason is ExitReason.CRASH
    assert isinstance(one.cause, ValueError)
    assert told.state is asked.state is ActorState.STOPPED


@pytest.mark.conformance("R33")
@pytest.mark.parametrize("factory", KINDS)
async def test_a_rejection_goes_to_the_asker_and_the_actor_lives_on(actor_system: ActorSystem, factory: Any) -> None:
    class NoMoney(Reject):
        pass

    ref = actor_system.start(factory)

    with pytest.raises(NoMoney, match="5 left"):
        await ref.ask(NoMoney("5 left"))
    ref.tell(NoMoney("told"))

    assert await ref.ask("still here") == "still here"
    assert actor_system.dead_letters.counts == {DeadLetterReason.REJECTED: 1}


@pytest.mark.conformance("R37")
async def test_an_unknown_message_goes_to_the_asker_or_to_dead_letters_and_the_actor_lives_on(
    actor_system: ActorSystem,
) -> None:
    ref = actor_system.start(AsyncioActor, name="deaf")

    with pytest.raises(UnhandledMessageError, match=r"actor deaf .* has no handler for int"):
        await ref.ask(1)
    ref.tell(2)
    await settle()

    assert ref.is_alive()
    assert [(letter.message, letter.reason) for letter in actor_system.dead_letters] == [
        (2, DeadLetterReason.UNHANDLED)
    ]


class Unspeakable:
    """A message that cannot be written down."""

    def __repr__(self) -> str:
        raise RuntimeError("no words")


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.conformance("R38")
@pytest.mark.parametrize("message", [Unspeakable(), "x" * 10_000_000])
async def test_a_crash_on_a_message_that_cannot_be_written_down_is_still_a_crash(
    actor_system: ActorSystem, start_child: StartChild, message: Any
) -> None:
    class Chokes(AsyncioActor):
        def on_receive(self, message: Any) -> None:
            raise ValueError(message)

    ref = start_child(Chokes)
    ref.tell(message)
    await settle()

    assert ref.incarnation == 2
    assert len(str(actor_system.tree())) < 10_000


@pytest.mark.conformance("R38")
@pytest.mark.parametrize("error", [UnspeakableError(), ValueError("x" * 10_000_000), ValueError(Unspeakable())])
async def test_an_error_that_cannot_be_written_down_is_still_a_crash(
    actor_system: ActorSystem, start_child: StartChild, error: Exception
) -> None:
    seen: list[Any] = []
    actor_system.events.subscribe(seen.append, [ActorCrashed])
    ref = start_child(Raises)
    ref.tell(error)
    await settle()

    assert ref.incarnation == 2
    assert [event.error_type for event in seen] == [type(error).__name__]
    assert len(seen[0].error) <= 500
    assert len(str(actor_system.tree())) < 10_000


@pytest.mark.conformance("R39")
async def test_a_crash_is_reported_exactly_once_and_a_normal_end_never(
    actor_system: ActorSystem, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Any] = []
    actor_system.events.subscribe(seen.append, [ActorCrashed])
    await actor_system.start(Echo).stop()
    await actor_system.start(Echo).stop(mode="now")
    assert seen == []

    actor_system.start(Raises, name="broken").tell(ValueError("no"))
    await settle()

    assert [(event.actor, event.error_type, event.error, event.message_type) for event in seen] == [
        ("broken", "ValueError", "no", "ValueError")
    ]
    crashes = [record for record in caplog.records if "crashed" in record.getMessage()]
    assert len(crashes) == 1
    assert crashes[0].levelno == logging.ERROR


@pytest.mark.conformance("R40", "R105", "R106")
@pytest.mark.parametrize("factory", KINDS)
@pytest.mark.parametrize(
    "error",
    [ValueError, asyncio.CancelledError, GeneratorExit, MemoryError, RecursionError, BaseException, StopIteration],
)
async def test_any_kind_of_exception_is_a_crash_of_that_actor_alone(
    actor_system: ActorSystem, factory: Any, error: type[BaseException]
) -> None:
    bystander, ref = actor_system.start(Echo), actor_system.start(factory)
    beside = asyncio.create_task(asyncio.Event().wait())

    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one is looked at below
        await ref.ask(error(), timeout=None)
    await settle()

    assert isinstance(caught.value, ActorCrashedError if not issubclass(error, Exception) else (error, RuntimeError))
    assert ref.state is ActorState.STOPPED
    assert await bystander.ask("still here") == "still here"
    assert not beside.done()
    beside.cancel()


@pytest.mark.conformance("R105")
@pytest.mark.parametrize("factory", KINDS)
@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
async def test_an_exit_answers_its_asker_and_ends_the_system_in_order(factory: Any, error: type[BaseException]) -> None:
    log: list[Any] = []
    system = ActorSystem("ending")
    bystander = system.start(RecordingActor, (log,))
    ref = system.start(factory)
    bystander.tell(1)

    with pytest.raises(ActorCrashedError) as caught:
        await ref.ask(error(3), timeout=None)
    await settle()

    assert isinstance(caught.value.__cause__, error)
    assert isinstance(system.exit_reason, error)
    assert log == [1, "on_stop"]
    assert system.is_closed


@pytest.mark.conformance("R91")
@pytest.mark.parametrize("factory", [RaisesAtOnce, Raises])
async def test_a_stop_iteration_is_a_runtime_error_for_the_asker(actor_system: ActorSystem, factory: Any) -> None:
    ref = actor_system.start(factory)

    with pytest.raises(RuntimeError, match="StopIteration"):
        await ref.ask(StopIteration(5), timeout=None)


@pytest.mark.conformance("R106")
async def test_a_handler_that_recurses_for_ever_crashes_its_actor_only(actor_system: ActorSystem) -> None:
    class Recurses(AsyncioActor):
        def on_receive(self, message: Any) -> Any:
            return self.on_receive(message)

    bystander, ref = actor_system.start(Echo), actor_system.start(Recurses)

    with pytest.raises(RecursionError):
        await ref.ask(1)
    assert await bystander.ask(1) == 1


@pytest.mark.conformance("R66")
async def test_what_waits_behind_a_crash_without_a_supervisor_is_dead_and_asks_fail(actor_system: ActorSystem) -> None:
    ref = actor_system.start(RaisesAtOnce)
    ref.tell(ValueError("first"))
    ref.tell("told")
    asked = ref.ask("asked")

    with pytest.raises(ActorStoppingError):
        await asked
    await settle()

    cell = cell_of(ref)
    assert (cell.accepted, cell.handled, cell.failed, cell.dead) == (3, 0, 1, 2)
    assert [letter.reason for letter in actor_system.dead_letters] == ["failed", "stopped", "stopped"]


async def test_on_failure_runs_instead_of_on_stop_and_may_wait(actor_system: ActorSystem) -> None:
    log: list[Any] = []

    class Ends(RecordingActor):
        async def on_failure(self, *args: Any) -> None:  # type: ignore[override] # Pykka has a plain def
            await asyncio.sleep(0)
            self.log.append(args[:2])

    error = ValueError("no")
    ref = actor_system.start(Ends, (log,))
    ref.tell(error)
    await settle()

    assert log == [(ValueError, error)]


@pytest.mark.conformance("R36")
async def test_an_on_failure_that_fails_itself_stops_nothing(
    actor_system: ActorSystem, start_child: StartChild
) -> None:
    class FailsTwice(Raises):
        def on_failure(self, exception_type: Any, exception_value: Any, traceback: Any) -> None:
            raise SystemError("again")

    ref = start_child(FailsTwice)
    ref.tell(ValueError("no"))

    assert await ref.ask("next life") == "next life"
    assert ref.incarnation == 2


@pytest.mark.parametrize("error", [ExceptionGroup("many", [ValueError("a"), KeyError("b")])])
async def test_an_exception_group_reaches_the_asker_whole(actor_system: ActorSystem, error: Exception) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        await actor_system.start(Raises).ask(error)

    assert caught.value is error


async def test_an_error_after_the_asker_has_gone_is_a_crash_all_the_same(actor_system: ActorSystem) -> None:
    gate = asyncio.Event()

    class FailsLate(AsyncioActor):
        async def on_receive(self, message: object) -> None:
            try:
                await gate.wait()
            except asyncio.CancelledError:
                raise ValueError("on the way out") from None

    ref = actor_system.start(FailsLate)
    asked = ref.ask("go")
    await settle()
    asked.cancel()
    await settle()

    assert ref.state is ActorState.STOPPED
    assert isinstance(cell_of(ref).cause, ValueError)


async def test_fail_reply_answers_with_an_error_without_crashing(actor_system: ActorSystem) -> None:
    class Refuses(AsyncioActor):
        def on_receive(self, message: object) -> None:
            self.fail_reply(LookupError(str(message)))

    ref = actor_system.start(Refuses)
    with pytest.raises(LookupError, match="asked"):
        await ref.ask("asked")
    ref.tell("told")
    await settle()

    assert ref.is_alive()
    assert [(letter.message, letter.reason) for letter in actor_system.dead_letters] == [("told", "failed")]


@pytest.mark.conformance("R105")
def test_an_exit_in_a_handler_does_not_tear_down_the_loop() -> None:
    async def main() -> str:
        system = ActorSystem("ending")
        ref: ActorRef[Any] = system.start(RaisesAtOnce)
        ref.tell(SystemExit(7))
        await settle()
        return "main went on"

    assert asyncio.run(main()) == "main went on"
