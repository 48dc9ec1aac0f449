"""The end of an incarnation, and of an actor: by wish, by time, by crash or by kill, exactly once."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from actors.runtime.cell import Cell, ChildEnded
from actors.runtime.cycle import WaitingFuture
from actors.runtime.envelope import QUEUED
from actors.runtime.errors import ActorCrashedError, ActorStartError, IgnoreStart, StartTimeoutError, without_frames
from actors.runtime.future import AsyncioFuture
from actors.runtime.intake import admit_senders
from actors.runtime.log import error_line
from actors.runtime.outcome import answer_error, drop_abandoned, ended_error, lose
from actors.runtime.phase import Phase
from actors.runtime.turn import disarm
from protocols.control import DeadLetterReason, ExitReason, Terminated
from protocols.events import ActorStopped

T = TypeVar("T")

_GETS_READY = (Phase.NEW, Phase.STARTING, Phase.UNSTARTED, Phase.SUSPENDING, Phase.RETIRING)


def ready(cell: Cell) -> WaitingFuture[Any]:
    """Return a future of the ref, done when `on_start` is; it fails with `ActorStartError`."""
    future: WaitingFuture[Any] = WaitingFuture(cell.loop, (cell,))
    if cell.phase in _GETS_READY:
        add_ready_waiter(cell, future)
    elif cell.phase is Phase.STOPPED and cell.reason is not ExitReason.NORMAL:
        future.fail(cell.cause or ActorStartError(f"actor {cell.name} has ended ({cell.reason})"))
    else:
        future.answer(cell.ref)
    return future


def add_ready_waiter(cell: Cell, future: AsyncioFuture[Any]) -> None:
    """Have a future told when `on_start` is done."""
    cell.ready_waiters = cell.ready_waiters or []
    cell.ready_waiters.append(future)


def take_ready_waiters(cell: Cell) -> list[AsyncioFuture[Any]]:
    """Return the futures of `ready` that are still open, and forget them."""
    waiters, cell.ready_waiters = cell.ready_waiters, None
    return [waiter for waiter in waiters or () if not waiter.done()]


def stopped_future(cell: Cell) -> WaitingFuture[bool]:
    """Return a future that is True when this actor (or, in a restart, this incarnation) ended."""
    future: WaitingFuture[bool] = WaitingFuture(cell.loop, (cell,), ends=True)
    if cell.phase in (Phase.HELD, Phase.STOPPED):
        future.answer(True)
    else:
        cell.stopped_waiters = cell.stopped_waiters or []
        cell.stopped_waiters.append(future)
    return future


def _fail_ready(cell: Cell, cause: BaseException | None) -> None:
    for waiter in take_ready_waiters(cell):
        if isinstance(cause, ActorStartError):
            waiter.fail(cause)
            continue
        failure = ActorStartError(f"actor {cell.name} ended before it had started")
        failure.__cause__ = cause
        waiter.fail(failure)


def _resolve_stopped(cell: Cell) -> None:
    waiters, cell.stopped_waiters = cell.stopped_waiters, None
    for waiter in waiters or ():
        if not waiter.done():
            waiter.answer(True)


def start_error(cell: Cell, error: BaseException, *, overdue: bool = False) -> ActorStartError:
    """Return the error of a start, with what the actor raised as its cause."""
    kind, problem = ActorStartError, f" could not start: {error_line(error)}"
    if overdue:
        kind, problem = StartTimeoutError, f": on_start took longer than {cell.start_timeout} s"
    failure = kind(f"actor {cell.name}{problem}")
    failure.__cause__ = error
    return failure


def start_failed(cell: Cell, error: BaseException, *, overdue: bool) -> None:
    """End an incarnation whose start failed; its children have ended."""
    failure = start_error(cell, error, overdue=overdue)
    waiters = take_ready_waiters(cell)
    if cell.phase >= Phase.CLOSING:
        end_incarnation(cell, cell.reason or ExitReason.NORMAL, failure)
    elif cell.phase in (Phase.SUSPENDING, Phase.RETIRING):
        _hold(cell)
    else:
        not_started(cell, error, failure)
    for waiter in waiters:
        waiter.fail(failure)


def not_started(cell: Cell, error: BaseException, failure: ActorStartError) -> None:
    """Wait for the supervisor's next attempt, or end if this was the first start."""
    ignored = isinstance(error, IgnoreStart)
    cell.cause = failure
    if not ignored:
        cell.system.report("actor could not start", cell, error=error)
    if cell.incarnation > 1:
        _hold(cell)
    else:
        terminate(cell, ExitReason.IGNORE if ignored else ExitReason.START_FAILED, failure)


