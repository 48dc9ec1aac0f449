"""Spans of time: a number of seconds, `5s`, `1m30s`, `2h`, or ISO 8601 (`PT5S`)."""

import math
import re
from typing import Annotated

from pydantic import BeforeValidator, Field

from actors.config.read_context import complain

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = r"(?:\d{1,12}(?:\.\d{1,9})?\s*(?:ms|[smhdw])\s*)"
_SHORT = re.compile(rf"{_PART}{{1,6}}", re.IGNORECASE)
_PARTS = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[smhdw])", re.IGNORECASE)
_NUMBER = re.compile(r"\d{1,12}(?:\.\d{1,9})?")
_N = r"(\d{1,9}(?:[.,]\d{1,9})?)"
_ISO = re.compile(rf"P(?=.)(?:{_N}W)?(?:{_N}D)?(?:T(?=.)(?:{_N}H)?(?:{_N}M)?(?:{_N}S)?)?", re.IGNORECASE)
_ISO_SECONDS = (604800.0, 86400.0, 3600.0, 60.0, 1.0)
_LONGEST = 10 * 366 * 86400.0
_EXPECTED = "expected a time: seconds as a number, or text such as '5s', '1m30s', '2h' or 'PT5S'"


def parse_duration(value: object, *, unit: float = 1.0) -> float:
    """Return a span of time in seconds.

    Args:
        value: A number, or text in one of the forms of this file.
        unit: How many seconds a plain number counts.

    Raises:
        ValueError: It is none of these, negative, or longer than ten years.
    """
    seconds = _read(value, unit)
    if seconds is None:
        raise ValueError(_EXPECTED)
    if not 0 <= seconds <= _LONGEST:
        raise ValueError("expected a time between 0 and ten years")
    return seconds


def _read(value: object, unit: float) -> float | None:
    if isinstance(value, str):
        return _read_text(value.strip(), unit)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) * unit if abs(value) < _LONGEST / unit + 1 else math.inf


def _read_text(text: str, unit: float) -> float | None:
    if _NUMBER.fullmatch(text):
        return float(text) * unit
    if _SHORT.fullmatch(text):
        return sum(float(number) * _UNITS[name.lower()] for number, name in _PARTS.findall(text))
    if iso := _ISO.fullmatch(text):
        parts = zip(iso.groups(), _ISO_SECONDS, strict=True)
        return sum(float(part.replace(",", ".")) * seconds for part, seconds in parts if part)
    return None


def _milliseconds(value: object) -> float:
    try:
        return parse_duration(value, unit=0.001)
    except ValueError as error:
        complain(str(error).replace("seconds as a number", "milliseconds as a number"))


def _timeout(value: object) -> float:
    return math.inf if value in ("forever", math.inf) else parse_duration(value)


_INPUT = float | str

Seconds = Annotated[float, BeforeValidator(parse_duration, json_schema_input_type=_INPUT)]
"""A span of time, in seconds."""
PositiveSeconds = Annotated[float, Field(gt=0), BeforeValidator(parse_duration, json_schema_input_type=_INPUT)]
"""A span of time that is not zero, in seconds."""
Milliseconds = Annotated[float, BeforeValidator(_milliseconds, json_schema_input_type=_INPUT)]
"""A span of time in seconds, written in milliseconds when it is a plain number."""
Timeout = Annotated[float, Field(gt=0, allow_inf_nan=True), BeforeValidator(_timeout, json_schema_input_type=_INPUT)]
"""A limit on a wait in seconds; `forever` must be written out and is infinity."""
