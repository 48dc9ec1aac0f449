"""How long runs took: their number and their time by classes of duration, which can be added and never shrink."""

from bisect import bisect_left
from math import isfinite
from typing import Final

import msgspec

BOUNDS: Final = tuple(0.01 * 2**step for step in range(16))
"""Upper bounds of the classes in seconds, those that OpenTelemetry advises for models and two more; one class is above
the last."""
_CLASSES: Final = len(BOUNDS) + 1
_NANOSECONDS: Final = 1_000_000_000


class DurationTotalsSnapshot(msgspec.Struct, frozen=True):
    """The numbers at one moment, one for each class of duration."""

    counts: tuple[int, ...] = (0,) * _CLASSES
    """Runs."""
    nanoseconds: tuple[int, ...] = (0,) * _CLASSES
    """The time of these runs together."""

    @property
    def seconds(self) -> float:
        """The time of all runs together."""
        return sum(self.nanoseconds) / _NANOSECONDS

    def __add__(self, other: "DurationTotalsSnapshot") -> "DurationTotalsSnapshot":
        """Return the sum of both."""
        counts, nanoseconds = (
            zip(self.counts, other.counts, strict=True),
            zip(self.nanoseconds, other.nanoseconds, strict=True),
        )
        return DurationTotalsSnapshot(tuple(map(sum, counts)), tuple(map(sum, nanoseconds)))


class DurationTotals:
    """Counts durations."""

    __slots__ = ("_counts", "_nanoseconds")

    def __init__(self) -> None:
        self._counts = [0] * _CLASSES
        self._nanoseconds = [0] * _CLASSES

    def add(self, seconds: float) -> None:
        """Count one run. Infinite numbers are left out."""
        if isfinite(seconds):
            at = bisect_left(BOUNDS, seconds)
            self._counts[at] += 1
            self._nanoseconds[at] += round(seconds * _NANOSECONDS)

    def snapshot(self) -> DurationTotalsSnapshot:
        """Return the numbers of this moment."""
        return DurationTotalsSnapshot(tuple(self._counts), tuple(self._nanoseconds))
