"""Cron lines of five or six fields, and the words that stand for one."""

from datetime import UTC, datetime
from typing import Annotated, Final

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator

from actors.config.value import Text

WORDS: Final = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}  # fmt: skip
"""Words that stand for a cron line."""
_LONGEST: Final = 1_000


def cron_fields(line: str) -> str:
    """Return the fields of a cron line, also for one of `WORDS`.

    Example:
        >>> cron_fields("@daily"), cron_fields(" 0 9 * * MON-FRI ")
        ('0 0 * * *', '0 9 * * MON-FRI')

    Raises:
        ValueError: The line is not sound; the text says which field.
    """
    fields = WORDS.get(line.strip().lower(), line.strip())
    problem = "too long" if len(fields) > _LONGEST else ""
    try:
        # A day that its months do not have is sound, but never comes due: so these two are looked at one by one.
        for place in () if problem else (-2, -3):
            parts = fields.split()
            CronSim(" ".join([*parts[:place], "*", *parts[place + 1 :]]), datetime.now(UTC))
    except (CronSimError, AssertionError, RecursionError) as error:
        problem = str(error) or "Bad step"
    if problem:
        raise ValueError(f"expected a cron line such as '0 9 * * MON-FRI', or one of {', '.join(WORDS)}: {problem}")
    return fields


def _cron_line(value: str) -> str:
    cron_fields(value)
    return value


CronLine = Annotated[Text, AfterValidator(_cron_line)]
"""A cron line of five or six fields, or a word such as `@daily`."""
