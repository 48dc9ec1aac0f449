"""`ModelPolicy`: what an agent does when its model is slow, broken or unavailable."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec

from protocols.checks import POSITIVE, Check, check_fields, declared_checks, finite, instance_of, is_finite, whole
from protocols.errors import ConfigError
from protocols.keywords import NamedKeywords

_SHARE: Final = Check("a share from 0 to 1", lambda value: is_finite(value) and 0 <= value <= 1)
_WITHIN: Final = (("first_byte", "deadline"), ("idle", "deadline"), ("min_wait", "max_wait"))
OF_STREAMS: Final = 120.0
"""Seconds of `first_byte` and `idle` of a stream, unless a policy says otherwise."""


class RateLimits(msgspec.Struct, metaclass=NamedKeywords, frozen=True, kw_only=True):
    """What may be asked of one endpoint with one key, by all agents together; what is None has no limit.

    Example:
        >>> RateLimits(requests_per_minute=600, concurrent=20).concurrent
        20
    """

    requests_per_minute: Annotated[int | None, whole(1)] = None
    """Requests that begin in a minute; they are spread over it."""
    tokens_per_minute: Annotated[int | None, whole(1)] = None
    """Tokens read and written. A request begins with an estimate, in whose place comes what it has taken."""
    concurrent: Annotated[int | None, whole(1)] = None
    """Requests that are open at once; a stream is open until its end."""

    def __post_init__(self) -> None:
        """Refuse values that are impossible."""
        check_fields(_RATES, self, _refused)
        if all(getattr(self, name) is None for name in _RATES):
            raise _refused("", f"limits need one of {', '.join(_RATES)}")

    @staticmethod
    def strictest(several: Sequence["RateLimits"]) -> "RateLimits":
        """Return the lowest of each limit."""
        given = {name: [value for one in several if (value := getattr(one, name)) is not None] for name in _RATES}
        return RateLimits(**{name: min(values) for name, values in given.items() if values})


class ModelPolicy(msgspec.Struct, metaclass=NamedKeywords, frozen=True, kw_only=True):
    """How long one request to a model may take, and how often it is made again. Times are in seconds.

    Example:
        >>> ModelPolicy(deadline=60, attempts=2).deadline
        60
    """

    deadline: Annotated[float | None, POSITIVE] = None
    """The whole request with all its attempts, waits and the stream. None leaves it to the timeout of the run, which
    holds in any case."""
    first_byte: Annotated[float | None, POSITIVE] = None
    """One attempt until its first content: of a stream the first event, else the answer. None is 120 for streams, and
    no limit of its own for an answer that comes as a whole."""
    idle: Annotated[float | None, POSITIVE] = None
    """Between two pieces of content of a stream, which what keeps a connection alive is not; None is 120."""
    attempts: Annotated[int, whole(1)] = 4
    """Requests that are made at most. Only errors that may pass are worth another one, and none is made after the first
    piece of a stream."""
    min_wait: Annotated[float, finite(0)] = 0.5
    """Longest wait before the second attempt. It doubles with each attempt; the wait is a random part of it."""
    max_wait: Annotated[float, finite(0)] = 30.0
    """It does not grow beyond this. A wait that the provider asks for is kept whatever its length, and if it does not
    fit into the deadline, the request fails at once."""
    retry_share: Annotated[float, _SHARE] = 0.2
    """Further requests per request that an endpoint gets at most, apart from ten in a burst. One after a refusal of too
    many requests does not count."""
    breaker_after: Annotated[int | None, whole(1)] = 5
    """Failures of an endpoint in a row after which it is left alone; None for never."""
    probe_after: Annotated[float, POSITIVE] = 30.0
    """Time until one request finds out whether it works again."""
    max_tool_calls: Annotated[int, whole(1)] = 100
    """Tool calls of one answer; one with more is refused, and none of them is made."""
    max_response_bytes: Annotated[int, whole(1)] = 32 << 20
    """Bytes of one answer after decompression; what exceeds them is not read. An HTTP client that you gave to a
    provider reads what it wants, but for the streams of chat completions."""

    limits: Annotated[RateLimits | None, instance_of("RateLimits", RateLimits)] = None
    """What all agents of an endpoint may ask of it together; of several policies the strictest limits hold."""

    def __post_init__(self) -> None:
        """Refuse values that are impossible, or that contradict each other."""
        check_fields(_CHECKS, self, _refused, never_none=_NEVER_NONE)
        for low, high in _WITHIN:
            less, most = getattr(self, low), getattr(self, high)
            if less is not None and most is not None and less > most:
                raise _refused(low, f"{low}={less!r} must not be more than {high}={most!r}")


def _refused(_: str, problem: str) -> ConfigError:
    return ConfigError(f"model policy: {problem}")


_RATES: Any = declared_checks(RateLimits)
_CHECKS: Any = declared_checks(ModelPolicy)
_NEVER_NONE: Final = frozenset(_CHECKS) - {"deadline", "first_byte", "idle", "breaker_after", "limits"}

POLICY: Final = Check("a ModelPolicy, or False for none", lambda value: value is False or type(value) is ModelPolicy)
DEFAULT_POLICY: Final = ModelPolicy()
