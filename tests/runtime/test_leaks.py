"""Nothing is left behind: not by restarts, timeouts, cancellations, abandoned handlers, starts and stops."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import ActorStartError, AskTimeoutError, MailboxFullError, Reject
from actors.runtime.system import ActorSystem
from actors.testing import Census, ManualClock, settle
from tests.runtime.conftest import StartChild, cell_of
from tests.support.actors import BlockedActor, Echo, RecordingActor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from actors.runtime.ref import ActorRef

LIMIT = 300.0
"""Real seconds before the guard of this folder takes a test to hang."""

TIMES = [pytest.param(1_000, id="1,000"), pytest.param(10_000, id="10,000", marks=pytest.mark.soak)]
MEGABYTE = 1024 * 1024
WARM_UP = 1_000
"""Fills the ring of dead letters."""


async def crash(ref: ActorRef[Any]) -> None:
    """Crash an actor and wait for its next life."""
    ref.tell(ValueError("no"))
    await ref.ask("alive")


def memory() -> int:
    """Return the resident memory of this process after a collection, in bytes."""
    gc.collect()
    return int(psutil.Process().memory_info().rss)


def counts(system: ActorSystem, clock: ManualClock) -> dict[str, int]:
    """Return the sizes of everything in a system that could grow."""
    return {
        "actors": len(system.cells),
        "names": len(system._names),  # pyright: ignore[reportPrivateUsage]
        "deadlines": len(system.deadlines),
        "timers": clock.pending,
        "tasks": len(asyncio.all_tasks()),
        "belongings": sum(len(cell.belongings or ()) for cell in system.cells),
        "watchers": sum(len(cell.watchers or ()) for cell in system.cells),
        "turns": sum(len(cell.turns or ()) for cell in system.cells),
        "mail": sum(len(cell.mailbox) for cell in system.cells),
    }


async def repeat(times: int, action: Callable[[], Awaitable[object]], system: ActorSystem, clock: ManualClock) -> None:
    """Do something often; after a warm-up nothing may have grown by it."""
    for _ in range(WARM_UP):
        await action()
    await clock.advance(60)
    before, census = counts(system, clock), Census.take()
    grown = [await growth(times, action, clock)]
    while min(grown) >= 5 * MEGABYTE and len(grown) < 3:  # the allocator takes new arenas now and then, a leak always
        grown.append(await growth(times, action, clock))

    assert counts(system, clock) == before
    assert [leak for leak in census.leaks() if leak.startswith(("thread", "file"))] == []  # tasks were counted
    assert min(grown) < 5 * MEGABYTE


async def growth(times: int, action: Callable[[], Awaitable[object]], clock: ManualClock) -> int:
    """Return by how many bytes the memory grows when something is done so often."""
    before = memory()
    for _ in range(times):
        await action()
    await clock.advance(60)
    return memory() - before


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Log records of ten thousand crashes are no leak of the engine."""
    caplog.set_level("CRITICAL", logger="understage")


@pytest.mark.conformance("R116")
@pytest.mark.parametrize("times", TIMES)
async def test_restarts_leave_nothing_behind(
    actor_system: ActorSystem, manual_clock: ManualClock, start_child: StartChild, times: int
) -> None:
    class Busy(RecordingActor):
        def on_start(self) -> None:
            self.schedule(1_000, "never", interval=1_000)
            self.create_task(asyncio.Event().wait())
            self.watch(watched)

        def on_receive(self, message: Any) -> Any:
            if isinstance(message, BaseException):
                raise message

        def on_failure(self, exception_type: Any, exception_value: Any, traceback: Any) -> None: ...

    watched = actor_system.start(Echo)
    ref = start_child(Busy, [])

    await repeat(times, lambda: crash(ref), actor_system, manual_clock)

    assert ref.incarnation > times + WARM_UP


@pytest.mark.conformance("R116")
@pytest.mark.parametrize("times", TIMES)
async def test_asks_that_time_out_leave_nothing_behind(
    actor_system: ActorSystem, manual_clock: ManualClock, times: int
) -> None:
    class Sleeps(AsyncioActor):
        async def on_receive(self, message: Any) -> None:
            await asyncio.Event().wait()

    ref = actor_system.start(Sleeps)

    async def ask() -> None:
        running, queued = ref.ask("running", timeout=1), ref.ask("queued", timeout=1)
        await manual_clock.advance(1)
        for asked in (running, queued):
            assert isinstance(asked.exception(), AskTimeoutError)

    await repeat(times, ask, actor_system, manual_clock)


