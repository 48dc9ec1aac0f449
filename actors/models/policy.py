"""`ModelPolicy`: what an agent does when its model is slow, broken or unavailable."""

from typing import Annotated, Any, Final

import msgspec

from protocols.checks import POSITIVE, Check, check_fields, declared_checks, finite, is_finite, whole
from protocols.errors import ConfigError

_SHARE: Final = Check("a share from 0 to 1", lambda value: is_finite(value) and 0 <= value <= 1)
_WITHIN: Final = (("first_byte", "deadline"), ("idle", "deadline"), ("min_wait", "max_wait"))
_OF_STREAMS: Final = 120.0


class ModelPolicy(msgspec.Struct, frozen=True, kw_only=True):
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

    def __post_init__(self) -> None:
        """Refuse values that are impossible, or that contradict each other."""
        check_fields(_CHECKS, self, _refused, never_none=_NEVER_NONE)
        for low, high in _WITHIN:
            less, most = getattr(self, low), getattr(self, high)
            if less is not None and most is not None and less > most:
                raise _refused(low, f"{low}={less!r} must not be more than {high}={most!r}")

    @property
    def first_byte_of_stream(self) -> float:
        """Seconds until the first event of a stream."""
        return _OF_STREAMS if self.first_byte is None else self.first_byte

    @property
    def idle_of_stream(self) -> float:
        """Seconds between two events of a stream."""
        return _OF_STREAMS if self.idle is None else self.idle


def _refused(_: str, problem: str) -> ConfigError:
    return ConfigError(f"model policy: {problem}")


_CHECKS: Any = declared_checks(ModelPolicy)
_NEVER_NONE: Final = frozenset(_CHECKS) - {"deadline", "first_byte", "idle", "breaker_after"}

POLICY: Final = Check("a ModelPolicy, or False for none", lambda value: value is False or type(value) is ModelPolicy)
DEFAULT_POLICY: Final = ModelPolicy()
