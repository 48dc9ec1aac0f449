"""How actors start: what a starter gets, and what is left when it fails."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import (
    ActorStartError,
    ActorStoppingError,
    AlreadyStartedError,
    IgnoreStart,
    RuntimeClosedError,
    StartTimeoutError,
)
from actors.runtime.options import StartOptions, SystemConfig
from actors.runtime.system import ActorSystem
from actors.testing import ManualClock, TestProbe, settle
from protocols.control import ActorState, DeadLetterReason
from tests.support.actors import Echo, SlowStart

if TYPE_CHECKING:
    from actors.runtime.ref import ActorRef
    from tests.runtime.conftest import StartChild


class Failing(AsyncioActor):
    def __init__(self, error: BaseException, *, late: bool = False) -> None:
        super().__init__()
        self.error = error
        self.late = late

    async def on_start(self) -> None:
        if self.late:
            await asyncio.sleep(0)
        raise self.error


@pytest.mark.conformance("R1")
async def test_ready_returns_a_ref_that_answers_when_on_start_has_run(actor_system: ActorSystem) -> None:
    gate = asyncio.Event()
    ref = actor_system.start(SlowStart, (gate,))
    ready = ref.ready()
    await settle()
    assert not ready.done()
    assert ref.state is ActorState.STARTING

    gate.set()

    assert await ready == ref
    assert await ref.ask("hello") == "hello"


@pytest.mark.conformance("R1")
async def test_an_actor_without_on_start_runs_as_soon_as_it_is_started(actor_system: ActorSystem) -> None:
    ref = actor_system.start(Echo)

    assert ref.state is ActorState.RUNNING
    assert await ref.ready() == ref


@pytest.mark.conformance("R2")
@pytest.mark.parametrize("late", [False, True])
async def test_a_failing_on_start_reaches_the_starter_with_its_cause(actor_system: ActorSystem, late: bool) -> None:
    cause = LookupError("no such table")
    ref = actor_system.start(lambda: Failing(cause, late=late), name="broken")

    with pytest.raises(ActorStartError, match="broken could not start: LookupError: no such table") as caught:
        await ref.ready()

    assert caught.value.__cause__ is cause
    assert not ref.is_alive()
    assert actor_system.actors() == []


@pytest.mark.conformance("R2")
async def test_a_failing_constructor_raises_at_once_and_leaves_nothing(actor_system: ActorSystem) -> None:
    def factory() -> AsyncioActor:
        raise LookupError("no such table")

    with pytest.raises(LookupError):
        actor_system.start(factory, name="broken")

    assert actor_system.actors() == []
    assert actor_system.get("broken") is None


@pytest.mark.conformance("R3")
@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit])
@pytest.mark.parametrize("late", [False, True])
async def test_a_base_exception_in_on_start_ends_the_actor_and_fails_what_was_sent(
    actor_system: ActorSystem, kind: type[BaseException], late: bool
) -> None:
    ref = actor_system.start(lambda: Failing(kind(), late=late), name="broken")
    queued = ref.ask("queued", timeout=None)

    with pytest.raises(ActorStartError):
        await ref.ready()

    with pytest.raises(ActorStoppingError):
        await queued
    assert not ref.is_alive()
    assert actor_system.get("broken") is None


@pytest.mark.conformance("R4")
async def test_on_start_is_cancelled_when_it_takes_longer_than_its_timeout(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    log: list[Any] = []
    options = StartOptions(name="slow", start_timeout=5)
    ref = actor_system.start(SlowStart, (asyncio.Event(), log), options=options)
    ready = ref.ready()

    await manual_clock.advance(4.9)
    assert not ready.done()
    await manual_clock.advance(0.1)

    with pytest.raises(StartTimeoutError, match=r"on_start took longer than 5 s"):
        await ready
    assert log == ["cancelled"]
    assert actor_system.get("slow") is None
    assert manual_clock.pending == 0


@pytest.mark.conformance("R4")
async def test_an_on_start_that_ignores_its_cancellation_is_cut_loose(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    release = asyncio.Event()

    class Deaf(AsyncioActor):
        async def on_start(self) -> None:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue

    ref = actor_system.start(Deaf, options=StartOptions(name="deaf", start_timeout=5))
    ready = ref.ready()
    await manual_clock.advance(5)
    for _ in range(3):
        await manual_clock.advance(actor_system.config.grace)

    with pytest.raises(ActorStartError):
        await ready
    assert not ref.is_alive()
    assert actor_system.get("deaf") is None
    release.set()
    await settle()


@pytest.mark.conformance("R6")
async def test_a_name_in_use_is_refused_and_its_holder_untouched(actor_system: ActorSystem) -> None:
    first = actor_system.start(Echo, name="till")

    with pytest.raises(AlreadyStartedError, match="'till' is taken") as caught:
        actor_system.start(Echo, name="till")

    assert caught.value.ref == first
    assert actor_system.get("till") == first
    assert await first.ask(1) == 1
    assert actor_system.actors() == [first]


@pytest.mark.conformance("R7")
@pytest.mark.parametrize("late", [False, True])
async def test_a_name_is_free_after_each_of_100_failing_starts(actor_system: ActorSystem, late: bool) -> None:
    for _ in range(100):
        ref = actor_system.start(lambda: Failing(ValueError("no"), late=late), name="till")
        with pytest.raises(ActorStartError):
            await ref.ready()

    assert await actor_system.start(Echo, name="till").ask(1) == 1


@pytest.mark.conformance("R8")
async def test_a_starter_that_is_cancelled_ends_the_half_started_actor(actor_system: ActorSystem) -> None:
    log: list[Any] = []
    ref = actor_system.start(SlowStart, (asyncio.Event(), log), name="slow")

    async def starter() -> None:
        await ref.ready()

    task = asyncio.create_task(starter())
    await settle()
    task.cancel()
    await settle()

    assert log == ["cancelled"]
    assert not ref.is_alive()
    assert actor_system.get("slow") is None


@pytest.mark.conformance("R9")
async def test_nothing_starts_in_a_closed_system(actor_system: ActorSystem) -> None:
    async with ActorSystem("short") as system:
        pass

    with pytest.raises(RuntimeClosedError, match="system short"):
        system.start(Echo, name="late")
    with pytest.raises(RuntimeClosedError):
        await asyncio.to_thread(system.start, Echo)

    assert system.actors() == []


@pytest.mark.conformance("R10")
async def test_a_factory_runs_at_the_start_not_at_the_first_message(actor_system: ActorSystem) -> None:
    made: list[int] = []

    def factory() -> AsyncioActor:
        made.append(1)
        return Echo()

    ref = actor_system.start(factory)

    assert made == [1]
    assert await ref.ask("same object") == "same object"
    assert made == [1]


@pytest.mark.conformance("R11")
async def test_what_is_sent_while_on_start_runs_is_handled_after_it_in_order(actor_system: ActorSystem) -> None:
    log: list[Any] = []
    gate = asyncio.Event()
    ref = actor_system.start(SlowStart, (gate, log))
    for number in range(5):
        ref.tell(number)
    last = ref.ask("last")
    await settle()
    assert log == []

    gate.set()
    await last

    assert log == ["started", 0, 1, 2, 3, 4, "last"]


@pytest.mark.conformance("R11")
async def test_a_ref_given_away_in_the_constructor_takes_messages(actor_system: ActorSystem) -> None:
    log: list[Any] = []

    class GivesItselfAway(AsyncioActor):
        def __init__(self) -> None:
            super().__init__()
            self.actor_ref.tell("early")

        def on_start(self) -> None:
            log.append("started")

        def on_receive(self, message: Any) -> None:
            log.append(message)

    actor_system.start(GivesItselfAway)
    await settle()

    assert log == ["started", "early"]


@pytest.mark.conformance("R11")
async def test_what_was_sent_to_a_start_that_fails_is_dead_and_its_asks_fail(actor_system: ActorSystem) -> None:
    gate = asyncio.Event()

    class FailsLater(AsyncioActor):
        async def on_start(self) -> None:
            await gate.wait()
            raise ValueError("no")

    ref = actor_system.start(FailsLater)
    ref.tell("told")
    asked = ref.ask("asked")
    gate.set()

    with pytest.raises(ActorStoppingError):
        await asked
    assert [(letter.message, letter.reason) for letter in actor_system.dead_letters] == [
        ("told", DeadLetterReason.STOPPED),
        ("asked", DeadLetterReason.STOPPED),
    ]


@pytest.mark.conformance("R5")
async def test_a_start_that_is_ignored_leaves_no_actor_and_is_no_crash(actor_system: ActorSystem) -> None:
    class Nothing(AsyncioActor):
        def on_start(self) -> None:
            raise IgnoreStart

    probe = TestProbe(actor_system)
    ref = actor_system.start(Nothing, name="nothing")
    await probe.watch(ref)
    await settle()

    assert actor_system.get("nothing") is None
    assert not ref.is_alive()


async def test_a_child_whose_start_failed_is_told_to_its_parent(start_child: StartChild, parent: ActorRef[Any]) -> None:
    ref = start_child(lambda: Failing(ValueError("no")))
    with pytest.raises(ActorStartError):
        await ref.ready()

    await settle()

    assert [reason for _, reason in await parent.proxy().ended_children] == ["start_failed"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("ask_timeout", 0), ("start_timeout", -1), ("stop_timeout", 0), ("grace", 0), ("dead_letters", 0), ("stash", 0)],
)
def test_a_system_refuses_limits_that_make_no_sense(field: str, value: float) -> None:
    options: dict[str, Any] = {field: value}
    with pytest.raises(ValueError, match=field):
        SystemConfig(**options)


@pytest.mark.parametrize(("field", "value"), [("name", " "), ("start_timeout", 0), ("max_concurrency", 0)])
def test_start_options_that_make_no_sense_are_refused(field: str, value: object) -> None:
    options: dict[str, Any] = {field: value}
    with pytest.raises(ValueError, match=field):
        StartOptions(**options)


async def test_what_cannot_make_an_actor_is_refused_by_name(actor_system: ActorSystem) -> None:
    wrong: Any = 42
    with pytest.raises(ActorStartError, match="cannot start 42"):
        actor_system.start(wrong)