@pytest.mark.conformance("R116")
@pytest.mark.parametrize("times", TIMES)
async def test_asks_that_are_cancelled_leave_nothing_behind(
    actor_system: ActorSystem, manual_clock: ManualClock, times: int
) -> None:
    ref = actor_system.start(BlockedActor, ([],))
    actor = cell_of(ref).actor
    assert isinstance(actor, BlockedActor)

    async def ask() -> None:
        actor.log.clear()
        asks = [ref.ask(number, timeout=None) for number in range(2)]
        await asyncio.sleep(0)
        for asked in asks:
            asked.cancel()
        await settle()

    await repeat(times, ask, actor_system, manual_clock)


@pytest.mark.conformance("R116")
@pytest.mark.parametrize("times", TIMES)
async def test_starts_stops_and_failing_starts_leave_nothing_behind(
    actor_system: ActorSystem, manual_clock: ManualClock, times: int
) -> None:
    class Fails(AsyncioActor):
        async def on_start(self) -> None:
            await asyncio.sleep(0)
            raise ValueError("no")

    async def start() -> None:
        ref = actor_system.start(Echo, name="till")
        assert ref.actor_urn
        await ref.ask(1)
        await ref.stop()
        with pytest.raises(ActorStartError):
            await actor_system.start(Fails, name="broken").ready()

    await repeat(times, start, actor_system, manual_clock)


@pytest.mark.conformance("R116")
@pytest.mark.parametrize("times", TIMES)
async def test_handlers_that_were_cut_loose_leave_nothing_behind_once_they_end(
    actor_system: ActorSystem, manual_clock: ManualClock, start_child: StartChild, times: int
) -> None:
    releases: list[asyncio.Event] = []

    class Deaf(AsyncioActor):
        async def on_receive(self, message: Any) -> Any:
            if message != "stick":
                return message
            releases.append(asyncio.Event())
            release = releases[-1]
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue
            return message

    ref = start_child(Deaf)

    async def cut_loose() -> None:
        ref.ask("stick", timeout=1)
        await manual_clock.advance(1 + 2 * actor_system.config.grace)
        assert await ref.ask("alive") == "alive"
        releases.pop().set()
        await settle()

    await repeat(times // 10, cut_loose, actor_system, manual_clock)


class MarkedError(Exception):
    """An error that can be found again in memory."""


class MarkedRefusal(MarkedError, Reject):  # noqa: N818 - as Reject
    """The same for an error that is no crash."""


@pytest.mark.conformance("R116")
@pytest.mark.parametrize("kind", [MarkedError, MarkedRefusal])
@pytest.mark.parametrize("sends", ["the error", "a word"])
async def test_errors_and_what_their_frames_hold_are_collected(
    start_child: StartChild, kind: type[MarkedError], sends: str
) -> None:
    class Fails(AsyncioActor):
        async def on_receive(self, message: Any) -> None:
            await asyncio.sleep(0)
            raise message if isinstance(message, Exception) else kind(message)

    ref = start_child(Fails)
    for _ in range(50):
        with pytest.raises(MarkedError):
            await ref.ask(kind("no") if sends == "the error" else sends)
    await settle()
    gc.collect()

    left = sum(isinstance(each, MarkedError) for each in gc.get_objects())
    assert left <= 2  # the last one, as the cause of the last end


@pytest.mark.conformance("R116")
async def test_closed_systems_are_collected(no_leaked_actors: None) -> None:
    systems: list[weakref.ref[ActorSystem]] = []

    async def live() -> None:
        async with ActorSystem("short") as system:
            await system.start(Echo).ask(1)
        systems.append(weakref.ref(system))

    for _ in range(20):
        await live()
    await settle()
    gc.collect()

    assert [weak() for weak in systems] == [None] * 20


@pytest.mark.conformance("R100")
@pytest.mark.parametrize("times", [100_000, pytest.param(1_000_000, marks=pytest.mark.soak)])
async def test_the_mail_of_a_stuck_actor_stays_within_its_bound(actor_system: ActorSystem, times: int) -> None:
    ref = actor_system.start(BlockedActor, ([],))
    ref.tell("in hand")
    await settle()
    before = memory()
    refused = 0
    for number in range(times):
        try:
            ref.tell(number)
        except MailboxFullError:
            refused += 1

    assert ref.statistics().depth == ref.statistics().capacity == times - refused
    assert memory() - before < 20 * MEGABYTE
    await ref.kill()
