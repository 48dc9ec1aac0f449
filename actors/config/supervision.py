"""How nodes are restarted: the supervision of a single node and of the members of a team."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from actors.config.duration import PositiveSeconds, Seconds
from actors.config.section import Section
from actors.config.value import Amount, Count

Restart = Literal["permanent", "transient", "temporary"]
"""Whether a node is restarted: always, after a crash, or never."""
Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]
"""Which members are restarted when one crashes."""


class IntensitySpec(Section):
    """How many restarts are tolerated before the supervisor gives up."""

    limit: Count = 3
    """Restarts that are tolerated within `period`; one more and the supervisor itself fails."""
    period: PositiveSeconds = 5.0
    """Length of the sliding window, in seconds."""


class BackoffSpec(Section):
    """The growing delay before a restart."""

    min: Seconds = 0.2
    """First delay, in seconds."""
    max: Seconds = 30.0
    """Longest delay, in seconds."""
    factor: Amount = Field(default=2.0, ge=1)
    """By how much the delay grows with each restart."""
    jitter: Amount = Field(default=0.2, le=1)
    """Share of the delay that is random, from 0 to 1."""
    reset_after: Seconds | None = None
    """Quiet time after which the delay starts small again, in seconds; the middle of `min` and `max` by default."""
    max_consecutive: Count | None = None
    """Largest number of restarts in a row; by default only the intensity limits them."""

    def mismatches(self) -> Iterator[tuple[str, str]]:
        """Yield what does not fit together."""
        if self.min > self.max:
            yield "min", "is larger than max"
        if self.min == 0 < self.max:
            yield "min", "is 0 and never grows to max; set max to 0 too for no delay"


class NodeSupervision(Section):
    """How one node is restarted and stopped."""

    restart: Restart | None = None
    """`permanent`, `transient` (only after a crash; the default of nodes) or `temporary`."""
    shutdown: Seconds | None = None
    """How long the node may take to stop before it is killed, in seconds."""


class Supervision(NodeSupervision):
    """How the members of a team, or all nodes of the pool, are restarted."""

    strategy: Strategy = "one_for_one"
    """Which members are restarted when one crashes."""
    intensity: IntensitySpec = Field(default_factory=IntensitySpec)
    """How many restarts are tolerated."""
    backoff: BackoffSpec = Field(default_factory=BackoffSpec)
    """How long to wait before each restart."""
