"""Limits of the values that stores keep, and the checks of such values."""

from protocols.checks import Check, check_values, finite, is_number

MAX_KEY_LENGTH = 255
"""Characters of an id, a conversation id, a run id, a node or a model."""
MAX_TEXT_FILTER = 1_000
"""Characters of a text filter."""
MAX_LIMIT = 10_000
"""Rows that one call may return."""
MAX_COUNT = 2**53
"""Counts are below this limit, so that every store and every JSON reader keeps them exactly."""
MAX_TIME = 253_402_300_800.0
"""Times are below this limit: the end of the year 9999 in seconds since 1970 UTC."""


def is_storable(text: str) -> bool:
    """Return True if every database can keep the text unchanged: no NUL, no lone surrogate."""
    if "\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


KEY = Check(
    f"1 to {MAX_KEY_LENGTH} characters without NUL or lone surrogates",
    lambda value: isinstance(value, str) and 0 < len(value) <= MAX_KEY_LENGTH and is_storable(value),
)
TEXT_FILTER = Check(
    f"1 to {MAX_TEXT_FILTER} characters", lambda value: isinstance(value, str) and 0 < len(value) <= MAX_TEXT_FILTER
)
LIMIT = Check(
    f"1 to {MAX_LIMIT} (read further pages with `after`)", lambda value: type(value) is int and 1 <= value <= MAX_LIMIT
)
COUNT = Check("a whole number from 0 to 2**53", lambda value: type(value) is int and 0 <= value < MAX_COUNT)
AMOUNT = finite(0)
TIME = Check(
    "seconds since 1970-01-01 UTC, up to the year 9999", lambda value: is_number(value) and 0 <= value < MAX_TIME
)


def check_limit(limit: int) -> None:
    """Refuse a number of rows that is not 1 to `MAX_LIMIT`."""
    check_values({"limit": LIMIT}, {"limit": limit}, never_none=("limit",))


def check_span(since: float | None, until: float | None) -> None:
    """Refuse a time span without extent."""
    if since is not None and until is not None and since >= until:
        raise ValueError(f"since ({since!r}) must be before until ({until!r})")
