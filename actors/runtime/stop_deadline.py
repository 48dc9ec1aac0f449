"""Time limits of stops and hooks, and handlers that are left behind because they ignore their cancellation."""

from collections.abc import Callable

from actors.runtime.cell import Cell
from actors.runtime.errors import AbandonedError
from actors.runtime.log import type_name
from actors.runtime.log_context import report_about
from actors.runtime.outcome import answer_error
from actors.runtime.turn import Turn, turns_of
from protocols.clock import TimerHandle
from protocols.control import DeadLetterReason
from protocols.events import HandlerAbandoned


def arm(cell: Cell, seconds: float, overdue: Callable[[Cell], None]) -> TimerHandle:
    """Call `overdue` with the cell after `seconds`, in place of an earlier limit."""
    disarm(cell)
    cell.stop_timer = timer = cell.system.clock.call_later(seconds, overdue, cell)
    return timer


def disarm(cell: Cell) -> None:
    """Take the limit away."""
    timer, cell.stop_timer = cell.stop_timer, None
    if timer is not None:
        timer.cancel()


def cancel_turns(cell: Cell) -> None:
    """Cancel all handlers that wait."""
    for turn in turns_of(cell):
        turn.cancel()


def abandon_turn(cell: Cell, turn: Turn) -> None:
    """Cut a handler loose: what it still sends or answers is dropped, its asker gets `AbandonedError`."""
    turn.fence()
    turn.cancel()
    cell.abandoned_turns += 1
    envelope = turn.envelope
    kind = type_name(envelope.message)
    if envelope.accepted:
        cell.failed += 1
        cell.mailbox.ack(envelope)
        if envelope.reply is None or not envelope.reply.done():
            error = AbandonedError(f"actor {cell.name}: the handler of {kind} was abandoned")
            answer_error(envelope, error, DeadLetterReason.FAILED)
    report_about("handler abandoned", cell, envelope, None)
    if cell.system.events.wants(HandlerAbandoned):
        cell.system.events.publish(
            HandlerAbandoned, actor=cell.name, message_type=kind, incarnation=cell.incarnation,
            waited=cell.system.config.grace,
        )  # fmt: skip
