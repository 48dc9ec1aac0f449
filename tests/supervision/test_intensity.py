"""The sliding window of restarts: table 1.3 of the reliability page, and an oracle that counts by brute force."""

from collections.abc import Sequence
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.supervision.errors import SupervisionOptionError
from actors.supervision.intensity import RestartIntensity, RestartWindow


def gives_up_at(times: Sequence[float], limit: int, period: float) -> float | None:
    """Return the first time at which the window is exceeded."""
    window = RestartWindow(RestartIntensity(limit=limit, period=period))
    return next((now for now in times if window.record(now)), None)


@pytest.mark.conformance("R51")
@pytest.mark.parametrize(
    ("times", "limit", "period", "expected"),
    [
        ([10.0, 15.9], 1, 5.0, None),
        ([10.0 + 2 * n for n in range(50)], 3, 5.0, None),
        ([10.0 + 4 * n for n in range(12)], 5, 5.0, None),
        ([10.0, 19.0, 20.5, 21.0], 2, 10.0, 21.0),
        ([10.0, 15.0], 1, 5.0, 15.0),
        ([10.0, 15.0 + 1e-6], 1, 5.0, None),
    ],
)
def test_window_gives_up_only_when_a_whole_period_holds_too_many(
    times: list[float], limit: int, period: float, expected: float | None
) -> None:
    assert gives_up_at(times, limit, period) == expected


@pytest.mark.conformance("R51")
@pytest.mark.parametrize("limit", [1, 2, 3, 4, 7, 10])
@pytest.mark.parametrize("spacing", [0.1, 0.3, 1.0, 1.25])
def test_a_steady_crash_gives_up_exactly_when_spacing_times_limit_fits_the_period(limit: int, spacing: float) -> None:
    times = [spacing * n for n in range(100)]
    assert gives_up_at(times, limit, spacing * limit) == pytest.approx(spacing * limit)
    assert gives_up_at(times, limit, spacing * limit * 0.999) is None


@pytest.mark.conformance("R51")
def test_boundary_survives_the_rounding_of_summed_floats() -> None:
    times = [0.0]
    for _ in range(3):
        times.append(times[-1] + 0.1)
    assert times[-1] > 0.3, "the sum is above the period, which is what makes this case"
    assert gives_up_at(times, 3, 0.3) == times[-1]


@pytest.mark.conformance("R50")
def test_limit_zero_gives_up_at_the_first_restart() -> None:
    assert gives_up_at([7.0], 0, 5.0) == 7.0


@pytest.mark.conformance("R50")
def test_default_bears_three_restarts_in_five_seconds_and_not_a_fourth() -> None:
    window = RestartWindow(RestartIntensity())
    assert [window.record(now) for now in (0.0, 1.0, 2.0, 5.0)] == [False, False, False, True]


@given(
    gaps=st.lists(st.integers(0, 40), min_size=1, max_size=60),
    limit=st.integers(0, 6),
    period=st.integers(1, 60),
)
def test_window_agrees_with_counting_all_restarts(gaps: list[int], limit: int, period: int) -> None:
    window = RestartWindow(RestartIntensity(limit=limit, period=float(period)))
    times: list[int] = []
    for gap in gaps:
        times.append((times[-1] if times else 0) + gap)
        held = sum(1 for time in times if times[-1] - period <= time)
        assert window.record(float(times[-1])) == (held > limit)
        assert window.count(float(times[-1])) == min(held, limit + 1)


@given(limit=st.integers(0, 20), crashes=st.integers(1, 200))
def test_window_keeps_no_more_times_than_it_needs(limit: int, crashes: int) -> None:
    window = RestartWindow(RestartIntensity(limit=limit, period=1000.0))
    for crash in range(crashes):
        window.record(crash / 10)
    assert window.count(crashes / 10) == min(crashes, limit + 1)


def test_a_clock_that_steps_back_hides_no_restart() -> None:
    window = RestartWindow(RestartIntensity(limit=2, period=1.0))
    assert [window.record(now) for now in (100.0, 3.0, 100.5)] == [False, False, True]


def test_window_refuses_a_time_that_is_no_number() -> None:
    with pytest.raises(ValueError, match="now=nan"):
        RestartWindow(RestartIntensity()).record(nan)


@pytest.mark.conformance("R57")
@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"limit": -1}, "limit"),
        ({"limit": 1.5}, "limit"),
        ({"limit": True}, "limit"),
        ({"limit": "3"}, "limit"),
        ({"period": 0.0}, "period"),
        ({"period": -5.0}, "period"),
        ({"period": inf}, "period"),
        ({"period": nan}, "period"),
        ({"period": None}, "period"),
        ({"period": 10**400}, "period"),
    ],
)
def test_intensity_refuses_an_impossible_value_and_names_the_field(options: dict[str, Any], field: str) -> None:
    with pytest.raises(SupervisionOptionError, match=f"restart intensity: {field} must be ") as caught:
        RestartIntensity(**options)
    assert caught.value.field == field
