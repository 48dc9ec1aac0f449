"""A message on its way: what it carries, and the scope that a handler runs in."""

from contextvars import ContextVar
from typing import Any, Final

import msgspec

from actors.runtime.cell import Cell

QUEUED: Final = 0
RUNNING: Final = 1
SETTLED: Final = 2

Carried = tuple[tuple[ContextVar[Any], Any], ...]


class Envelope(msgspec.Struct, eq=False):
    """One message with everything that crosses the mailbox with it.

    The garbage collector has to see it: an error, its traceback, the envelope and its reply can form a circle.
    """

    message: Any
    cell: Cell
    """The actor it is for."""
    reply: Any = None
    """The `AsyncioFuture` of the answer; None for a tell, or once the handler has taken the reply over."""
    sender: Cell | None = None
    """The actor whose handler sent it; None if it came from outside any handler."""
    parent: "Envelope | None" = None
    """For an ask out of a handler: the message which that handler is handling, so the chain of waiting actors."""
    lane: Any = None
    """Where the deadline of an open ask is kept (a `Lane` or a `SingleTimer`), or None."""
    inner: Any = None
    """The open asks of its handler that have the time which this ask has left, a `Lane`; they need no timer."""
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
    """Why the asker gave up (``cancelled``, ``expired``), or None."""
    accepted: bool = True
    """True if a mailbox took it; False for the steps of an actor's own life."""
    redelivered: bool = False
    """True for the second time, after a crash; see `AsyncioActor.redeliver`."""
    fenced: bool = False
    """True if the handler was cut loose: what it still sends is dropped."""
    kept: Any = None
    """What a delivery out of a journal knows of it (a `KeptRun`), or None."""

    def abandon(self, why: str) -> None:
        """Do not start this message, or cancel its handler: the asker gave up."""
        if self.abandoned is None and self.state != SETTLED:
            self.abandoned = why
            if self.turn is not None:
                self.cell.system.interrupt(self.turn)


current: ContextVar[Envelope | None] = ContextVar("understage_envelope", default=None)
"""The message that the running handler is handling."""
