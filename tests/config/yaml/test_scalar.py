import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.config.yaml.parser import read_scalar


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "yes",
        "on",
        "off",
        "NO",
        "y",
        "n",
        "22:22",
        "190:20:30",
        "010",
        "0o17",
        "0x1F",
        "0b11",
        "1_000",
        ".inf",
        ".nan",
    ],
)
def test_words_that_yaml_1_1_takes_for_something_else_stay_text(text: str) -> None:
    assert read_scalar(text) == text


@pytest.mark.parametrize("text", ["2024-01-01", "1.2.3", "1e999", "+", "-", ".", "1.", "1e5x", "=", "<<"])
def test_what_only_looks_like_a_number_or_date_stays_text(text: str) -> None:
    value = read_scalar(text)

    assert value == (1.0 if text == "1." else text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("7", 7),
        ("-3", -3),
        ("+1", 1),
        ("0", 0),
    ],
)
def test_plain_values_are_read(text: str, value: object) -> None:
    assert read_scalar(text) is value or read_scalar(text) == value


@pytest.mark.parametrize(("text", "value"), [("1.5", 1.5), (".5", 0.5), ("1e3", 1000.0), ("-2.5E-1", -0.25)])
def test_decimal_numbers_are_read(text: str, value: float) -> None:
    assert read_scalar(text) == value


@given(st.integers(-(10**20), 10**20))
def test_every_whole_number_is_read_as_itself(number: int) -> None:
    assert read_scalar(str(number)) == number


@given(st.text(max_size=50))
def test_any_text_gives_a_plain_value(text: str) -> None:
    assert read_scalar(text) is None or isinstance(read_scalar(text), bool | int | float | str)


def test_a_number_of_five_thousand_digits_stays_text() -> None:
    assert read_scalar("9" * 5000) == "9" * 5000
