"""`Durable`: how a node keeps what it has accepted until it has handled it."""

from typing import Annotated, Any, Literal

import msgspec

from protocols.checks import FLAG, POSITIVE, check_fields, choice, declared_checks, instance_of, whole
from protocols.errors import ConfigError

Order = Literal["loose", "strict"]
"""What later messages do while one waits to be delivered again: pass it, or wait for it."""


class Durable(msgspec.Struct, frozen=True, kw_only=True):
    """How a node keeps what it has accepted in the journal of its pool, until it has handled it.

    Example:
        >>> Durable(retries=2, order="strict").backoff
        5.0
    """

    retries: Annotated[int, whole(0)] = 0
    """How often a message whose run has failed is delivered again, before it is a dead letter."""
    backoff: Annotated[float, POSITIVE] = 5.0
    """Seconds between the failure of a run and the next delivery."""
    order: Annotated[Order, choice("loose", "strict")] = "loose"
    """``strict`` if later messages wait for one that is to be delivered again; ``loose`` if they pass it."""
    steps: Annotated[bool, FLAG] = True
    """True to keep finished requests to models and calls of tools, so that a run that is delivered again does not pay
    for them twice."""
    expires: Annotated[float | None, POSITIVE] = None
    """Seconds after its acceptance after which a message is not delivered any more. None for no limit."""

    def __post_init__(self) -> None:
        """Refuse impossible values. Raises ConfigError."""
        never_none = ("retries", "backoff", "order", "steps")
        check_fields(_CHECKS, self, lambda _, problem: ConfigError(f"durable: {problem}"), never_none=never_none)


_CHECKS: Any = declared_checks(Durable)
DURABLE = instance_of("True, False or Durable(retries, backoff, order, steps, expires)", bool, Durable)


def durable_of(given: object) -> Durable | None:
    """Return what a setting that `DURABLE` accepts stands for: True is the usual, None and False are nothing."""
    if isinstance(given, Durable):
        return given
    return Durable() if given else None
