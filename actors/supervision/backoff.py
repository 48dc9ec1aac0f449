"""The delay before a supervisor starts a child again.

Delays grow exponentially up to a cap, as in Akka and Pekko. The cap holds after the jitter: no delay exceeds `max`.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Final, Self

from actors.supervision.errors import SupervisionOptionError
from protocols.checks import check_fields, declared_checks, finite, whole
from protocols.keywords import named_keywords

_MOST_STEPS: Final = 10**300
"""Exponents above this do not fit a float and give the same delay."""


@named_keywords
@dataclass(frozen=True, slots=True)
class Backoff:
    """Growing delay between restarts of one child; the default is 0.2 s doubling to 30 s, spread by up to 20 %.

    Example:
        >>> backoff = Backoff(min=1.0, max=5.0, jitter=0.0)
        >>> [backoff.delay(restarts) for restarts in range(4)]
        [1.0, 2.0, 4.0, 5.0]
    """

    min: Annotated[float, finite(0)] = 0.2
    """Delay before the first restart in seconds, without jitter."""
    max: Annotated[float, finite(0)] = 30.0
    """No delay is longer than this, jitter included; seconds."""
    factor: Annotated[float, finite(1)] = 2.0
    """Growth of the delay with each restart; at least 1."""
    jitter: Annotated[float, finite(0)] = 0.2
    """A delay grows by a random share of up to this, so that many children do not restart at once."""
    reset_after: Annotated[float | None, finite(0)] = None
    """Seconds a child has to run to reset the count; `None` is the middle between `min` and `max`."""
    max_consecutive: Annotated[int | None, whole(0)] = None
    """Most restarts in a row; `None` leaves the limit to the restart intensity.

    Growing delays put few restarts into one period, so only this limit stops a child that can never start.
    """

    def __post_init__(self) -> None:
        """Refuse impossible values, naming the field."""
        refused = partial(SupervisionOptionError, "backoff")
        check_fields(_CHECKS, self, refused, never_none=("min", "max", "factor", "jitter"))
        if self.max < self.min:
            raise refused(field="max", problem=f"max={self.max!r} must not be less than min={self.min!r}")
        if self.min == 0.0 < self.max:
            raise refused(
                field="min",
                problem=f"min={self.min!r} never grows to max={self.max!r}; use Backoff.none() for no delay",
            )

    @classmethod
    def none(cls) -> Self:
        """Return a backoff that restarts at once, every time."""
        return cls(min=0.0, max=0.0, jitter=0.0)

    @property
    def quiet_period(self) -> float:
        """Seconds a child has to run to reset the count of restarts."""
        return self.min / 2 + self.max / 2 if self.reset_after is None else self.reset_after

    def delay(self, restarts: int, draw: float = 0.0) -> float:
        """Return the seconds to wait, `min * factor ** restarts` lengthened by `jitter * draw`, at most `max`.

        Args:
            restarts: Restarts since the count began; 0 for the first.
            draw: Random number from 0 (included) to 1, for example `random.random()`.

        Raises:
            ValueError: `restarts` is negative or `draw` outside 0 to 1.
        """
        if restarts < 0 or not 0.0 <= draw <= 1.0:
            raise ValueError(f"backoff: restarts={restarts!r} and draw={draw!r} must be >= 0, and draw at most 1")
        try:
            grown = self.min * self.factor ** min(restarts, _MOST_STEPS)
        except OverflowError:
            grown = self.max
        return float(min(self.max, grown * (1.0 + self.jitter * draw)))


_CHECKS: Final = declared_checks(Backoff)


class RestartStreak:
    """Counts the restarts of one child in a row. Fed with the times of a monotonic clock, in seconds."""

    __slots__ = ("_backoff", "_running_since", "restarts")

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._running_since: float | None = None
        self.restarts: int = 0
        """Restarts since the child last ran for the quiet period."""

    def started(self, now: float) -> None:
        """Note that an incarnation has been running since `now`."""
        self._running_since = now

    def failed(self, now: float, draw: float = 0.0) -> float | None:
        """Note a crash or a failed start; return the delay of the next restart, or `None` at the limit.

        A failed start lengthens the delay as a crash does, because no quiet time has passed.
        """
        since, self._running_since = self._running_since, None
        if since is not None and now - since >= self._backoff.quiet_period:
            self.restarts = 0
        limit = self._backoff.max_consecutive
        if limit is not None and self.restarts >= limit:
            return None
        delay = self._backoff.delay(self.restarts, draw)
        self.restarts += 1
        return delay
