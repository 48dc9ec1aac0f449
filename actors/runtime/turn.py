"""A handler that waits for something: driven by a worker task, inside its own context, and ended within its time."""

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from types import NoneType
from typing import Any, Final

from actors.runtime.cell import Cell
from actors.runtime.cycle import judge
from actors.runtime.envelope import Envelope
from actors.runtime.errors import AbandonedError
from actors.runtime.log_context import report_about
from actors.runtime.outcome import answer_error
from protocols.clock import TimerHandle
from protocols.control import DeadLetterReason
from protocols.errors import type_name
from protocols.events import HandlerAbandoned

UNJUDGED: Final = (asyncio.Future, NoneType)
"""What a handler waits for that is not a reply: a timer, a socket, an event, or the next round of the loop."""


class Turn:
    """One suspended handler.

    Its coroutine is stepped inside its own context, so nothing that it sets in a context variable reaches the next
    handler of the same worker; what the task is told (results, cancellation) is passed on unchanged.
    """

    __slots__ = (
        "cancelled", "cell", "context", "coroutine", "envelope", "error", "fenced", "holds_claim",
        "task", "thread_wait", "thrown", "timer", "value", "waiting",
    )  # fmt: skip

    def __init__(
        self, cell: Cell, envelope: Envelope, coroutine: Coroutine[Any, Any, Any], context: Context, waiting: Any
    ) -> None:
        self.cell = cell
        self.envelope = envelope
        self.coroutine = coroutine
        self.context = context
        self.waiting = waiting
        """What it waits for now."""
        self.thread_wait: Any = None
        """The future that a thread of the handler waits for, or waited for last."""
        self.task: asyncio.Task[Any] | None = None
        self.timer: TimerHandle | None = None
        """Cancels again, then gives up."""
        self.cancelled = False
        self.fenced = False
        self.holds_claim = True
        self.value: Any = None
        self.error: BaseException | None = None
        self.thrown: BaseException | None = None
        """What the handler gets instead of what it waits for."""

    @types.coroutine
    def drive(self) -> Generator[Any, None, None]:
        """Run the handler to its end. What it returns or raises is kept here, nothing of it escapes."""
        run, send, throw = self.context.run, self.coroutine.send, self.coroutine.throw
        waiting = self.waiting
        while True:
            thrown, self.thrown = self.thrown, None
            try:
                if thrown is None:
                    yield waiting
            except GeneratorExit:  # it ends this frame, whoever sent it; see `interrupted`
                raise
            except BaseException as error:  # it belongs to the handler, which may catch it
                thrown = error
            try:
                waiting = run(send, None) if thrown is None else run(throw, thrown)
            except StopIteration as stop:
                self.value = stop.value
                return
            except BaseException as error:  # every end of a handler is judged by its actor
                self.error = error
                return
            self.waiting = waiting
            if type(waiting) not in UNJUDGED:
                judge(self)

    def interrupted(self, error: GeneratorExit, *, is_closing: bool) -> None:
        """Give the handler a GeneratorExit that it waited for; raise it if the task is destroyed with the handler."""
        if is_closing:
            self.coroutine.close()
            raise error
        self.thrown = error

    def cancel(self) -> None:
        """Cancel the handler at its next wait."""
        self.cancelled = True
        if self.task is not None:
            self.task.cancel()


def arm(cell: Cell, seconds: float, overdue: Callable[[Cell], None]) -> TimerHandle:
    """Call `overdue` with the cell after `seconds`, in place of an earlier limit."""
    disarm(cell)
    cell.stop_timer = timer = cell.system.clock.call_later(seconds, overdue, cell)
    return timer


def disarm(cell: Cell) -> None:
    """Take the limit away."""
    timer, cell.stop_timer, cell.stop_due = cell.stop_timer, None, None
    if timer is not None:
        timer.cancel()


def cancel_turns(cell: Cell) -> None:
    """Cancel all handlers that wait."""
    for turn in tuple(cell.turns or ()):
        turn.cancel()


def abandon_turn(cell: Cell, turn: Turn) -> None:
    """Cut a handler loose: what it still sends or answers is dropped, its asker gets `AbandonedError`."""
    envelope = turn.envelope
    turn.fenced = envelope.fenced = True
    turn.cancel()
    cell.abandoned_turns += 1
    kind = type_name(envelope.message)
    if envelope.accepted:
        cell.failed += 1
        cell.mailbox.ack(envelope)
        if envelope.reply is None or not envelope.reply.done():
            error = AbandonedError(f"actor {cell.name}: the handler of {kind} was abandoned")
            answer_error(envelope, error, DeadLetterReason.FAILED)
    report_about("handler abandoned", cell, envelope, None)
    waited = cell.system.config.grace
    cell.system.events.publish(
        HandlerAbandoned, actor=cell.name, message_type=kind, incarnation=cell.incarnation, waited=waited
    )
