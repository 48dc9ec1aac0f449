import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.config.duration import parse_duration


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (5, 5.0),
        (0.5, 0.5),
        ("5", 5.0),
        ("5s", 5.0),
        ("1m", 60.0),
        ("2h", 7200.0),
        ("1d", 86400.0),
        ("250ms", 0.25),
        ("1m30s", 90.0),
        ("1 h 30 m", 5400.0),
        ("PT5S", 5.0),
        ("PT1M30S", 90.0),
        ("P1DT2H", 93600.0),
        ("P1W", 604800.0),
        ("PT0.5S", 0.5),
    ],
)
def test_the_forms_of_a_duration_are_read(written: object, seconds: float) -> None:
    assert parse_duration(written) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "s",
        "5x",
        "-5s",
        "5s5",
        "P",
        "PT",
        "P5",
        "five",
        "1e5",
        True,
        None,
        [5],
        -1,
        math.nan,
        math.inf,
        1e300,
        "1" * 50,
    ],
)
def test_anything_else_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="expected a time"):
        parse_duration(written)


@given(st.floats(0, 1e8))
def test_a_number_is_itself(seconds: float) -> None:
    assert parse_duration(seconds) == seconds


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert 0 <= parse_duration(text) < math.inf
