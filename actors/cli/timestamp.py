"""Points in time on the command line."""

from datetime import UTC, datetime
from typing import Final

from actors.cli.exit_code import fail
from actors.config.duration import parse_duration

_HOUR: Final = 3_600.0


def moment(seconds: float | None) -> str:
    """Return seconds since 1970 UTC as text; empty for None.

    Example:
        >>> moment(0.0)
        '1970-01-01 00:00:00+00:00'
    """
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(" ", "seconds")


def moment_of(text: str, option: str, *, now: float) -> float:
    """Return a point in time, in seconds since 1970 UTC.

    Args:
        text: a date with or without a time (UTC without a zone), or an age: hours as a number, 7d, 90m.
        option: name of the option.
        now: seconds since 1970 UTC.

    Raises:
        CommandError: the text is neither.
    """
    try:
        return max(0.0, now - parse_duration(text, unit=_HOUR))
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text.strip())
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        fail(
            f"{option} must be a date such as 2026-01-31 or 2026-01-31T12:00, or how long ago: hours as a number, "
            f"7d, 90m; not {text!r:.80}"
        )
