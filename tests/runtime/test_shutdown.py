from __future__ import annotations

import asyncio
from operator import methodcaller
from typing import TYPE_CHECKING

import pytest

from actors.runtime.log import LimitedLogger
from actors.runtime.shutdown import STOP_ACTORS, Shutdown
from actors.runtime.system import ActorSystem
from actors.testing.clock import ManualClock
from tests.support.actors import RecordingActor

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def shutdown(clock: ManualClock) -> Shutdown:
    made = Shutdown(clock, LimitedLogger("test"))
    for name, after in (("first", ()), ("second", ("first",)), ("third", ("second",))):
        made.add_phase(name, after=after)
    return made


@pytest.mark.conformance("R26")
async def test_later_phases_run_when_a_task_raises_or_takes_too_long(shutdown: Shutdown, clock: ManualClock) -> None:
    done: list[str] = []

    async def fails() -> None:
        raise OSError("disk")

    async def hangs() -> None:
        await asyncio.Event().wait()

    shutdown.add_task("first", "fails", fails)
    shutdown.add_task("second", "hangs", hangs)
    shutdown.add_task("third", "ends", lambda: done.append("third"))
    running = asyncio.ensure_future(shutdown.run())
    await clock.advance(4.9)
    assert not running.done()
    await clock.advance(0.2)
    report = await running
    assert done == ["third"]
    assert str(report.failed["first/fails"]) == "disk"
    assert report.overdue == ("second/hangs",)
    assert report.aborted is None


@pytest.mark.conformance("R26")
async def test_tasks_of_one_phase_run_together(shutdown: Shutdown) -> None:
    both = asyncio.Barrier(2)
    shutdown.add_task("first", "one", both.wait)
    shutdown.add_task("first", "other", both.wait)
    report = await shutdown.run()
    assert not report.overdue
    assert not report.failed


@pytest.mark.conformance("R26")
async def test_a_shutdown_runs_once_however_often_it_is_asked_for(shutdown: Shutdown) -> None:
    count: list[int] = []
    shutdown.add_task("first", "count", lambda: count.append(1))
    first, second = await asyncio.gather(shutdown.run(), shutdown.run())
    assert count == [1]
    assert first is second
    assert await shutdown.run() is first


@pytest.mark.conformance("R26")
async def test_a_phase_marked_so_ends_the_shutdown_when_it_fails(clock: ManualClock) -> None:
    shutdown = Shutdown(clock, LimitedLogger("test"))
    shutdown.add_phase("vital", aborts=True)
    shutdown.add_phase("later", after=("vital",))
    done: list[str] = []

    def fails() -> None:
        raise OSError("disk")

    shutdown.add_task("vital", "fails", fails)
    shutdown.add_task("later", "never", lambda: done.append("never"))
    assert (await shutdown.run()).aborted == "vital"
    assert done == []


@pytest.mark.conformance("R26")
def test_a_cycle_of_phases_is_refused_when_it_is_registered(shutdown: Shutdown) -> None:
    with pytest.raises(ValueError, match="wait for each other: first, second"):
        shutdown.add_phase("between", after=("second",), before=("first",))
    shutdown.add_phase("between", after=("first",), before=("second",))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (methodcaller("add_phase", "first"), "'first' exists"),
        (methodcaller("add_phase", "x", after=("nowhere",)), "unknown phase 'nowhere'; known are first"),
        (methodcaller("add_phase", "x", timeout=0), "timeout must be seconds > 0, not 0"),
        (methodcaller("add_task", "nowhere", "t", print), "unknown phase 'nowhere'"),
    ],
)
def test_a_bad_phase_is_refused_naming_it(shutdown: Shutdown, call: Callable[[Shutdown], object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call(shutdown)


async def test_the_phases_of_a_system_surround_the_stop_of_its_actors(no_leaked_actors: None) -> None:
    system = ActorSystem("test")
    ref = system.start(RecordingActor, ([],), name="recorder")
    await ref.ready()
    seen: list[tuple[str, bool]] = []
    system.shutdown.add_phase("close-intake", before=(STOP_ACTORS,))
    system.shutdown.add_phase("flush", after=(STOP_ACTORS,))
    system.shutdown.add_task("close-intake", "look", lambda: seen.append(("close-intake", ref.is_alive())))
    system.shutdown.add_task("flush", "look", lambda: seen.append(("flush", ref.is_alive())))
    await system.close()
    assert seen == [("close-intake", True), ("flush", False)]
