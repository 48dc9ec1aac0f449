"""When a handler fails: the asker is answered, the supervisor decides, a handler that does not end is cut loose.

What the engine's own steps raise is judged here as well, so one broken actor never takes the others along.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from traceback import walk_tb

from actors.runtime.cell import Cell, has_hook
from actors.runtime.envelope import SETTLED, Envelope
from actors.runtime.errors import AbandonedError, ActorCrashedError, Reject, UnhandledMessageError
from actors.runtime.intake import push_control, wake
from actors.runtime.log_context import report_about, run_of
from actors.runtime.outcome import answer_error, answerable, stashed
from actors.runtime.phase import ENDING, NEXT_TO_END, ON_START, Phase
from actors.runtime.stop import kill_children, run_hook, stop_children
from actors.runtime.termination import close_mailbox, end_incarnation, start_failed, terminate
from actors.runtime.turn import Turn, abandon_turn, arm, disarm
from protocols.control import DeadLetterReason, ExitReason
from protocols.errors import limited_text, of_kind, type_name
from protocols.events import ActorCrashed


def fail(cell: Cell, envelope: Envelope, error: BaseException, turn: Turn | None = None) -> None:
    """Settle a message whose handler raised: a refusal, the end of cancelled work, or a crash."""
    cell.failed += 1
    envelope.state = SETTLED
    if of_kind(error, Reject):
        unhandled = of_kind(error, UnhandledMessageError)
        answer_error(envelope, error, DeadLetterReason.UNHANDLED if unhandled else DeadLetterReason.REJECTED)
        return
    gave_up = envelope.abandoned is not None and turn is not None and turn.cancelled
    if not gave_up or not of_kind(error, asyncio.CancelledError, TimeoutError):
        _crash(cell, envelope, error, turn)


def _crash(cell: Cell, envelope: Envelope, error: BaseException, turn: Turn | None) -> None:
    """Answer the asker now, and take no message until the supervisor has decided."""
    is_stopped = Phase.SUSPENDING <= cell.phase <= Phase.STOPPING and cell.reason is not ExitReason.CRASH
    if turn is not None and turn.cancelled and is_stopped:
        stopped = ActorCrashedError(f"actor {cell.name} was stopped while it handled the message")
        answer_error(envelope, stopped, DeadLetterReason.FAILED)
        return
    if cell.system.is_torn_down():
        return
    if _comes_again(cell, envelope, error, turn):
        envelope.redelivered = True
        cell.mailbox.put_back([stashed(envelope)])
        broken(cell, error, envelope)
        return
    if not envelope.fenced:
        told = error if envelope.reply is None else answerable(envelope, error)
        answer_error(envelope, told, DeadLetterReason.FAILED)
    cell.system.note_base_exception(error)
    if _is_resumed(cell, error):
        cell.cause = error
        report_about("actor goes on after an error", cell, envelope, error)
    else:
        broken(cell, error, envelope)


def _comes_again(cell: Cell, envelope: Envelope, error: BaseException, turn: Turn | None) -> bool:
    """Return True if the next incarnation handles a message again, after a crash of its handler or of another one."""
    is_given_up = envelope.fenced or envelope.abandoned is not None
    if is_given_up or envelope.redelivered or not getattr(cell.actor, "redeliver", False):
        return False
    is_crash = cell.phase is Phase.RUNNING or (turn is not None and turn.cancelled and cell.phase is Phase.CRASHED)
    if not is_crash or of_kind(error, SystemExit, KeyboardInterrupt) or _is_resumed(cell, error):
        return False
    above = cell.parent.supervision if cell.parent is not None and cell.parent.can_decide else None
    return above is not None and above.holds(cell, ExitReason.CRASH)


def _is_resumed(cell: Cell, error: BaseException) -> bool:
    """Ask the parent whether this incarnation continues, before anything of it ends."""
    parent = cell.parent
    if cell.actor is None or cell.phase in ENDING or parent is None or not parent.can_decide:
        return False
    try:
        return parent.supervision is not None and parent.supervision.resumes(cell, error)
    except BaseException as broken_rule:  # a rule of the user for the kinds of errors
        cell.system.report("a supervisor could not decide", parent, error=broken_rule)
        cell.system.note_base_exception(broken_rule)
        return False


def broken(cell: Cell, error: BaseException, envelope: Envelope | None = None) -> None:
    """Let an incarnation crash, by a message or (without `envelope`) by a step of its own life."""
    cell.open = cell.idle = False
    cell.cause = error
    report_about("actor crashed", cell, envelope, error)
    cell.system.events.publish(
        ActorCrashed, actor=cell.name, error_type=type_name(error), error=limited_text(str, error, 500),
        message_type="" if envelope is None else type_name(envelope.message),
        run_id="" if envelope is None else run_of(envelope.message), incarnation=cell.incarnation,
    )  # fmt: skip
    interrupt_all(cell)
    if cell.phase not in ENDING:
        phase = NEXT_TO_END[cell.phase]
        if phase is Phase.CRASHED and cell.parent is None:  # no supervisor restarts it
            phase = Phase.STOPPING
            cell.reason = ExitReason.CRASH
            close_mailbox(cell)
        cell.enter(phase)
        push_control(cell, partial(_after_crash, cell, error), first=True)
    elif envelope is None:  # the step that should have ended it
        end_incarnation(cell, (cell.killed and cell.reason) or ExitReason.CRASH, error)


async def _after_crash(cell: Cell, error: BaseException) -> None:
    actor = cell.actor
    assert actor is not None
    if has_hook(actor, "on_failure"):
        # The time of a stop, if one runs, holds for the hook as well.
        config = cell.system.config
        limit = config.grace if cell.overdue else config.stop_timeout
        timer = arm(cell, limit, _hook_overdue) if cell.stop_timer is None else None
        await run_hook(cell, partial(actor.on_failure, type(error), error, error.__traceback__), "on_failure")
        if timer is not None and cell.stop_timer is timer:
            disarm(cell)
    await stop_children(cell)
    if cell.actor is actor:
        end_incarnation(cell, ExitReason.CRASH, error)


def _hook_overdue(cell: Cell) -> None:
    cell.stop_timer = None
    interrupt_all(cell)


def interrupt_all(cell: Cell) -> None:
    """Cancel all waiting handlers as `interrupt` does."""
    for turn in tuple(cell.turns or ()):
        interrupt(turn)


def interrupt(turn: Turn) -> None:
    """Cancel a waiting handler; one that ignores it for the grace period is cancelled again, then cut loose."""
    turn.cancel()
    if turn.timer is None:
        _after_grace(turn, _cancel_again)


def _after_grace(turn: Turn, action: Callable[[Turn], None]) -> None:
    system = turn.cell.system
    turn.timer = system.clock.call_later(system.config.grace, action, turn)


def _is_over(turn: Turn) -> bool:
    return turn.fenced or turn.cell.turns is None or turn not in turn.cell.turns


def _cancel_again(turn: Turn) -> None:
    if not _is_over(turn):
        turn.cancel()
        _after_grace(turn, _give_up)


def _give_up(turn: Turn) -> None:
    if _is_over(turn):
        return
    cell = turn.cell
    if cell.children and not turn.envelope.accepted:
        kill_children(cell)
        _after_grace(turn, _give_up)
        return
    abandon_turn(cell, turn)
    assert cell.turns is not None
    cell.turns.discard(turn)
    cell.turns = cell.turns or None
    if turn.envelope.accepted:
        error = AbandonedError(f"a handler of actor {cell.name} ignored its cancellation")
        _crash(cell, turn.envelope, error, None)
    else:
        _hook_abandoned(cell, AbandonedError(f"a hook of actor {cell.name} ignored its cancellation"))
    if turn.holds_claim:
        cell.scheduled = False  # the claim of the worker that is stuck in the handler
    wake(cell)


def _hook_abandoned(cell: Cell, error: AbandonedError) -> None:
    if cell.phase in ON_START or cell.phase is Phase.UNSTARTED:
        start_failed(cell, error, overdue=cell.phase < Phase.CLOSING)
    elif cell.phase in ENDING:
        end_incarnation(cell, (cell.killed and cell.reason) or ExitReason.CRASH, cell.cause or error)
    else:
        broken(cell, error)


def fault(cell: Cell, envelope: Envelope | None, error: BaseException) -> None:
    """Report an engine fault, answer the message, and crash the actor; one that cannot crash ends at once.

    It raises nothing, because nothing is left that could judge it.
    """
    system = cell.system
    at = next((f"{frame.f_code.co_name}:{line}" for frame, line in reversed([*walk_tb(error.__traceback__)])), "")
    _attempt(lambda: system.report("engine fault", cell, error=error, at=at))
    _attempt(lambda: system.note_base_exception(error))
    if envelope is not None and envelope.accepted:
        _attempt(lambda: _settle(envelope, error))
    if not _attempt(lambda: broken(cell, error, envelope if envelope is not None and envelope.accepted else None)):
        _attempt(lambda: terminate(cell, ExitReason.CRASH, error))
        cell.phase = Phase.STOPPED


def _attempt(action: Callable[[], object]) -> bool:
    try:
        action()
    except BaseException:  # the engine is broken here; what follows matters more
        with suppress(BaseException):  # a log sink of the user
            logging.getLogger("understage.engine").exception("a fault within an engine fault")
        return False
    return True


def _settle(envelope: Envelope, error: BaseException) -> None:
    is_open = envelope.state != SETTLED
    if is_open:
        envelope.cell.failed += 1
        envelope.state = SETTLED
    if is_open if envelope.reply is None else not envelope.reply.done():
        answer_error(envelope, answerable(envelope, error), DeadLetterReason.FAILED)
