"""How long requests to a model may take, and how often they are made again: the key `policy`."""

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from actors.config.duration import PositiveSeconds, Seconds
from actors.config.section import Section
from actors.config.value import Amount, Flag, Positive


class RateLimitsSpec(Section):
    """What all agents may ask of an endpoint together; of several policies of one endpoint the lowest limits hold."""

    requests_per_minute: Positive | None = None
    """Requests that begin in a minute, spread over it."""
    tokens_per_minute: Positive | None = None
    """Tokens in both directions."""
    concurrent: Positive | None = None
    """Requests that are open at once; a stream is open until its end."""

    def _mismatches(self) -> Iterator[tuple[str, str]]:
        if (self.requests_per_minute, self.tokens_per_minute, self.concurrent) == (None, None, None):
            yield "requests_per_minute", "is required, unless tokens_per_minute or concurrent is given"


class PolicySpec(Section):
    """What an agent does when its model is slow, broken or unavailable; `false` leaves it to the model."""

    short_forms: ClassVar[tuple[str, ...]] = ("boolean",)

    enabled: Flag = True
    """Whether requests follow a policy at all."""
    deadline: PositiveSeconds | None = None
    """One request with all its attempts, waits and the stream; by default the `timeout` of the run alone."""
    first_byte: PositiveSeconds | None = None
    """One attempt until its first content; 120 by default for streams, no limit for whole answers."""
    idle: PositiveSeconds | None = None
    """Between two pieces of a stream; 120 by default."""
    attempts: Positive | None = None
    """Requests that are made at most; 4 by default."""
    min_wait: Seconds | None = None
    """Longest wait before the second attempt, which doubles with each; 0.5 by default."""
    max_wait: Seconds | None = None
    """It does not grow beyond this; 30 by default."""
    retry_share: Annotated[Amount, Field(le=1)] | None = None
    """Further requests per request that an endpoint gets at most; 0.2 by default."""
    breaker_after: Positive | None = None
    """Failures of an endpoint in a row after which it is left alone; 5 by default."""
    probe_after: PositiveSeconds | None = None
    """How long it is left alone; 30 by default."""
    max_tool_calls: Positive | None = None
    """Tool calls of one answer; 100 by default."""
    max_response_bytes: Positive | None = None
    """Bytes of one answer after decompression; 33,554,432 by default."""
    limits: RateLimitsSpec | None = None
    """What may be asked of the endpoint of the model, by all agents with the same key together."""

    @classmethod
    def expand_shorthand(cls, data: object) -> object:
        """Read true and false."""
        return {"enabled": data} if isinstance(data, bool) else data

    def _mismatches(self) -> Iterator[tuple[str, str]]:
        for low, high, usual in (
            ("first_byte", "deadline", None),
            ("idle", "deadline", None),
            ("min_wait", "max_wait", 30),
        ):
            less, most = getattr(self, low), getattr(self, high) or usual
            if less is not None and most is not None and less > most:
                yield low, f"must not be more than {high!r}, which is {most:g}"
