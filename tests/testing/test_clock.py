"""The manual clock moves only when it is told to."""

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.actor import AsyncioActor
from actors.runtime.system import ActorSystem
from actors.testing import ManualClock


def test_time_stands_still_until_the_clock_is_moved() -> None:
    clock = ManualClock(100.0)

    assert clock.now() == 100.0
    clock.tick(2.5)
    assert clock.now() == 102.5


@given(st.lists(st.floats(min_value=0, max_value=100), max_size=50))
def test_calls_come_in_the_order_of_their_time_then_of_their_making(delays: list[float]) -> None:
    clock = ManualClock()
    made: list[tuple[float, int]] = []
    for number, delay in enumerate(delays):
        clock.call_later(delay, made.append, (delay, number))

    clock.tick(100)

    assert made == sorted((delay, number) for number, delay in enumerate(delays))
    assert clock.pending == 0


def test_a_call_sees_its_own_time_not_that_of_the_end_of_the_move() -> None:
    clock = ManualClock()
    seen: list[float] = []
    clock.call_later(1, lambda: seen.append(clock.now()))
    clock.call_later(2, lambda: seen.append(clock.now()))

    clock.tick(10)

    assert seen == [1, 2]
    assert clock.now() == 10


def test_a_call_that_makes_another_one_in_time_has_it_made_in_the_same_move() -> None:
    clock = ManualClock()
    seen: list[float] = []

    def again() -> None:
        seen.append(clock.now())
        clock.call_later(1, again)

    clock.call_later(1, again)
    clock.tick(3.5)

    assert seen == [1, 2, 3]


def test_a_withdrawn_call_is_not_made_and_not_kept() -> None:
    clock = ManualClock()
    seen: list[int] = []
    for _ in range(10_000):
        timer = clock.call_later(1, seen.append, 1)
        timer.cancel()
        timer.cancel()

    assert clock.pending == 0
    assert clock.size < 200
    clock.tick(2)
    assert seen == []


@pytest.mark.parametrize("seconds", [-1, -math.inf, math.nan])
def test_time_never_goes_back(seconds: float) -> None:
    with pytest.raises(ValueError, match="seconds >= 0"):
        ManualClock().tick(seconds)


async def test_sleep_ends_when_the_clock_has_been_moved() -> None:
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(3))

    await clock.advance(2.9)
    assert not task.done()
    await clock.advance(0.1)
    assert task.done()
    await task


async def test_a_cancelled_sleep_leaves_no_timer() -> None:
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(3))
    await clock.advance(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert clock.pending == 0


async def test_actors_work_between_two_calls_of_one_move(actor_system: ActorSystem, manual_clock: ManualClock) -> None:
    class Ticker(AsyncioActor):
        def __init__(self) -> None:
            super().__init__()
            self.ticks: list[float] = []

        def on_start(self) -> None:
            self.schedule(1, "tick")

        def on_receive(self, message: object) -> object:
            if message == "tick":
                self.ticks.append(self.system.clock.now())
                self.schedule(1, "tick")  # made only if the handler runs in between
            return self.ticks

    ref = actor_system.start(Ticker)
    await manual_clock.advance(3)

    assert await ref.ask("report") == [1, 2, 3]
