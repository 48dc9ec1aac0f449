"""How long runs took: their number and their time by classes of duration, exact in any order."""

from bisect import bisect_left
from operator import add
from typing import Final

import msgspec

BOUNDS: Final = tuple(0.01 * 2**step for step in range(16))
"""Upper bounds of the classes in seconds, those that OpenTelemetry advises for models and two more; one class is above
the last."""
_NANOSECONDS: Final = 1_000_000_000


def _zeros() -> list[int]:
    return [0] * (len(BOUNDS) + 1)


class DurationTotals(msgspec.Struct):
    """The numbers of runs, one for each class of duration, which only ever grow."""

    counts: list[int] = msgspec.field(default_factory=_zeros)
    """Runs."""
    nanoseconds: list[int] = msgspec.field(default_factory=_zeros)
    """The time of these runs together."""

    @property
    def seconds(self) -> float:
        """The time of all runs together."""
        return sum(self.nanoseconds) / _NANOSECONDS

    def add(self, seconds: float) -> None:
        """Count one run. Infinite numbers are left out."""
        try:
            nanoseconds = int(seconds * _NANOSECONDS)
        except (ValueError, OverflowError):
            return
        at = bisect_left(BOUNDS, seconds)
        self.counts[at] += 1
        self.nanoseconds[at] += nanoseconds

    def merge(self, other: "DurationTotals") -> "DurationTotals":
        """Return the sum of both, which grows no more with them."""
        return DurationTotals(
            list(map(add, self.counts, other.counts)), list(map(add, self.nanoseconds, other.nanoseconds))
        )
