"""Context variables that cross a mailbox with a message.

=========================  =========================================================================================
with every message         the trace (OpenTelemetry), the log context (structlog), and what `carry` was told
with the request of a run  the other variables of the caller as well, among them
                           the overrides of an agent of pydantic-ai that an `Agent` is made of
with no message            others of pydantic-ai (deadlines, limits), of the libraries below it, of `decimal`
                           and of Understage: they describe the work of the sender, not that of the receiver
=========================  =========================================================================================
"""

import sys
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any, Final, TypeVar
from weakref import ReferenceType, ref

V = TypeVar("V", bound=ContextVar[Any])

NEVER: Final = 0
WITH_RUNS: Final = 1
ALWAYS: Final = 2

_TRACE: Final = "current_context"
_MOST_VARIABLES: Final = 4096
_MOST_REGISTERED: Final = 1000
_LIBRARIES: Final = frozenset(("anyio", "mcp", "openai", "pydantic_ai", "pydantic_graph", "sniffio"))

carriers: set[type[Any]] = set()
"""Types of messages that carry more than others, and are told when they are refused: the request of a run."""
kinds: dict[ContextVar[Any], int] = {}
"""What `kind_of` has found out."""
_registered: set[ContextVar[Any]] = set()
_wrapped: list[ReferenceType[Any]] = []
renamed: dict[ContextVar[Any], ContextVar[Any]] = {}
"""Variables that the receiver finds under another name."""


def carry(variable: V) -> V:
    """Have every message of every system carry a context variable, those between your own actors included.

    The requests of runs carry it without this. Returns the `variable`.

    Example:
        >>> tenant = carry(ContextVar("tenant", default=""))

    Raises:
        TypeError: it is something else than a `ContextVar`.
        ValueError: it is the 1,001st: variables belong to modules, not to calls.
    """
    if not isinstance(variable, ContextVar):  # pyright: ignore[reportUnnecessaryIsInstance] - what users pass
        raise TypeError(f"carry() takes a ContextVar, got {variable!r}")
    if variable not in _registered and len(_registered) >= _MOST_REGISTERED:
        raise ValueError(
            f"carry() knows {_MOST_REGISTERED} variables already; make {variable.name!r} once, in a module"
        )
    _registered.add(variable)
    kinds.clear()
    return variable


def carry_as(variable: ContextVar[Any], other: ContextVar[Any]) -> None:
    """Give the receiver of a run a variable of a library under another name."""
    renamed[variable] = other
    kinds.clear()


def carry_overrides(agent: object) -> None:
    """Give the receiver of a run what ``agent.override(...)`` of pydantic-ai has set around the caller."""
    if not any(one() is agent for one in _wrapped):
        _wrapped.append(ref(agent, _wrapped.remove))
        kinds.clear()


def enter(carried: Iterable[tuple[ContextVar[Any], Any]] | None) -> None:
    """Set the variables that a message carries in the current context."""
    for variable, value in carried or ():
        variable.set(value)


def trace_of(carried: Iterable[tuple[ContextVar[Any], Any]] | None) -> Any:
    """Return what a message carries of OpenTelemetry; None for nothing."""
    return next((value for variable, value in carried or () if variable.name == _TRACE), None)


def kind_of(variable: ContextVar[Any], value: object) -> int:
    """Return with which messages a variable crosses: `NEVER`, `WITH_RUNS` or `ALWAYS`. The answer is kept."""
    if len(kinds) >= _MOST_VARIABLES:
        kinds.clear()
    kind = kinds[variable] = _judged(variable, value)
    return kind


def _judged(variable: ContextVar[Any], value: object) -> int:
    name = variable.name
    if variable in _registered or name.startswith("structlog_") or name == _TRACE:
        return ALWAYS
    if variable in renamed or variable in renamed.values():
        return WITH_RUNS
    if name == "decimal_context" or name.startswith("understage_"):
        return NEVER
    if name.startswith("_override_") and type(value).__module__.startswith("pydantic_ai."):
        owners: list[dict[str, object]] = [vars(owner) for one in _wrapped if (owner := one()) is not None]
        return WITH_RUNS if any(one is variable for owner in owners for one in owner.values()) else NEVER
    modules = [one for where, one in tuple(sys.modules.items()) if where.partition(".")[0] in _LIBRARIES]
    is_theirs = any(known is variable for module in modules for known in tuple(vars(module).values()))
    return NEVER if is_theirs else WITH_RUNS
