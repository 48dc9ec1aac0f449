"""Delays between restarts: examples, and laws that hold for every valid backoff."""

from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.supervision.backoff import Backoff, RestartStreak
from actors.supervision.errors import SupervisionOptionError

_NUMBERS = st.floats(min_value=1e-6, max_value=1e9)
_DRAWS = st.floats(min_value=0.0, max_value=1.0)


@st.composite
def backoffs(draw: st.DrawFn) -> Backoff:
    """Return any valid backoff with a delay."""
    least = draw(_NUMBERS)
    return Backoff(
        min=least,
        max=least * draw(st.floats(min_value=1.0, max_value=1e6)),
        factor=draw(st.floats(min_value=1.0, max_value=1e3)),
        jitter=draw(st.floats(min_value=0.0, max_value=10.0)),
    )


@pytest.mark.conformance("R63")
def test_delays_double_up_to_the_longest() -> None:
    backoff = Backoff(min=3.0, max=30.0, jitter=0.0)
    assert [backoff.delay(restarts) for restarts in range(6)] == [3.0, 6.0, 12.0, 24.0, 30.0, 30.0]


@pytest.mark.conformance("R63")
def test_jitter_lengthens_a_delay_but_never_beyond_the_longest() -> None:
    backoff = Backoff(min=1.0, max=10.0, jitter=0.5)
    assert backoff.delay(0, 0.5) == 1.25
    assert backoff.delay(3, 1.0) == 10.0
    assert backoff.delay(9, 0.5) == 10.0


@pytest.mark.conformance("R63")
@given(backoff=backoffs(), restarts=st.integers(0, 10**6), draw=_DRAWS)
def test_every_delay_lies_between_the_shortest_and_the_longest(backoff: Backoff, restarts: int, draw: float) -> None:
    assert backoff.min <= backoff.delay(restarts, draw) <= backoff.max


@given(backoff=backoffs(), restarts=st.integers(0, 5000), draw=_DRAWS)
def test_delays_never_shrink_with_the_same_draw(backoff: Backoff, restarts: int, draw: float) -> None:
    assert backoff.delay(restarts, draw) <= backoff.delay(restarts + 1, draw)


@given(backoff=backoffs(), restarts=st.integers(0, 100), low=_DRAWS, high=_DRAWS)
def test_a_larger_draw_never_shortens_a_delay(backoff: Backoff, restarts: int, low: float, high: float) -> None:
    low, high = sorted((low, high))
    assert backoff.delay(restarts, low) <= backoff.delay(restarts, high)


@pytest.mark.parametrize("restarts", [1024, 10**6, 10**400])
def test_a_huge_number_of_restarts_gives_the_longest_delay(restarts: int) -> None:
    assert Backoff().delay(restarts, 0.99) == 30.0


def test_a_factor_of_one_stays_at_the_shortest_delay_for_ever() -> None:
    assert Backoff(min=2.0, max=9.0, factor=1.0, jitter=0.0).delay(10**400) == 2.0


def test_no_backoff_never_waits() -> None:
    assert {Backoff.none().delay(restarts, 0.9) for restarts in (0, 1, 10**400)} == {0.0}


@pytest.mark.parametrize(("restarts", "draw"), [(-1, 0.0), (0, -0.1), (0, 1.1), (0, nan)])
def test_delay_refuses_a_negative_count_and_a_draw_outside_the_unit(restarts: int, draw: float) -> None:
    with pytest.raises(ValueError, match="restarts="):
        Backoff().delay(restarts, draw)


@pytest.mark.conformance("R57")
@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"min": -0.1}, "min"),
        ({"min": nan}, "min"),
        ({"min": "1"}, "min"),
        ({"min": 0.0, "max": 1.0}, "min"),
        ({"max": inf}, "max"),
        ({"max": -1.0}, "max"),
        ({"min": 2.0, "max": 1.0}, "max"),
        ({"factor": 0.9}, "factor"),
        ({"factor": inf}, "factor"),
        ({"jitter": -0.1}, "jitter"),
        ({"jitter": True}, "jitter"),
        ({"reset_after": -1.0}, "reset_after"),
        ({"reset_after": nan}, "reset_after"),
        ({"max_consecutive": -1}, "max_consecutive"),
        ({"max_consecutive": 2.0}, "max_consecutive"),
    ],
)
def test_backoff_refuses_an_impossible_value_and_names_the_field(options: dict[str, Any], field: str) -> None:
    with pytest.raises(SupervisionOptionError, match=f"backoff: {field}( must be |=)") as caught:
        Backoff(**options)
    assert caught.value.field == field


def test_quiet_period_is_the_middle_of_the_delays_unless_given() -> None:
    assert Backoff(min=1.0, max=9.0).quiet_period == 5.0
    assert Backoff(min=1.0, max=9.0, reset_after=2.0).quiet_period == 2.0
    assert Backoff(min=1e308, max=1.7e308).quiet_period < inf


@pytest.mark.conformance("R63")
def test_streak_begins_again_after_the_quiet_period() -> None:
    streak = RestartStreak(Backoff(min=1.0, max=9.0, jitter=0.0))
    delays: list[float | None] = []
    for started, crashed in ((0.0, 1.0), (2.0, 6.9), (10.0, 15.0)):
        streak.started(started)
        delays.append(streak.failed(crashed))
    assert delays == [1.0, 2.0, 1.0]


def test_streak_is_not_reset_by_the_time_between_failed_starts() -> None:
    streak = RestartStreak(Backoff(min=1.0, max=9.0, jitter=0.0))
    streak.started(0.0)
    assert [streak.failed(now) for now in (1.0, 100.0, 200.0)] == [1.0, 2.0, 4.0]


def test_streak_ends_after_the_most_restarts_in_a_row() -> None:
    streak = RestartStreak(Backoff(min=1.0, max=9.0, jitter=0.0, max_consecutive=2))
    assert [streak.failed(now) for now in (0.0, 1.0, 2.0)] == [1.0, 2.0, None]


def test_streak_without_any_restart_allowed_ends_at_once() -> None:
    assert RestartStreak(Backoff(max_consecutive=0)).failed(0.0) is None


def test_streak_that_was_quiet_may_restart_as_often_again() -> None:
    streak = RestartStreak(Backoff(min=1.0, max=9.0, max_consecutive=1))
    assert streak.failed(0.0) is not None
    streak.started(1.0)
    assert streak.failed(50.0) is not None
    assert streak.failed(50.0) is None
