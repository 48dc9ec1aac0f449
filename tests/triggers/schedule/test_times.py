from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.triggers.schedule.times import CronTimes, IntervalTimes, local_zone
from protocols.triggers import TriggerConfigError

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def following(line: str, start: str, count: int) -> list[str]:
    times = CronTimes(line, BERLIN)
    moment = at(start)
    found: list[str] = []
    for _ in range(count):
        moment = times.next_after(moment) or 0.0
        found.append(datetime.fromtimestamp(moment, BERLIN).strftime("%d %H:%M%z"))
    return found


def test_a_fixed_time_in_the_hour_that_spring_skips_runs_once_after_the_gap() -> None:
    assert following("30 2 * * *", "2024-03-30T00:00+01:00", 3) == ["30 02:30+0100", "31 03:00+0200", "01 02:30+0200"]


def test_a_fixed_time_in_the_hour_that_autumn_repeats_runs_once() -> None:
    assert following("30 2 * * *", "2024-10-26T00:00+02:00", 3) == ["26 02:30+0200", "27 02:30+0200", "28 02:30+0100"]


def test_an_hourly_line_follows_the_real_hours_in_spring() -> None:
    assert following("0 * * * *", "2024-03-31T00:30+01:00", 3) == ["31 01:00+0100", "31 03:00+0200", "31 04:00+0200"]


def test_an_hourly_line_follows_the_real_hours_in_autumn() -> None:
    found = following("0 * * * *", "2024-10-27T00:30+02:00", 4)

    assert found == ["27 01:00+0200", "27 02:00+0200", "27 02:00+0100", "27 03:00+0100"]


@pytest.mark.parametrize(("start", "days"), [("2024-03-29T12:00+01:00", 5), ("2024-10-25T12:00+02:00", 5)])
def test_a_daily_line_runs_once_a_day_across_both_changes(start: str, days: int) -> None:
    found = following("30 2 * * *", start, days)

    assert len({text[:2] for text in found}) == days


@pytest.mark.parametrize(
    ("word", "line"), [("@daily", "0 0 * * *"), ("@HOURLY", "0 * * * *"), (" @weekly ", "0 0 * * 0")]
)
def test_words_stand_for_lines(word: str, line: str) -> None:
    assert CronTimes(word, UTC).next_after(1e9) == CronTimes(line, UTC).next_after(1e9)


def test_six_fields_begin_with_seconds() -> None:
    assert CronTimes("*/20 * * * * *", UTC).latest(0.0, 60.0, 10) == [20.0, 40.0, 60.0]


@pytest.mark.parametrize(
    "line",
    ["", "x", "* * * *", "61 * * * *", "* * * * * * *", "@reboot", "0 0 * * \u0661", "0 0 30 2 *", "*/0 * * * *"],
)
def test_a_line_that_is_none_is_refused_with_the_line_and_what_is_expected(line: str) -> None:
    with pytest.raises(TriggerConfigError) as caught:
        CronTimes(line, UTC)

    assert repr(line) in str(caught.value)


def test_a_huge_line_is_refused_without_being_read() -> None:
    with pytest.raises(TriggerConfigError, match="too long"):
        CronTimes("1," * 100_000, UTC)


@given(
    start=st.integers(1_704_067_200, 1_735_689_600),
    length=st.integers(0, 40 * 86_400),
    line=st.sampled_from(["0 * * * *", "30 2 * * *", "*/7 1-3 * * SUN", "0 0 1 * *"]),
)
def test_looking_back_finds_what_looking_ahead_finds(start: int, length: int, line: str) -> None:
    times = CronTimes(line, BERLIN)
    ahead: list[float] = []
    moment = times.next_after(start)
    while moment is not None and moment <= start + length:
        ahead.append(moment)
        moment = times.next_after(moment)

    assert times.latest(start, start + length, 2_000) == ahead[-2_000:]
    assert times.latest(start, start + length, 3) == ahead[-3:]


@given(every=st.floats(0.1, 1e5), start=st.floats(0, 1e9), after=st.floats(0, 1e5), length=st.floats(0, 1e5))
def test_intervals_come_at_equal_distance_and_none_is_left_out(
    every: float, start: float, after: float, length: float
) -> None:
    times = IntervalTimes(every, start=start)
    due = times.next_after(start + after)

    assert start + after < due <= start + after + every * 1.001
    found = times.latest(start + after, start + after + length, 10)
    assert len(found) <= 10
    assert all(start + after < time <= start + after + length for time in found)
    if found and length < 5 * every:
        assert found[0] == pytest.approx(due, abs=every / 1000)


def test_an_interval_must_be_positive() -> None:
    with pytest.raises(TriggerConfigError, match="must be > 0"):
        IntervalTimes(0.0, start=0.0)


def test_the_zone_of_the_machine_knows_its_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", ":Europe/Berlin")
    assert local_zone().utcoffset(datetime(2024, 7, 1, tzinfo=UTC)) != local_zone().utcoffset(
        datetime(2024, 1, 1, tzinfo=UTC)
    )
    monkeypatch.setenv("TZ", "No/Where")
    assert local_zone() is UTC
    for name in ("CET-1CEST,M3.5.0,M10.5.0/3", "/usr/share/zoneinfo/Europe/Berlin"):
        if name[0] != "/" or Path(name).exists():
            monkeypatch.setenv("TZ", name)
            found = [local_zone().utcoffset(datetime(2024, month, 1, tzinfo=UTC)) for month in (1, 7)]
            assert found == [timedelta(hours=1), timedelta(hours=2)]
    monkeypatch.delenv("TZ")
    assert local_zone().utcoffset(datetime(2024, 7, 1, tzinfo=UTC)) is not None
