"""`Budget`: how much a run, a session, an agent, a team or a pool may spend on models."""

from contextvars import ContextVar
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec

from protocols.checks import POSITIVE, Check, check_fields, choice, declared_checks, is_finite, whole
from protocols.errors import ConfigError
from protocols.keywords import NamedKeywords

_LIMITS = ("tokens", "cost", "requests", "seconds")
_MONEY = Check("dollars > 0", lambda value: (is_finite(value) or isinstance(value, Decimal)) and value > 0)
_SHARE = Check("a share above 0, up to 1", lambda value: is_finite(value) and 0 < value <= 1)


class Budget(msgspec.Struct, metaclass=NamedKeywords, frozen=True, kw_only=True):
    """Limits of what models may be asked for; what is None has no limit. At least one limit is given.

    Example:
        >>> Budget(tokens=50_000, requests=20).tokens
        50000
    """

    tokens: Annotated[int | None, whole(1)] = None
    """Tokens read and written."""
    cost: Annotated[Decimal | float | None, _MONEY] = None
    """Money in US dollars. An answer without a known price counts as nothing, and is told by a `BudgetWarning`: give
    `tokens` as well."""
    requests: Annotated[int | None, whole(1)] = None
    """Requests to models, repeated ones included."""
    seconds: Annotated[float | None, POSITIVE] = None
    """Seconds since the first request, after which no request begins."""
    per: Annotated[Literal["day"] | None, choice("day")] = None
    """``day`` for a budget that begins anew at midnight UTC; None for one that does not."""
    warn_at: Annotated[float, _SHARE] = 0.8
    """Share of a limit at which a `BudgetWarning` is published, once for each limit."""

    def __post_init__(self) -> None:
        check_fields(_CHECKS, self, lambda _, problem: ConfigError(f"budget {problem}"), never_none=("warn_at",))
        if all(getattr(self, name) is None for name in _LIMITS):
            raise ConfigError(f"a budget needs one limit of {', '.join(_LIMITS)}")


_CHECKS: Any = declared_checks(Budget)
BUDGET = Check("a Budget", lambda value: isinstance(value, Budget | tuple))
"""A tuple holds what a part of a run draws from: its own budget, if it has one, and ledgers."""
drawn: ContextVar[tuple[Any, ...]] = ContextVar("understage_ledgers", default=())
"""The ledgers that requests of the current run draw from, each an `actors.models.budget.Ledger`."""
