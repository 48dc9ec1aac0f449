"""`Retry`: how often a node does its step again after a failure, and the waits between."""

from typing import Annotated, Final

import msgspec

from actors.supervision.backoff import Backoff
from protocols.checks import FAILURES, check_fields, declared_checks, instance_of, whole
from protocols.errors import ConfigError, NodeStoppedError, RunCancelledError
from protocols.keywords import NamedKeywords

_FINAL: Final = (RunCancelledError, NodeStoppedError)
"""Failures after which there is nothing to try again."""


class Retry(msgspec.Struct, metaclass=NamedKeywords, frozen=True, kw_only=True):
    """How often a node does its step again after a failure.

    Example:
        >>> Retry(attempts=5, on=(ConnectionError,), backoff=Backoff(min=0.5, max=8.0)).attempts
        5
    """

    attempts: Annotated[int, whole(1)] = 3
    """Most attempts of one run, the first included."""
    on: Annotated[tuple[type[Exception], ...], FAILURES] = (Exception,)
    """Failures after which it tries again. One that says of itself that a retry is useless (its ``retryable`` is False)
    has to be named here; so has the end of a member by a stop or a cancellation."""
    backoff: Annotated[Backoff, instance_of("Backoff(min, max)", Backoff)] = msgspec.field(default_factory=Backoff)
    """Wait before the second attempt, and its growth."""

    def __post_init__(self) -> None:
        """Refuse impossible values. Raises ConfigError."""
        check_fields(_CHECKS, self, lambda _, problem: ConfigError(f"retry: {problem}"), never_none=_CHECKS)

    def covers(self, error: Exception) -> bool:
        """Return True for a failure after which it tries again."""
        kinds = self.on
        if isinstance(error, _FINAL) or getattr(error, "retryable", True) is False:
            kinds = tuple(kind for kind in kinds if kind is not Exception)
        return isinstance(error, kinds)


_CHECKS = declared_checks(Retry)
