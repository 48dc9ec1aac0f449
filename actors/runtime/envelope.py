"""A message on its way: what it carries, and the scope that a handler runs in."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

if TYPE_CHECKING:
    # Envelopes are never decoded, so their annotations are not needed at run time.
    from actors.runtime.cell import Cell  # noqa: TC004

QUEUED: Final = 0
RUNNING: Final = 1
SETTLED: Final = 2

Carried = tuple[tuple[ContextVar[Any], Any], ...]


class Reply(Protocol):
    """What the engine needs of the future of an ask; it is an `AsyncioFuture`."""

    envelope: Envelope | None

    def done(self) -> bool:
        """Return True if nobody waits for the reply."""
        ...

    def set_result(self, result: Any, /) -> None:
        """Set the value alone."""

    def answer(self, value: Any, /) -> None:
        """Set the value and forget the deadline."""

    def fail(self, error: BaseException, /) -> None:
        """Set the error, if nothing was set yet."""

    def release(self) -> Envelope | None:
        """Forget the deadline and the message; return the message."""


class Envelope(msgspec.Struct, eq=False):
    """One message with everything that crosses the mailbox beside it.

    The garbage collector has to see it: the traceback of an error leads over the frame of the engine to the envelope,
    and the envelope over its message or its reply back to the error.
    """

    message: Any
    cell: Cell
    """The actor it is for."""
    reply: Reply | None = None
    """Where the answer goes; None for a tell, or once the handler has taken the reply over."""
    sender: Cell | None = None
    """The actor whose handler sent it; None if it came from outside any handler."""
    parent: Envelope | None = None
    """For an ask out of a handler: the message which that handler is handling, so the chain of waiting actors."""
    lane: Any = None
    """Where the deadline of an open ask is kept (a `Lane` or a `SingleTimer`), or None."""
    deadline: float | None = None
    """Monotonic seconds after which the work is not started any more."""
    carried: Carried | None = None
    """Trace and log context of the sender."""
    at: float = 0.0
    """When it was sent, in monotonic seconds."""
    state: int = QUEUED
    incarnation: int = 0
    """Which life of the actor handled it."""
    turn: Any = None
    """The suspended handler (a `Turn`), or None."""
    abandoned: str | None = None
    """Why nobody waits for the work any more (``cancelled``, ``expired``)."""
    accepted: bool = True
    """Whether a mailbox took it; False for the steps of an actor's own life."""
    fenced: bool = False
    """The handler was cut loose; whatever it still sends is dropped."""

    def abandon(self, why: str) -> None:
        """Do not start this message, or cancel its handler: the asker does not wait for it any more."""
        if self.abandoned is None and self.state != SETTLED:
            self.abandoned = why
            if self.turn is not None:
                self.cell.system.interrupt(self.turn)


current: ContextVar[Envelope | None] = ContextVar("understudy_envelope", default=None)
"""The message that the running handler is handling."""