def _unharmed(cell: Cell, work: Callable[[], T]) -> T | None:
    """Call what a mailbox or a parent may have overridden; whatever it raises is only reported."""
    try:
        return work()
    except BaseException as error:  # the user's code
        cell.system.report("a step of the end failed", cell, error=error)
        cell.system.note_base_exception(error)
        return None


def close_mailbox(cell: Cell) -> None:
    """Take no more messages, and refuse those that wait for space."""
    _unharmed(cell, cell.mailbox.close)
    if cell.senders is not None:
        admit_senders(cell)


def discard_queue(cell: Cell) -> None:
    """Make dead letters of all messages that wait."""
    cell.open = cell.idle = False
    for envelope in _unharmed(cell, cell.mailbox.clear) or ():
        if type(envelope.message) is Terminated:
            cell.dead += 1
        elif envelope.abandoned is not None:
            drop_abandoned(envelope)
        else:
            lose(envelope, DeadLetterReason.STOPPED)


def end_incarnation(cell: Cell, reason: ExitReason, cause: BaseException | None) -> None:
    """End the incarnation; the parent decides whether the actor lives on."""
    parent = cell.parent
    if cell.phase in (Phase.SUSPENDING, Phase.RETIRING):
        _hold(cell)
    elif (
        parent is not None
        and parent.can_decide
        and parent.supervision is not None
        and _unharmed(cell, partial(parent.supervision.holds, cell, reason))
    ):
        _hold(cell)
        cell.system.child_ended(ChildEnded(cell, reason, cause), parent)
    else:
        terminate(cell, reason, cause)


def _hold(cell: Cell) -> None:
    """End the incarnation, keep ref and mailbox."""
    _drop_life(cell)
    cell.enter(Phase.HELD)
    _unharmed(cell, cell.mailbox.reopen)
    _fail_ready(cell, cell.cause)
    _resolve_stopped(cell)


def _drop_life(cell: Cell) -> None:
    timer, cell.start_timer = cell.start_timer, None
    if timer is not None:
        timer.cancel()
    disarm(cell)
    cell.open = cell.idle = cell.overdue = False
    cell.control = None
    belongings, cell.belongings = cell.belongings, None
    for handle in tuple(belongings or ()):
        handle.cancel()
    owed, cell.owed = cell.owed, None
    for reply in [found for one in tuple(owed or ()) if (found := one()) is not None]:
        at = reply.envelope  # another one than that of the ask, once it has been forwarded
        if at is not None and at.cell is cell and at.state != QUEUED:
            reply.fail(ended_error(cell, "ended before it answered"))
    cell.actor = cell.supervision = None
    stash, cell.stash = cell.stash, None
    _unharmed(cell, partial(cell.mailbox.put_back, stash or []))
    watching, cell.watching = cell.watching, None
    for other in watching or ():
        if other.watchers is not None:
            other.watchers.pop(cell, None)


def terminate(cell: Cell, reason: ExitReason, cause: BaseException | None) -> None:
    """End for good: messages that wait are dead letters, the watchers get Terminated, the name is free."""
    if cell.phase is Phase.STOPPED:
        return
    cell.enter(Phase.STOPPING)
    cell.reason, cell.cause = reason, cause
    close_mailbox(cell)
    cell.args, cell.kwargs = (), None  # a ref may be kept for long
    cell.factory = cell.kind
    _drop_life(cell)
    discard_queue(cell)
    for turn in tuple(cell.parked or ()):
        error = ActorCrashedError(f"actor {cell.name} was stopped while it handled the message")
        answer_error(turn.envelope, error, DeadLetterReason.FAILED)
        turn.envelope.abandon("cancelled")
    cell.enter(Phase.STOPPED)
    _fail_ready(cell, cause)
    cell.system.has_ended(cell)
    if cell.system.events.wants(ActorStopped):
        cell.system.events.publish(ActorStopped, actor=cell.name, reason=str(reason), incarnation=cell.incarnation)
    cell.cause = without_frames(cause)
    _resolve_stopped(cell)
