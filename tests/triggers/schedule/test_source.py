from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import pytest

from actors.config.trigger import IntervalTrigger, ScheduleTrigger
from actors.testing.settle import settle
from tests.triggers.started import RecordingNode, start_triggers

if TYPE_CHECKING:
    from actors.runtime.system import ActorSystem
    from actors.testing.clock import ManualClock
    from protocols.triggers import TimeReached

NOON = datetime(2024, 6, 3, 12, tzinfo=UTC).timestamp()


class Wall:
    """A wall clock that follows the manual clock until somebody sets it."""

    def __init__(self, clock: ManualClock, start: float = NOON) -> None:
        self._clock = clock
        self.offset = start - clock.now()

    def __call__(self) -> float:
        return self._clock.now() + self.offset


def cron(
    line: str, *, zone: str = "UTC", skip: bool = False, make_up: Literal["once", "all"] = "once", **keys: Any
) -> ScheduleTrigger:
    return ScheduleTrigger(
        type="time", name="t", schedule=line, prompt="Sum up", timezone=zone, skip_missed=skip, make_up=make_up, **keys
    )


def dues(node: RecordingNode) -> list[str]:
    events: list[Any] = node.events
    return [datetime.fromtimestamp(event.due, UTC).strftime("%d %H:%M:%S") for event in events]


async def test_runs_come_at_the_times_of_the_line(actor_system: ActorSystem, manual_clock: ManualClock) -> None:
    node = RecordingNode()
    await start_triggers(actor_system, [cron("*/20 * * * *")], node, wall=Wall(manual_clock))

    await manual_clock.advance(3_600)

    assert dues(node) == ["03 12:20:00", "03 12:40:00", "03 13:00:00"]
    event: TimeReached = node.events[0]  # type: ignore[assignment]
    assert (event.prompt, event.schedule, event.missed, event.source) == ("Sum up", "*/20 * * * *", 0, "t")
    assert node.prompts[0] == "Time: 2024-06-03T12:20:00+00:00\nMetadata: schedule=*/20 * * * *\nSum up"


async def test_nothing_runs_before_its_time(actor_system: ActorSystem, manual_clock: ManualClock) -> None:
    node = RecordingNode()
    await start_triggers(actor_system, [cron("*/20 * * * *")], node, wall=Wall(manual_clock))

    await manual_clock.advance(1_199.9)
    assert dues(node) == []
    await manual_clock.advance(0.1)
    assert dues(node) == ["03 12:20:00"]


async def test_a_day_of_schedule_passes_in_moments(actor_system: ActorSystem, manual_clock: ManualClock) -> None:
    node = RecordingNode()
    stage = await start_triggers(
        actor_system, [cron("*/10 * * * *", queue={"capacity": 5})], node, wall=Wall(manual_clock)
    )

    await manual_clock.advance(86_400)

    assert len(set(dues(node))) == len(node.events) == 144
    assert stage.plan.triggers[0].statistics().completed == 144


@pytest.mark.parametrize(
    ("day", "expected"),
    [("2024-03-31T00:00+01:00", ["31 01:00:00"]), ("2024-10-27T00:00+02:00", ["27 00:30:00"])],
    ids=["spring", "autumn"],
)
async def test_a_fixed_time_runs_once_on_the_days_of_the_change(
    actor_system: ActorSystem, manual_clock: ManualClock, day: str, expected: list[str]
) -> None:
    node = RecordingNode()
    wall = Wall(manual_clock, datetime.fromisoformat(day).timestamp())
    await start_triggers(actor_system, [cron("30 2 * * *", zone="Europe/Berlin")], node, wall=wall)

    await manual_clock.advance(23 * 3_600)

    assert dues(node) == expected


