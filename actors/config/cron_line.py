"""Cron lines, checked in the core: cronsim, which computes their times, comes with the extra `triggers`."""

import re
from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import AfterValidator

from actors.config.read_context import complaint
from actors.config.value import Text

WORDS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
"""Words that stand for a cron line."""

_LONGEST: Final = 1_000
_NAMES: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTHS: Final = {name: number for number, name in enumerate(_NAMES, 1)}
_DAYS: Final = {"SUN": 0, "MON": 1, "TUE": 2, "WED": 3, "THU": 4, "FRI": 5, "SAT": 6}
_NONE: Final[Mapping[str, int]] = {}
_FIELDS: Final = (
    ("second", 0, 59, _NONE),
    ("minute", 0, 59, _NONE),
    ("hour", 0, 23, _NONE),
    ("day of the month", 1, 31, _NONE),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, _DAYS),
)
_PART: Final = re.compile(r"(\*|[0-9]{1,4}|[A-Z]{3})(?:-([0-9]{1,4}|[A-Z]{3}))?(?:/0*[1-9][0-9]{0,4})?", re.ASCII)
_NTH: Final = re.compile(r"([0-7])L|([0-7]|[A-Z]{3})#[1-5]", re.ASCII)
_LAST: Final = re.compile(r"LW?(?:/0*[1-9][0-9]{0,4})?", re.ASCII)


def cron_problem(line: str) -> str:
    """Return what is wrong with a cron line in words; empty for a sound one.

    Example:
        >>> cron_problem("@daily"), cron_problem("0 9 * * MON-FRI"), bool(cron_problem("61 * * * *"))
        ('', '', True)
    """
    text = WORDS.get(line.strip().lower(), line.strip())
    fields = text.upper().split() if len(text) <= _LONGEST else []
    if len(fields) not in (5, 6):
        return "expected five fields 'minute hour day month weekday', or six with seconds first"
    for (name, low, high, names), field in zip(_FIELDS[-len(fields) :], fields, strict=True):
        for part in field.split(","):
            if not _fits(part, name, range(low, high + 1), names):
                return f"{part!r} is no {name}"
    return ""


def _fits(part: str, name: str, numbers: range, names: Mapping[str, int]) -> bool:
    if name == "day of the month" and _LAST.fullmatch(part):
        return True
    nth = _NTH.fullmatch(part) if names is _DAYS else None
    if nth is not None:
        return _number(nth[1] or nth[2], names) in numbers
    found = _PART.fullmatch(part)
    if found is None or (found[1] == "*" and found[2]):
        return False
    ends = [_number(text, names) for text in (found[1], found[2]) if text and text != "*"]
    return all(end in numbers for end in ends) and ends == sorted(ends)


def _number(text: str, names: Mapping[str, int]) -> int:
    return names.get(text, -1) if text.isalpha() else int(text)


def _cron_line(value: str) -> str:
    problem = cron_problem(value)
    if problem:
        message = f"expected a cron line such as '0 9 * * MON-FRI', or one of {', '.join(WORDS)}: {problem}"
        raise complaint(message)
    return value


CronLine = Annotated[Text, AfterValidator(_cron_line)]
"""A cron line of five or six fields, or a word such as `@daily`."""
