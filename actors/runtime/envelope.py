"""A message on its way: what it carries, and the scope that a handler runs in."""

from __future__ import annotations

from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    # Envelopes are never decoded, so their annotations are not needed at run time.
    from actors.runtime.deadline import SingleTimer  # noqa: TC004
    from actors.runtime.future import AsyncioFuture  # noqa: TC004
    from actors.runtime.lifecycle import Cell  # noqa: TC004
    from actors.runtime.turn import Turn  # noqa: TC004

QUEUED: Final = 0
RUNNING: Final = 1
SETTLED: Final = 2

Carried = tuple[tuple[ContextVar[Any], Any], ...]


class Envelope(msgspec.Struct, eq=False):
    """One message with everything that crosses the mailbox beside it.

    The garbage collector has to see it: the traceback of an error leads over the frame of the engine to the envelope,
    and the envelope over its message or its reply back to the error.
    """

    message: Any
    cell: Cell
    """The actor it is for."""
    reply: AsyncioFuture[Any] | None = None
    """Where the answer goes; None for a tell, or once the handler has taken the reply over."""
    sender: Cell | None = None
    """The actor whose handler sent it; None if it came from outside any handler."""
    parent: Envelope | None = None
    """For an ask out of a handler: the message which that handler is handling, so the chain of waiting actors."""
    lane: dict[AsyncioFuture[Any], float] | SingleTimer | None = None
    """Where the deadline of an ask is kept while it is open."""
    deadline: float | None = None
    """Monotonic seconds after which the work is not started any more."""
    carried: Carried | None = None
    """Trace and log context of the sender."""
    at: float = 0.0
    """When it was sent, in monotonic seconds."""
    state: int = QUEUED
    incarnation: int = 0
    """Which life of the actor handled it."""
    turn: Turn | None = None
    """The suspended handler, while there is one."""
    abandoned: str | None = None
    """Why nobody waits for the work any more (``cancelled``, ``expired``)."""
    accepted: bool = True
    """Whether a mailbox took it; False for the steps of an actor's own life."""
    fenced: bool = False
    """The handler was cut loose; whatever it still sends is dropped."""


current: ContextVar[Envelope | None] = ContextVar("understudy_envelope", default=None)
"""The message that the running handler is handling."""

_carries: dict[ContextVar[Any], bool] = {}
_MOST_VARIABLES: Final = 4096
_lone: list[ContextVar[Any]] = [current]
"""The variable that was alone in a context last, and is not carried."""


def _is_carried(variable: ContextVar[Any]) -> bool:
    known = _carries.get(variable)
    if known is None:
        if len(_carries) >= _MOST_VARIABLES:
            _carries.clear()
        known = variable.name.startswith("structlog_") or variable.name == "current_context"
        _carries[variable] = known
    return known


def carry(context: Context) -> Carried | None:
    """Return the trace (OpenTelemetry) and log (structlog) variables of a context, None if there are none.

    Everything else stays behind on purpose: a copied context would hand the sender's deadlines and overrides of
    pydantic-ai to the receiver.
    """
    # Nearly every context outside a handler holds one variable, that of `decimal`: do not search it every time.
    if len(context) == 1 and _lone[0] in context:
        return None
    found: list[tuple[ContextVar[Any], Any]] = []
    for variable in context:
        if _carries.get(variable) is not False and _is_carried(variable):
            found.append((variable, context[variable]))
        elif len(context) == 1:
            _lone[0] = variable
    return tuple(found) or None
