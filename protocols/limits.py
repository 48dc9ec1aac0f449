"""Limits of the values that stores keep, and their checks, which raise ValueError naming field and value."""

from __future__ import annotations

import math

MAX_KEY_LENGTH = 255
"""Characters that an id, a conversation id, a run id, a node or a model may have."""
MAX_TEXT_FILTER = 1_000
"""Characters that a text filter may have."""
MAX_LIMIT = 10_000
"""Rows that one call may return."""
MAX_COUNT = 2**53
"""Counts are below this, so that every store and every JSON reader keeps them exactly."""
MAX_TIME = 253_402_300_800.0
"""Times are below this: the end of the year 9999 in seconds since 1970 UTC."""


def check_limit(limit: int) -> None:
    """Refuse a number of rows that is not 1 to `MAX_LIMIT`."""
    if isinstance(limit, bool) or not 1 <= limit <= MAX_LIMIT:
        msg = f"limit must be 1 to {MAX_LIMIT}, not {limit!r}; read further pages with `after`"
        raise ValueError(msg)


def is_storable(text: str) -> bool:
    """Return whether every database can keep the text as it is: no NUL, no lone surrogate."""
    if "\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_key(field: str, value: str) -> None:
    """Refuse a text that no database could use as a key."""
    if type(value) is str and 0 < len(value) <= MAX_KEY_LENGTH and value.isascii() and "\0" not in value:
        return  # nearly always
    if not _is_a(value, str) or not 0 < len(value) <= MAX_KEY_LENGTH or not is_storable(value):
        msg = f"{field} must be 1 to {MAX_KEY_LENGTH} characters without NUL or lone surrogates, not {value!r:.80}"
        raise ValueError(msg)


def check_kind(field: str, value: object, kind: type) -> None:
    """Refuse a value of another type."""
    if not isinstance(value, kind):
        msg = f"{field} must be {kind.__name__}, not {type(value).__name__}"
        raise ValueError(msg)  # noqa: TRY004 - one kind of error for all fields


def check_optional_key(field: str, value: str | None) -> None:
    """Refuse a key, unless it is None."""
    if value is not None:
        check_key(field, value)


def check_choice(field: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse what is not one of the choices."""
    if value not in choices:
        msg = f"{field} must be one of {', '.join(choices)}, not {value!r}"
        raise ValueError(msg)


def check_number(field: str, value: float) -> None:
    """Refuse a number that is negative or not finite."""
    if isinstance(value, bool) or not math.isfinite(value) or value < 0:
        msg = f"{field} must be a finite number of 0 or more, not {value!r}"
        raise ValueError(msg)


def check_count(field: str, value: int) -> None:
    """Refuse what is not a whole number from 0 to `MAX_COUNT`."""
    if type(value) is int and 0 <= value < MAX_COUNT:  # nearly always
        return
    if not _is_a(value, int) or _is_a(value, bool) or not 0 <= value < MAX_COUNT:
        msg = f"{field} must be a whole number from 0 to 2**53, not {value!r}"
        raise ValueError(msg)


def check_time(field: str, value: float) -> None:
    """Refuse what is no time between 1970 and the year 9999."""
    if isinstance(value, bool) or not 0 <= value < MAX_TIME:
        msg = f"{field} must be seconds since 1970-01-01 UTC, up to the year 9999, not {value!r}"
        raise ValueError(msg)


def check_span(since: float | None, until: float | None) -> None:
    """Refuse a time span without extent."""
    for field, value in (("since", since), ("until", until)):
        if value is not None:
            check_time(field, value)
    if since is not None and until is not None and since >= until:
        msg = f"since ({since!r}) must be before until ({until!r})"
        raise ValueError(msg)


def _is_a(value: object, kind: type) -> bool:
    """Return ``isinstance``: what comes from outside may not be what its annotation promises."""
    return isinstance(value, kind)
