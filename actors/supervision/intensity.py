"""The number of restarts after which a supervisor gives up.

A supervisor gives up when more than `limit` restarts fall into any window of `period` seconds, both ends included.
A child that crashes every c seconds therefore ends its supervisor exactly if c * limit <= period.
"""

from collections import deque
from dataclasses import dataclass
from functools import partial
from math import isnan
from typing import Final

from actors.supervision.errors import SupervisionOptionError
from protocols.checks import POSITIVE, Checks, check_fields, whole
from protocols.keywords import named_keywords

_RESOLUTION: Final = 1e-9
"""Windows are compared to the nanosecond, the step of a monotonic clock, because sums of floats are inexact."""

_CHECKS: Final[Checks] = {"limit": whole(0), "period": POSITIVE}


@named_keywords
@dataclass(frozen=True, slots=True)
class RestartIntensity:
    """Limit of restarts per time; the default is 3 in 5 seconds.

    Example:
        >>> RestartIntensity(limit=1, period=60.0).limit
        1
    """

    limit: int = 3
    """Restarts allowed within one period; 0 gives up at the first."""
    period: float = 5.0
    """Length of the window in seconds."""

    def __post_init__(self) -> None:
        """Refuse a limit that is not a whole number >= 0 and a period that is not positive and finite."""
        check_fields(_CHECKS, self, partial(SupervisionOptionError, "restart intensity"), never_none=_CHECKS)


class RestartWindow:
    """Counts restart attempts in an exact sliding window. Keeps at most `limit + 1` times."""

    __slots__ = ("_intensity", "_times")

    def __init__(self, intensity: RestartIntensity) -> None:
        self._intensity = intensity
        self._times: deque[float] = deque()

    def follow(self, intensity: RestartIntensity) -> None:
        """Set another limit and period. The attempts so far still count."""
        self._intensity = intensity
        while len(self._times) > intensity.limit + 1:
            self._times.popleft()

    def record(self, now: float) -> bool:
        """Count one attempt at `now` (seconds of a monotonic clock); return True if it exceeds the limit.

        Every attempt counts, a failed start included. A group restart is one attempt.

        Raises:
            ValueError: `now` is not a number.
        """
        if isnan(now):
            raise ValueError("restart window: now=nan is no time")
        self._forget(now)
        self._times.append(now)
        if len(self._times) > self._intensity.limit + 1:
            self._times.popleft()
        return len(self._times) > self._intensity.limit

    def count(self, now: float) -> int:
        """Return the number of attempts in the window that ends at `now`, at most `limit + 1`."""
        self._forget(now)
        return len(self._times)

    def _forget(self, now: float) -> None:
        while self._times and now - self._times[0] > self._intensity.period + _RESOLUTION:
            self._times.popleft()
