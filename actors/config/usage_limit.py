"""What one run of an agent may use."""

from collections.abc import Mapping
from typing import ClassVar

from actors.config.section import Section
from actors.config.value import Amount, Count


class UsageLimitsSpec(Section):
    """Limits for one run; a run that exceeds one fails."""

    spellings: ClassVar[Mapping[str, str]] = {"tokens": "total_tokens", "request_limit": "requests"}

    requests: Count | None = None
    """Requests to the model."""
    tool_calls: Count | None = None
    """Successful tool calls."""
    input_tokens: Count | None = None
    """Tokens sent to the model."""
    output_tokens: Count | None = None
    """Tokens received from the model."""
    total_tokens: Count | None = None
    """Tokens in both directions."""
    cost: Amount | None = None
    """Money, in US dollars."""
