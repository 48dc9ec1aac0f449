"""What belongs to one incarnation: its timers, its tasks, its stash."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import StashOverflowError
from actors.runtime.options import SystemConfig
from actors.runtime.system import ActorSystem
from actors.testing import ManualClock, settle
from tests.runtime.conftest import StartChild, cell_of
from tests.support.actors import RecordingActor

if TYPE_CHECKING:
    from actors.runtime.ref import ActorRef


@pytest.mark.conformance("R68")
async def test_a_timer_of_one_incarnation_never_reaches_the_next(
    actor_system: ActorSystem, start_child: StartChild, manual_clock: ManualClock
) -> None:
    log: list[Any] = []

    class Timed(RecordingActor):
        def on_start(self) -> None:
            self.schedule(5, f"once {self._actor_cell.incarnation}")
            self.schedule(2, f"often {self._actor_cell.incarnation}", interval=2)

    ref: ActorRef[Any] = start_child(Timed, log)
    await manual_clock.advance(3)
    ref.tell(ValueError("crash"))
    await manual_clock.advance(6)

    assert ref.incarnation == 2
    assert log == ["often 1", "on_failure", "often 2", "often 2", "once 2", "often 2"]


@pytest.mark.conformance("R68")
async def test_a_task_of_one_incarnation_is_cancelled_and_its_outcome_never_reaches_the_next(
    start_child: StartChild,
) -> None:
    log: list[Any] = []
    work: list[asyncio.Future[str]] = []

    class Pipes(RecordingActor):
        def on_start(self) -> None:
            work.append(asyncio.get_running_loop().create_future())
            self.pipe_to_self(asyncio.shield(work[-1]), lambda result, error: ("piped", result))
            self.create_task(asyncio.Event().wait())

    ref = start_child(Pipes, log)
    await settle()
    ref.tell(ValueError("crash"))
    await settle()
    work[0].set_result("of the first life")
    work[1].set_result("of the second life")
    await settle()

    assert log == ["on_failure", ("piped", "of the second life")]


async def test_pipe_to_self_brings_results_and_errors_as_messages(actor_system: ActorSystem) -> None:
    log: list[Any] = []

    async def works() -> str:
        return "done"

    async def fails() -> None:
        raise LookupError("no")

    class Pipes(RecordingActor):
        def on_receive(self, message: Any) -> Any:
            if message == "go":
                self.pipe_to_self(works(), lambda result, error: (result, error))
                self.pipe_to_self(fails(), lambda result, error: (result, type(error)))
                return None
            return super().on_receive(message)

    await actor_system.start(Pipes, (log,)).ask("go")
    await settle()

    assert sorted(log, key=repr) == [("done", None), (None, LookupError)]


async def test_a_task_that_fails_is_reported_and_crashes_nobody(
    actor_system: ActorSystem, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails() -> None:
        raise LookupError("no such table")

    class Starts(AsyncioActor):
        def on_receive(self, message: Any) -> None:
            self.create_task(fails())

    ref = actor_system.start(Starts)
    await ref.ask("go")
    await settle()

    assert ref.is_alive()
    assert "a task of an actor failed" in caplog.text


async def test_a_timer_can_be_withdrawn_and_none_is_left_at_the_end(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    log: list[Any] = []

    class Timed(RecordingActor):
        def on_start(self) -> None:
            self.schedule(1, "withdrawn").cancel()
            self.schedule(1, "kept")
            self.schedule(100, "too late")

    ref = actor_system.start(Timed, (log,))
    await manual_clock.advance(1)
    await ref.stop()

    assert log == ["kept", "on_stop"]
    assert manual_clock.pending == 0


@pytest.mark.parametrize(
    ("delay", "interval"),
    [(-1, None), ("1", None), (None, None), (float("nan"), None), (1, 0), (1, -1), (1, float("nan"))],
)
async def test_a_timer_that_makes_no_sense_is_refused(actor_system: ActorSystem, delay: Any, interval: Any) -> None:
    class Timed(AsyncioActor):
        def on_receive(self, message: Any) -> None:
            with pytest.raises(ValueError, match=r"(delay|interval) must be .*seconds"):
                self.schedule(delay, "never", interval=interval)

    await actor_system.start(Timed).ask("go")


@pytest.mark.conformance("R117")
async def test_an_interval_fires_once_after_a_long_suspend_not_in_a_burst(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    log: list[Any] = []

    class Timed(RecordingActor):
        def on_start(self) -> None:
            self.schedule(1, "tick", interval=1)

    actor_system.start(Timed, (log,))
    await settle()
    manual_clock.suspend(3_600)
    await manual_clock.advance(0)
    assert log == ["tick"]
    await manual_clock.advance(1)
    assert log == ["tick", "tick"]


@pytest.mark.conformance("R99")
async def test_a_stash_is_bounded_and_comes_back_in_order_ahead_of_new_mail() -> None:
    log: list[Any] = []
    full: list[Any] = []

    class Stashes(AsyncioActor):
        def on_receive(self, message: Any) -> Any:
            if message == "open":
                self.unstash()
                self.is_open = True
            elif getattr(self, "is_open", False):
                log.append(message)
            else:
                try:
                    self.stash()
                except StashOverflowError as error:
                    full.append(str(error))
            return message

    async with ActorSystem("small", config=SystemConfig(stash=3)) as system:
        ref = system.start(Stashes)
        asks = [ref.ask(number) for number in range(4)]
        ref.tell("open")
        ref.tell("new")
        await settle()

        assert log == [0, 1, 2, "new"]
        assert full == ["actor Stashes: the stash is full (3 messages)"]
        assert [await ask for ask in asks] == [0, 1, 2, 3]
        assert cell_of(ref).accepted == cell_of(ref).handled == 9  # three of them twice


@pytest.mark.conformance("R72")
async def test_a_crash_while_stashed_mail_waits_keeps_it_for_the_next_incarnation(start_child: StartChild) -> None:
    log: list[Any] = []

    class Stashes(AsyncioActor):
        def on_receive(self, message: Any) -> None:
            if self._actor_cell.incarnation == 1 and isinstance(message, int):
                self.stash()
            elif isinstance(message, BaseException):
                raise message
            else:
                log.append(message)

    ref = start_child(Stashes)
    for message in (1, 2, ValueError("no"), 3):
        ref.tell(message)
    await settle()

    assert log == [1, 2, 3]