async def test_times_that_a_sleeping_machine_missed_make_one_run(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    node = RecordingNode()
    wall = Wall(manual_clock)
    await start_triggers(actor_system, [cron("*/10 * * * *")], node, wall=wall)
    await settle()

    wall.offset += 3_605
    await manual_clock.advance(60)

    events: list[Any] = node.events
    assert dues(node) == ["03 13:00:00"]
    assert events[0].missed == 5


async def test_missed_times_are_left_out_when_the_trigger_says_so(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    node = RecordingNode()
    wall = Wall(manual_clock)
    await start_triggers(actor_system, [cron("*/10 * * * *", skip=True)], node, wall=wall)
    await settle()

    wall.offset += 3_900
    await manual_clock.advance(600)

    assert dues(node) == ["03 13:10:00"]


async def test_each_missed_time_runs_when_the_trigger_says_so(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    node = RecordingNode()
    wall = Wall(manual_clock)
    await start_triggers(actor_system, [cron("*/20 * * * *", make_up="all")], node, wall=wall)
    await settle()

    wall.offset += 3_600
    await manual_clock.advance(60)

    assert dues(node) == ["03 12:20:00", "03 12:40:00", "03 13:00:00"]


async def test_missed_times_are_made_up_for_within_a_bound(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    node = RecordingNode()
    wall = Wall(manual_clock)
    await start_triggers(actor_system, [cron("* * * * *", make_up="all")], node, wall=wall)
    await settle()

    wall.offset += 30 * 86_400
    await manual_clock.advance(60)

    assert len(node.events) == 100


async def test_a_clock_that_is_set_back_a_little_repeats_nothing(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    node = RecordingNode()
    wall = Wall(manual_clock)
    await start_triggers(actor_system, [cron("*/10 * * * *")], node, wall=wall)
    await manual_clock.advance(601)

    wall.offset -= 300
    await manual_clock.advance(899)

    assert dues(node) == ["03 12:10:00", "03 12:20:00"]


async def test_a_clock_that_was_wrong_by_days_goes_on_from_the_right_time(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    node = RecordingNode()
    wall = Wall(manual_clock)
    await start_triggers(actor_system, [cron("*/10 * * * *")], node, wall=wall)
    await manual_clock.advance(601)

    wall.offset -= 2 * 86_400
    await manual_clock.advance(660)

    assert dues(node) == ["03 12:10:00", "01 12:20:00"]


async def test_a_restart_of_the_actor_forgets_no_time(actor_system: ActorSystem, manual_clock: ManualClock) -> None:
    node = RecordingNode()
    stage = await start_triggers(actor_system, [cron("*/10 * * * *", backoff=5)], node, wall=Wall(manual_clock))
    await manual_clock.advance(598)

    crash(stage.refs["n/t"])
    await manual_clock.advance(602)

    assert dues(node) == ["03 12:10:00", "03 12:20:00"]
    assert stage.refs["n/t"].incarnation == 2
    assert stage.plan.triggers[0].statistics().restarts == 1


def crash(ref: Any) -> None:
    from actors.triggers.source import _WatchEnded  # pyright: ignore[reportPrivateUsage]

    ref.tell(_WatchEnded(RuntimeError("broken")))


async def test_jitter_delays_but_never_beyond_the_next_time(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    node = RecordingNode()
    await start_triggers(actor_system, [cron("* * * * *", jitter=3_000)], node, wall=Wall(manual_clock))

    await manual_clock.advance(3_600)

    events: list[Any] = node.events
    late = [event.time - event.due for event in events]
    assert len(events) >= 59
    assert all(0 <= delay <= 30.001 for delay in late)
    assert len({round(delay, 3) for delay in late}) > 30


async def test_an_interval_needs_no_wall_clock(actor_system: ActorSystem, manual_clock: ManualClock) -> None:
    node = RecordingNode()
    wall = Wall(manual_clock)
    every = IntervalTrigger(type="interval", name="i", every=10, prompt="Look", immediately=True)
    await start_triggers(actor_system, [every], node, wall=wall)
    await settle()
    at_once = len(node.events)

    wall.offset += 1e6
    await manual_clock.advance(35)

    assert (at_once, len(node.events)) == (1, 4)
    assert node.events[0].to_prompt() == "Look"


async def test_an_interval_skips_what_comes_while_a_run_goes_on(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    node = RecordingNode()
    node.gate = asyncio.Event()
    every = IntervalTrigger(type="interval", name="i", every=10, prompt="Look")
    await start_triggers(actor_system, [every], node)

    await manual_clock.advance(45)
    node.gate.set()
    await manual_clock.advance(10)

    assert len(node.events) == 2


async def test_one_run_makes_up_for_what_came_while_a_run_went_on(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    node = RecordingNode()
    node.gate = asyncio.Event()
    every = IntervalTrigger(type="interval", name="i", every=10, prompt="Look", skip_missed=False)
    await start_triggers(actor_system, [every], node)

    await manual_clock.advance(45)
    node.gate.set()
    await settle()

    assert len(node.events) == 2


async def test_a_stop_does_not_wait_for_the_next_time(actor_system: ActorSystem, manual_clock: ManualClock) -> None:
    node = RecordingNode()
    stage = await start_triggers(actor_system, [cron("0 0 1 1 *")], node, wall=Wall(manual_clock))

    assert await stage.supervisor.stop(block=False)

    assert actor_system.tree() == ()
