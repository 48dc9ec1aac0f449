"""What a message cost: tokens and money, under the names of both eras of the contract."""

from decimal import Decimal

from protocols.json_value import JsonValue


class TokenUsage(JsonValue, frozen=True):
    """Tokens one message used.

    The fields can be read as attributes under either spelling (``input_tokens`` or ``prompt``) and by key
    (``usage["total"]``).

    Example:
        >>> usage = TokenUsage(input_tokens=3, output_tokens=2)
        >>> usage.total_tokens, usage.prompt, usage["completion"]
        (5, 3, 2)
    """

    input_tokens: int = 0
    """Tokens read by the model."""
    output_tokens: int = 0
    """Tokens written by the model."""

    @property
    def total_tokens(self) -> int:
        """Tokens read plus tokens written."""
        return self.input_tokens + self.output_tokens

    @property
    def total(self) -> int:
        """Same as `total_tokens`."""
        return self.total_tokens

    @property
    def prompt(self) -> int:
        """Same as `input_tokens`."""
        return self.input_tokens

    @property
    def completion(self) -> int:
        """Same as `output_tokens`."""
        return self.output_tokens

    def __getitem__(self, key: str) -> int:
        """Return the number under any of its names; KeyError for another name."""
        if key in _NAMES:
            value: int = getattr(self, key)
            return value
        raise KeyError(f"token usage has no entry {key!r}; known are {', '.join(_NAMES)}")

    def __add__(self, other: "TokenUsage") -> "TokenUsage":
        return TokenUsage(self.input_tokens + other.input_tokens, self.output_tokens + other.output_tokens)


_NAMES = ("total", "prompt", "completion", "total_tokens", "input_tokens", "output_tokens")

ZERO_COST = Decimal(0)
"""No money, exactly."""


class TokenCost(JsonValue, frozen=True):
    """Tokens and money of exactly one message.

    Example:
        >>> cost = TokenCost(TokenUsage(10, 5), Decimal("0.0025"))
        >>> f"{cost.total_cost:.4f}", cost.token_usage["total"]
        ('0.0025', 15)
    """

    token_usage: TokenUsage = TokenUsage()
    """Tokens the message used."""
    total_cost: Decimal = ZERO_COST
    """Money in US dollars; 0 when the price is unknown, see `cost_known`."""
    cost_known: bool = True
    """False when no price list knows the model, so `total_cost` says nothing."""
    unmeasured_requests: int = 0
    """Requests that tokens and money lack: cancelled or broken ones, and those whose answer did not say its usage."""

    def __add__(self, other: "TokenCost") -> "TokenCost":
        """Return the sum of both costs; known only when both are."""
        return TokenCost(
            self.token_usage + other.token_usage,
            self.total_cost + other.total_cost,
            self.cost_known and other.cost_known,
            self.unmeasured_requests + other.unmeasured_requests,
        )
