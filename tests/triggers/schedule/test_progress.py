from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any

import pytest

from actors.config.trigger import IntervalTrigger
from actors.runtime.system import ActorSystem
from actors.testing.clock import ManualClock
from actors.triggers import TriggerRequest, plan_triggers
from actors.triggers.schedule.progress import ScheduleProgress
from protocols.triggers import TriggerError
from tests.triggers.schedule.test_source import NOON, cron, dues
from tests.triggers.started import RecordingNode, start_plan

if TYPE_CHECKING:
    from pathlib import Path

    from actors.config.trigger import TriggerSpec


async def live(path: Path, start: float, seconds: float, settings: TriggerSpec) -> RecordingNode:
    """Let a process live for so many seconds of the wall clock, and return what it has run."""
    progress = ScheduleProgress(path)
    progress.open()
    node, clock = RecordingNode(), ManualClock()
    plan = plan_triggers([TriggerRequest("n", settings, node)], progress=progress, wall=lambda: start + clock.now())
    async with ActorSystem("process", clock=clock) as system:
        stage = await start_plan(system, plan)
        await stage.ready()
        for _ in range(int(seconds // 60) or 1):
            await clock.advance(min(60.0, seconds))
            await system.in_thread(lambda: None)()
            await stage.ready()
    return node


def missed(node: RecordingNode) -> list[int]:
    events: list[Any] = node.events
    return [event.missed for event in events]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "schedules.json"


async def test_one_run_makes_up_for_the_times_that_passed_while_no_process_ran(path: Path) -> None:
    settings = cron("*/10 * * * *")

    first = await live(path, NOON, 1_260, settings)
    second = await live(path, NOON + 5_000, 60, settings)
    third = await live(path, NOON + 5_100, 60, settings)

    assert dues(first) == ["03 12:10:00", "03 12:20:00"]
    assert (dues(second), missed(second)) == (["03 13:20:00"], [5])
    assert dues(third) == []


async def test_each_of_them_runs_when_the_trigger_says_so(path: Path) -> None:
    settings = cron("*/10 * * * *", make_up="all")

    await live(path, NOON, 60, settings)
    second = await live(path, NOON + 1_900, 60, settings)

    assert (dues(second), missed(second)) == (["03 12:10:00", "03 12:20:00", "03 12:30:00"], [0, 0, 0])


async def test_none_runs_when_the_trigger_says_so(path: Path) -> None:
    settings = cron("*/10 * * * *", skip=True)

    await live(path, NOON, 60, settings)
    second = await live(path, NOON + 5_000, 600, settings)

    assert dues(second) == ["03 13:30:00"]


async def test_another_cron_line_and_an_interval_begin_anew(path: Path) -> None:
    await live(path, NOON, 60, cron("*/10 * * * *"))
    every = IntervalTrigger(type="interval", name="i", every=600, prompt="Look", skip_missed=False)
    await live(path, NOON, 60, every)

    other = await live(path, NOON + 5_000, 60, cron("*/5 * * * *"))
    interval = await live(path, NOON + 5_000, 60, every)

    assert (other.events, interval.events) == ([], [])


async def test_a_clock_that_was_ahead_when_it_was_written_down_blocks_nothing(path: Path) -> None:
    await live(path, NOON + 86_400, 660, cron("*/10 * * * *"))

    second = await live(path, NOON, 660, cron("*/10 * * * *"))

    assert dues(second) == ["03 12:10:00"]


@pytest.mark.parametrize("content", [b"", b"nonsense", b"[1]", b'{"n/t": {"schedule": 3}}', b"\xff\xfe"])
def test_a_file_that_says_nothing_is_a_new_beginning(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    progress = ScheduleProgress(path)

    progress.open()

    assert progress.of("n/t", "*/10 * * * *") is None


def test_the_file_is_replaced_in_one_step_and_belongs_to_its_owner_alone(path: Path) -> None:
    progress = ScheduleProgress(path)
    progress.open()
    progress.keep("n/t", "@daily", 1.5)

    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = ScheduleProgress(path)
    again.open()
    assert (again.of("n/t", "@daily"), again.of("n/t", "@hourly"), again.of("n/x", "@daily")) == (1.5, None, None)


def test_a_place_that_cannot_be_written_says_so_at_the_start_and_is_logged_once_later(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    progress = ScheduleProgress(path)
    progress.open()
    path.unlink()
    path.mkdir()

    with pytest.raises(TriggerError, match=r"how far schedules have come cannot be kept in '.*schedules\.json'"):
        ScheduleProgress(path).open()
    progress.keep("n/t", "@daily", 1.5)
    progress.keep("n/t", "@daily", 2.5)

    assert caplog.text.count("cannot be written; times may be missed") == 1
    assert progress.of("n/t", "@daily") == 2.5
