"""Usage limits of a run inside another run."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from pydantic_ai.usage import RunUsage, UsageLimits

_COUNTED = {
    "request_limit": "requests",
    "tool_calls_limit": "tool_calls",
    "input_tokens_limit": "input_tokens",
    "output_tokens_limit": "output_tokens",
    "total_tokens_limit": "total_tokens",
    "cost_limit": "cost",
}
"""Limits of a whole run, and the usage that they bound."""


def joint_limits(outer: UsageLimits | None, used: RunUsage, own: UsageLimits | None) -> UsageLimits | None:
    """Return limits that keep both runs within their own: the outer limits hold for both runs together.

    Args:
        outer: limits of the outer run.
        used: usage of the outer run, to which the inner run adds. The result holds only for this moment.
        own: limits of the inner run alone.
    """
    if outer is None or own is None:
        return outer if own is None else _beyond(used, own)
    ahead = _beyond(used, own)
    names = (*_COUNTED, "per_request_input_tokens_limit")
    least: dict[str, Any] = {name: _least(getattr(outer, name), getattr(ahead, name)) for name in names}
    counts_first = outer.count_tokens_before_request or own.count_tokens_before_request
    return replace(ahead, **least, count_tokens_before_request=counts_first)


def _beyond(used: RunUsage, own: UsageLimits) -> UsageLimits:
    """Return the limits of the inner run, counted from the usage of the outer run."""
    moved: dict[str, Any] = {}
    for name, counted in _COUNTED.items():
        limit = getattr(own, name)
        if limit is not None:
            moved[name] = limit + (getattr(used, counted) or 0)
    return replace(own, **moved)


def _least(one: float | Decimal | None, other: float | Decimal | None) -> float | Decimal | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
