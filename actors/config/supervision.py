"""How nodes are restarted and runs are tried again: supervision of a node and of the members of a team, and retries."""

import builtins
import inspect
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo

from actors.config.duration import PositiveSeconds, Seconds
from actors.config.import_path import import_text
from actors.config.section import Section
from actors.config.value import Amount, Count, Positive
from protocols import errors

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

    def _mismatches(self) -> Iterator[tuple[str, str]]:
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


def error_named(name: str) -> type[Exception] | None:
    """Return an exception of Python or of Understage by its bare name; None for another text."""
    found = getattr(errors, name, None) or getattr(builtins, name, None)
    return found if inspect.isclass(found) and issubclass(found, Exception) else None


def _failure(value: str, info: ValidationInfo) -> str:
    return value if error_named(value) is not None else import_text(value, info)


FailureText = Annotated[str, AfterValidator(_failure)]
"""Name of an error of Python or of Understage, or an import string that `allow_imports` covers."""


class RetrySpec(Section):
    """How often a run tries again after a failure, and the waits between."""

    attempts: Positive = 3
    """Most attempts of one run, the first included."""
    on: tuple[FailureText, ...] = ("Exception",)
    """Failures after which it tries again: `ConnectionError`, `RunTimeoutError`, import strings of others."""
    backoff: BackoffSpec = Field(default_factory=BackoffSpec)
    """Wait before the second attempt, and its growth."""
