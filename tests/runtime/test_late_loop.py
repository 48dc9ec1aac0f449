"""A loop that is late: no timer adds work for an actor that still waits for its turn, and nobody pays for the delay."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.system import ActorSystem
from actors.supervision.child import ChildSpec
from actors.supervision.supervisor import Supervisor
from actors.testing import settle
from protocols.control import ExitReason
from tests.runtime.conftest import cell_of
from tests.support.actors import Echo, RecordingActor, UncancellableActor

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.ref import ActorRef
    from actors.testing.clock import ManualClock


class Hooked(Echo):
    """An actor with something to do at its end."""

    async def on_stop(self) -> None:
        await asyncio.sleep(0)


def ends() -> list[Callable[[ActorRef[Any]], object]]:
    """Return the ways to end an actor."""
    return [
        lambda ref: ref.kill(),
        lambda ref: ref.stop(timeout=0.0),
        lambda ref: ref.stop(timeout=1.0),
        lambda ref: ref.stop(mode="now"),
    ]


@pytest.mark.parametrize("how", range(4))
@pytest.mark.parametrize("kind", [Echo, Hooked])
async def test_time_that_passes_before_their_turn_queues_no_actor_twice(
    actor_system: ActorSystem, manual_clock: ManualClock, kind: type[Echo], how: int
) -> None:
    refs = [actor_system.start(kind) for _ in range(50)]
    for number, ref in enumerate(refs):
        ref.tell(number)
    await settle()

    ended = [ends()[how](ref) for ref in refs]
    for _ in range(20):
        manual_clock.tick(actor_system.config.stop_timeout)

    ready = actor_system.dispatcher.ready
    assert len(ready) == len(set(ready)) <= len(refs)
    assert all([await future for future in ended])  # type: ignore[misc]
    assert [ref for ref in refs if cell_of(ref).abandoned_turns] == []


async def test_a_hook_has_its_grace_from_its_own_turn_on(actor_system: ActorSystem, manual_clock: ManualClock) -> None:
    log: list[Any] = []
    ref = actor_system.start(RecordingActor, (log,))
    await settle()

    stopped = ref.stop(timeout=1.0)
    manual_clock.tick(100.0)
    await settle()

    assert stopped.done()
    assert log == ["on_stop"]


async def test_a_hook_that_hangs_after_the_time_to_stop_is_cut_loose(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    class Hanging(Echo):
        async def on_stop(self) -> None:
            await asyncio.Event().wait()

    refs = [actor_system.start(Hanging) for _ in range(2)]
    await settle()
    ended = [refs[0].stop(timeout=0.0), refs[1].stop(timeout=1.0)]
    manual_clock.tick(100.0)
    await settle()
    assert not any(future.done() for future in ended)

    await manual_clock.advance(actor_system.config.grace)

    assert all(future.done() for future in ended)
    assert [cell_of(ref).abandoned_turns for ref in refs] == [1, 1]


async def test_a_hook_that_waits_has_the_time_of_the_stop(actor_system: ActorSystem, manual_clock: ManualClock) -> None:
    class Hanging(Echo):
        async def on_stop(self) -> None:
            await asyncio.Event().wait()

    ref = actor_system.start(Hanging)
    await settle()
    ended = ref.stop(timeout=5.0)

    await manual_clock.advance(4.9)
    assert not ended.done()
    await manual_clock.advance(0.1)

    assert ended.done()
    assert cell_of(ref).abandoned_turns == 0


async def test_idle_actors_end_without_a_timer_each(
    actor_system: ActorSystem, manual_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[Any] = []
    for _ in range(30):
        actor_system.start(RecordingActor, (log,))
    await settle()
    timers: list[float] = []

    def call_later(delay: float, *_: object) -> None:
        timers.append(delay)

    monkeypatch.setattr(manual_clock, "call_later", call_later)

    await actor_system.stop_all()

    assert log == ["on_stop"] * 30
    assert timers == []


async def test_a_start_has_its_time_from_its_own_turn_on(actor_system: ActorSystem, manual_clock: ManualClock) -> None:
    class Slow(Echo):
        async def on_start(self) -> None:
            await manual_clock.sleep(actor_system.config.start_timeout - 1.0)

    class Hanging(Echo):
        async def on_start(self) -> None:
            await asyncio.Event().wait()

    slow, hanging = actor_system.start(Slow).ready(), actor_system.start(Hanging).ready()
    manual_clock.tick(2 * actor_system.config.start_timeout)
    await manual_clock.advance(actor_system.config.start_timeout - 1.0)
    assert (slow.done(), hanging.done()) == (True, False)

    await manual_clock.advance(1.0)

    assert slow.exception() is None
    assert "on_start took longer" in str(hanging.exception())


async def test_a_reentrant_actor_that_is_cut_loose_is_queued_once(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    class Reentrant(UncancellableActor):
        max_concurrency = 4

    release = asyncio.Event()
    ref = actor_system.start(Reentrant, (release,))
    for number in range(4):
        ref.tell(number)
    await settle()

    killed = ref.kill()
    for _ in range(5):
        manual_clock.tick(actor_system.config.grace)
        ready = actor_system.dispatcher.ready
        assert len(ready) == len(set(ready))
    await settle()

    assert killed.done()
    assert cell_of(ref).abandoned_turns == 4
    release.set()
    await settle()


@pytest.mark.parametrize("how", ["stop", "kill", "close"])
async def test_the_end_of_a_tree_takes_steps_in_proportion_to_its_size(how: str) -> None:
    few, many = await _steps_to_end(200, how), await _steps_to_end(1_600, how)

    assert many <= 10 * few + 100


async def _steps_to_end(number: int, how: str) -> int:
    """Return how many steps the engine takes to end a tree of so many actors."""
    system = ActorSystem("tree")
    root = await _tree(system, number, Hooked)
    before = system.dispatcher.steps
    if how == "close":
        assert await system.close() == []
    else:
        await (root.stop() if how == "stop" else root.kill())
    steps = system.dispatcher.steps - before
    await system.close()
    return steps


async def _tree(system: ActorSystem, number: int, kind: type[AsyncioActor]) -> ActorRef[Any]:
    leaves = [ChildSpec(kind, name=f"leaf{each}", shutdown="infinity") for each in range(50)]
    groups = [ChildSpec(Supervisor, args=(leaves,), name=f"group{each}") for each in range(number // 50)]
    return await system.start(Supervisor, (groups,), name="root").ready()


async def test_actors_with_nothing_to_run_end_without_a_turn_of_their_own() -> None:
    system = ActorSystem("tree")
    root = await _tree(system, 1_000, Echo)
    cells = tuple(system.cells)
    before = system.dispatcher.steps

    await root.stop()

    assert system.dispatcher.steps - before < 10
    assert [cell.reason for cell in cells[1:] if cell.reason is not ExitReason.SHUTDOWN] == []
    await system.close()


async def test_links_of_actors_that_end_together_need_no_depth(actor_system: ActorSystem) -> None:
    class Linked(Echo):
        def on_receive(self, message: Any) -> None:
            self.link(message)

    refs = [actor_system.start(Linked) for _ in range(3_000)]
    for one, other in itertools.pairwise(refs):
        await one.ask(other)

    await refs[0].kill()
    await settle()

    assert actor_system.actors() == []


@pytest.mark.soak
@pytest.mark.parametrize("how", ["kill", "close"])
@pytest.mark.parametrize("shape", ["tree", "flat", "roots"])
async def test_a_hundred_thousand_idle_actors_end_on_a_busy_loop(shape: str, how: str) -> None:
    """Half of the time of the loop belongs to others; the bar is 10 seconds."""
    system = ActorSystem("busy")
    if shape == "tree":
        tops = [await _tree(system, 100_000, Echo)]
    elif shape == "flat":
        specs = [ChildSpec(Echo, name=str(number)) for number in range(100_000)]
        tops = [await system.start(Supervisor, (specs,)).ready()]
    else:
        tops = [system.start(Echo) for _ in range(100_000)]
    work = asyncio.create_task(_other_work())
    await asyncio.sleep(0)
    cells, began = tuple(system.cells), time.monotonic()

    if how == "close":
        assert await system.close() == []
    else:
        for future in [top.kill() for top in tops]:
            await future

    took = time.monotonic() - began
    work.cancel()
    await system.close()
    assert [cell for cell in cells if cell.abandoned_turns] == []
    assert took <= 10.0


async def _other_work() -> None:
    """Take as much of each round of the loop as a slice of the engine does."""
    while True:
        end = time.monotonic() + 0.004
        while time.monotonic() < end:
            pass
        await asyncio.sleep(0)
