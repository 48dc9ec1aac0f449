"""Turns: one handler at a time, cancelled handlers, handlers that are cut loose, fairness."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import time
import weakref
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import AbandonedError, ActorStoppingError
from actors.runtime.options import StartOptions
from actors.testing import ManualClock, TestProbe, settle
from protocols.control import ActorState, DeadLetterReason
from protocols.events import HandlerAbandoned
from tests.runtime.conftest import StartChild, cell_of
from tests.support.actors import BlockedActor, Echo, RecordingActor, UncancellableActor

if TYPE_CHECKING:
    from actors.runtime.system import ActorSystem

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="nothing")


class Overlap(AsyncioActor):
    """Counts how many of its handlers run at once."""

    def __init__(self, gate: asyncio.Event) -> None:
        super().__init__()
        self.gate = gate
        self.now = 0
        self.most = 0

    async def on_receive(self, message: Any) -> Any:
        self.now += 1
        self.most = max(self.most, self.now)
        await self.gate.wait()
        self.now -= 1
        return message


@pytest.mark.conformance("R94")
@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_no_more_handlers_run_at_once_than_declared(actor_system: ActorSystem, limit: int) -> None:
    gate = asyncio.Event()
    ref = actor_system.start(Overlap, (gate,), options=StartOptions(max_concurrency=limit))
    asks = [ref.ask(number) for number in range(10)]
    await settle()
    assert cell_of(ref).turns is not None
    gate.set()

    assert [await ask for ask in asks] == list(range(10))
    assert await ref.proxy().most == min(limit, 10)


@pytest.mark.conformance("R14", "R94")
async def test_a_reentrant_actor_drains_before_it_ends(actor_system: ActorSystem) -> None:
    gate = asyncio.Event()
    ref = actor_system.start(Overlap, (gate,), options=StartOptions(max_concurrency=3))
    asks = [ref.ask(number) for number in range(10)]
    await settle()
    stopped = ref.stop()
    gate.set()

    assert await stopped is True
    assert [await ask for ask in asks] == list(range(10))


@pytest.mark.conformance("R40")
async def test_a_crash_in_a_reentrant_actor_cancels_its_other_handlers_and_keeps_its_mail(
    start_child: StartChild,
) -> None:
    gate = asyncio.Event()

    class Reentrant(Overlap):
        async def on_receive(self, message: Any) -> Any:
            if isinstance(message, BaseException):
                raise message
            return await super().on_receive(message)

    ref = start_child(Reentrant, gate, max_concurrency=2)
    running = ref.ask("running", timeout=None)
    await settle()
    broken, queued = ref.ask(ValueError("no"), timeout=None), ref.ask("queued", timeout=None)
    await settle()
    gate.set()

    with pytest.raises(ValueError, match="no"):
        await broken
    assert await queued == "queued"
    assert ref.incarnation == 2
    with pytest.raises(Exception):  # noqa: B017, PT011 - it was cancelled with its incarnation
        await running


@pytest.mark.conformance("R103")
async def test_the_cleanup_of_a_cancelled_handler_runs_and_the_actor_goes_on(actor_system: ActorSystem) -> None:
    log: list[str] = []

    class Cleans(AsyncioActor):
        async def on_receive(self, message: Any) -> Any:
            if message == "next":
                return "answered"
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                log.append("cleaned up")

    ref = actor_system.start(Cleans)
    asked = ref.ask("go")
    await settle()
    asked.cancel()

    assert await ref.ask("next") == "answered"
    assert log == ["cleaned up"]
    assert cell_of(ref).failed == 1


@pytest.mark.conformance("R103")
async def test_an_asyncio_timeout_in_a_handler_works_and_is_its_own(actor_system: ActorSystem) -> None:
    class TimesOut(AsyncioActor):
        async def on_receive(self, message: Any) -> str:
            try:
                async with asyncio.timeout(0):
                    await asyncio.Event().wait()
            except TimeoutError:
                return "timed out"
            return "never"

    ref = actor_system.start(TimesOut)

    assert await ref.ask(1) == "timed out"
    assert await ref.ask(2) == "timed out"


@pytest.mark.conformance("R103")
async def test_cancellations_of_one_handler_never_reach_the_next(actor_system: ActorSystem) -> None:
    log: list[Any] = []
    gate = asyncio.Event()
    refs = [actor_system.start(BlockedActor, (log, gate)) for _ in range(5)]
    for _ in range(20):
        asks = [ref.ask("cancelled") for ref in refs]
        await settle()
        for ask in asks:
            ask.cancel()
    gate.set()

    assert [await ref.ask("answered") for ref in refs] == ["answered"] * 5


@pytest.mark.conformance("R104")
async def test_a_waiting_handler_that_ignores_its_cancellation_is_cut_loose_and_the_actor_restarts(
    actor_system: ActorSystem, start_child: StartChild, manual_clock: ManualClock
) -> None:
    release = asyncio.Event()
    probe = TestProbe(actor_system)
    seen: list[Any] = []
    actor_system.events.subscribe(seen.append, [HandlerAbandoned])
    ref = start_child(lambda: UncancellableActor(release, lambda: probe.ref.tell("from the grave")), name="stubborn")
    asked = ref.ask("go", timeout=5)
    await manual_clock.advance(5)
    assert asked.done()
    waiting = ref.ask("next", timeout=None)
    await manual_clock.advance(2 * actor_system.config.grace)

    assert ref.incarnation == 2
    assert [(event.actor, event.message_type) for event in seen] == [("stubborn", "str")]
    assert actor_system.tree()[0].children[0].abandoned == 1
    release.set()
    assert await waiting == "next"
    await probe.expect("from the grave")  # that of the second life; the first one's was fenced
    await probe.expect_none()
    assert actor_system.dead_letters.counts[DeadLetterReason.FENCED] == 1
    assert actor_system.late_replies == 1


@pytest.mark.conformance("R104")
async def test_what_a_fenced_handler_asks_is_refused(actor_system: ActorSystem, manual_clock: ManualClock) -> None:
    release = asyncio.Event()
    echo = actor_system.start(Echo)
    outcome: list[Any] = []

    class AsksLate(AsyncioActor):
        async def on_receive(self, message: Any) -> None:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue
            try:
                outcome.append(await echo.ask("from the grave"))
            except Exception as error:
                outcome.append(error)
                raise

    ref = actor_system.start(AsksLate)
    asked = ref.ask("go", timeout=1)
    await manual_clock.advance(1 + 3 * actor_system.config.grace)
    assert asked.done()
    release.set()
    await settle()

    assert ref.state is ActorState.STOPPED
    assert isinstance(cell_of(ref).cause, AbandonedError)
    assert len(outcome) == 1
    assert isinstance(outcome[0], Exception)


@pytest.mark.conformance("R104")
@pytest.mark.parametrize("listens", [True, False])
async def test_an_on_failure_that_hangs_does_not_keep_the_next_incarnation(
    start_child: StartChild, manual_clock: ManualClock, actor_system: ActorSystem, listens: bool
) -> None:
    release = asyncio.Event()

    class Hangs(RecordingActor):
        async def on_failure(self, *_: object) -> None:  # type: ignore[override] # Pykka has a plain def
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    if listens:
                        raise

    ref = start_child(Hangs, [])
    error = ValueError("no")
    ref.tell(error)
    asked = ref.ask("next life", timeout=None)
    await manual_clock.advance(actor_system.config.stop_timeout)
    assert asked.done() is listens
    await manual_clock.advance(2 * actor_system.config.grace)

    assert await asked == "next life"
    assert ref.incarnation == 2
    release.set()
    await settle()
    assert await ref.ask("still") == "still"
    assert manual_clock.pending == 1  # the deadline lane of the last ask


async def test_a_context_variable_set_in_a_handler_reaches_no_other(actor_system: ActorSystem) -> None:
    class Sets(AsyncioActor):
        async def on_receive(self, message: Any) -> str:
            before = variable.get()
            variable.set(message)
            await asyncio.sleep(0)
            assert variable.get() == message
            return before

    ref = actor_system.start(Sets)
    variable.set("the caller's")

    assert [await ref.ask(str(number)) for number in range(3)] == ["nothing"] * 3
    assert variable.get() == "the caller's"


async def test_log_context_goes_along_and_nothing_else_does(actor_system: ActorSystem) -> None:
    class Looks(AsyncioActor):
        async def on_receive(self, message: Any) -> Any:
            return structlog.contextvars.get_contextvars(), variable.get()

    ref = actor_system.start(Looks)
    variable.set("left behind")
    with structlog.contextvars.bound_contextvars(run_id="r1"):
        assert await ref.ask(1) == ({"run_id": "r1"}, "nothing")
        assert await asyncio.to_thread(ref.ask, 1) == ({"run_id": "r1"}, "nothing")
    assert await ref.ask(1) == ({}, "nothing")


@pytest.mark.conformance("R111")
async def test_the_garbage_collector_takes_no_waiting_handler_and_no_task_of_an_actor(
    actor_system: ActorSystem,
) -> None:
    log: list[Any] = []
    gates: list[weakref.ref[asyncio.Future[None]]] = []

    class Waits(AsyncioActor):
        async def on_receive(self, message: Any) -> None:
            self.create_task(self.beside())
            await self.wait("handler")

        async def beside(self) -> None:
            await self.wait("task")

        async def wait(self, what: str) -> None:
            gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            gates.append(weakref.ref(gate))
            await gate
            log.append(what)

    actor_system.start(Waits).tell("go")
    await settle()
    gc.collect()
    for weak in gates:
        gate = weak()
        assert gate is not None
        gate.set_result(None)
    await settle()

    assert sorted(log) == ["handler", "task"]


@pytest.mark.conformance("R89", "R101")
async def test_a_flood_to_one_actor_keeps_neither_the_others_nor_the_loop_waiting(actor_system: ActorSystem) -> None:
    order: list[Any] = []

    class Floods(AsyncioActor):
        def on_receive(self, message: int) -> None:
            order.append("flood")
            self.actor_ref.tell(message)

    class Other(AsyncioActor):
        def on_receive(self, message: Any) -> Any:
            order.append("other")
            return message

    flood, other = actor_system.start(Floods), actor_system.start(Other)
    for number in range(1_000):
        flood.tell(number)
    for _ in range(50):
        begun = len(order)
        await other.ask("ping")
        assert order[begun:].count("flood") <= 5_000
    assert flood.is_alive()
    await flood.kill()


@pytest.mark.conformance("R96")
async def test_a_kill_goes_before_ten_thousand_messages(actor_system: ActorSystem) -> None:
    log: list[Any] = []
    ref = actor_system.start(RecordingActor, (log,))
    for number in range(9_999):
        ref.tell(number)
    await ref.kill()

    assert log == []
    with pytest.raises(ActorStoppingError):
        ref.tell("late")


@pytest.mark.conformance("R96")
async def test_a_crash_is_decided_before_the_mail_that_waits(start_child: StartChild) -> None:
    log: list[Any] = []
    ref = start_child(RecordingActor, log)
    ref.tell(ValueError("no"))
    for number in range(5_000):
        ref.tell(number)
    await settle()

    assert log[0] == "on_failure"
    assert len(log) == 5_001
    assert ref.incarnation == 2


@pytest.mark.conformance("R117")
async def test_a_jump_of_the_wall_clock_moves_no_deadline(
    actor_system: ActorSystem, manual_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = actor_system.start(BlockedActor, ([],)).ask("go", timeout=5)
    await settle()
    for jump in (3_600, -3_600):
        monkeypatch.setattr(time, "time", lambda jump=jump: jump)
        await manual_clock.advance(2)
        assert not asked.done()
    await manual_clock.advance(1)
    assert asked.done()
