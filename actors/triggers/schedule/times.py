"""The times of schedules: cron lines in a time zone, and intervals. Pure: no clock, no actor."""

import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, tzinfo
from functools import cache
from io import BytesIO
from itertools import islice
from math import ceil, floor
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from actors.config.cron_line import cron_fields
from protocols.triggers import TriggerConfigError

_SHOWN: Final = 100
_LOCAL_ZONE: Final = "/etc/localtime"
_RULE: Final = b"TZif2" + bytes(31) + b"\0\0\0\1\0\0\0\1" + bytes(7)
"""Half of a file of time zones without transitions: only the POSIX rule at its end counts."""

_log: Final = logging.getLogger("understage.triggers")


class CronTimes:
    """The times of a cron line, in seconds since 1970 UTC.

    Daylight saving time follows Debian's cron: a fixed time that the change skips is due right after the gap, one that
    comes twice is due once. Lines with `*` in the hour follow the real hours.

    Example:
        >>> times = CronTimes("0 9 * * MON-FRI", ZoneInfo("Europe/Berlin"))
        >>> datetime.fromtimestamp(times.next_after(0.0) or 0.0, UTC).isoformat()
        '1970-01-01T08:00:00+00:00'
    """

    def __init__(self, line: str, zone: tzinfo) -> None:
        """Parse the line.

        Args:
            line: minute, hour, day, month, weekday; with seconds first, or a word such as `@daily`.
            zone: time zone of the fields.

        Raises:
            TriggerConfigError: The line cannot be parsed, or never comes due.
        """
        self._zone = zone
        try:
            self._line = cron_fields(line)
        except ValueError as error:
            raise TriggerConfigError(f"cron line {line[:_SHOWN]!r}: {error}") from error
        if self.next_after(0.0) is None:
            raise TriggerConfigError(f"cron line {line!r} never comes due")

    def next_after(self, time: float) -> float | None:
        """Return the first time later than `time`; None if the next 50 years have none."""
        try:
            found = next(self._from(time, reverse=False), None)
        except CronSimError:  # the months of the line do not have its days
            return None
        return None if found is None else found.timestamp()

    def latest(self, after: float, until: float, limit: int) -> list[float]:
        """Return the last times with ``after < time <= until``, at most `limit`, oldest first."""
        found: list[float] = []
        # One second more: the series going back begins before its start.
        for moment in islice(self._from(floor(until) + 1, reverse=True), limit + 1):
            time = moment.timestamp()
            if time <= after or len(found) >= limit:
                break
            if time <= until:
                found.append(time)
        return found[::-1]

    def _from(self, time: float, *, reverse: bool) -> Iterator[datetime]:
        return CronSim(self._line, datetime.fromtimestamp(time, UTC).astimezone(self._zone), reverse=reverse)


class IntervalTimes:
    """Times at equal distance from a start, in seconds of any clock.

    Example:
        >>> IntervalTimes(60.0, start=10.0).next_after(70.0)
        130.0
    """

    def __init__(self, every: float, *, start: float) -> None:
        if not every > 0:
            raise TriggerConfigError(f"interval must be > 0 seconds, not {every!r}")
        self._every = every
        self._start = start

    def next_after(self, time: float) -> float:
        """Return the first time later than `time`."""
        count = max(1, floor((time - self._start) / self._every) + 1)
        due = self._start + count * self._every
        return due if due > time else due + self._every

    def latest(self, after: float, until: float, limit: int) -> list[float]:
        """Return the last times with ``after < time <= until``, at most `limit`, oldest first."""
        last = floor((until - self._start) / self._every)
        first = max(1, ceil((after - self._start) / self._every), last - limit + 1)
        times = (self._start + count * self._every for count in range(first, last + 1))
        return [time for time in times if after < time <= until]


Times = CronTimes | IntervalTimes
"""A series of times, in seconds of some clock."""


def local_zone() -> tzinfo:
    """Return the time zone of this machine with its daylight saving time; UTC if unknown."""
    name = os.environ.get("TZ", "").lstrip(":")
    if name:
        return _zone(name)
    try:
        with Path(_LOCAL_ZONE).open("rb") as file:
            return ZoneInfo.from_file(file, key="localtime")
    except (OSError, ValueError):
        return UTC


@cache
def _zone(name: str) -> tzinfo:
    """Return the time zone that `TZ` names: a name, a file or a POSIX rule; UTC with a warning if it is unknown."""
    try:
        if name.startswith("/"):
            with Path(name).open("rb") as file:
                return ZoneInfo.from_file(file, key=name)
        with suppress(ZoneInfoNotFoundError, ValueError, OSError):
            return ZoneInfo(name)
        return ZoneInfo.from_file(BytesIO(_RULE + _RULE + f"\n{name}\n".encode()), key=name)
    except (OSError, ValueError):
        _log.warning("TZ=%r is no time zone of this machine: schedules without 'timezone' follow UTC", name)
        return UTC
