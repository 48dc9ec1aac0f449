"""How a worker takes the messages of an actor: handled, suspended, finished. The code that runs per message."""

from collections.abc import Coroutine
from contextvars import Context, copy_context
from types import AsyncGeneratorType, CoroutineType, NoneType
from typing import Any, Final, cast

import pykka.messages

from actors.runtime.cell import Cell, Control
from actors.runtime.crash import broken, fail, fault
from actors.runtime.cycle import judge
from actors.runtime.envelope import RUNNING, SETTLED, Envelope, current
from actors.runtime.intake import admit_senders, wake
from actors.runtime.outcome import drop_abandoned, drop_expired, late_reply
from actors.runtime.phase import Phase
from actors.runtime.stop import drained, limit_step
from actors.runtime.turn import UNJUDGED, Turn
from protocols.control import Terminated

_Handler = Coroutine[Any, Any, Any]
_DRAINING: Final = Phase.DRAINING

_PLAIN: Final = frozenset((NoneType, bool, int, float, str, bytes, list, tuple, dict, set))
"""Types of results that need no look whether they can be awaited."""
INTERNAL: Final = frozenset(
    (pykka.messages.ProxyCall, pykka.messages.ProxyGetAttr, pykka.messages.ProxySetAttr, Terminated)
)
"""Types of messages that the engine answers for the actor."""
_LATE: Final = object()
"""Instead of an outcome: the asker had given up."""


class _Waiting:
    """A handler that did not end at its first step."""

    __slots__ = ("coroutine", "on")

    def __init__(self, coroutine: _Handler, on: Any) -> None:
        self.coroutine = coroutine
        self.on = on


def step(cell: Cell, limit: int, task: Any) -> bool | Turn:  # noqa: C901, PLR0912, PLR0915 - one loop, because a call costs as much as the rest
    """Handle up to `limit` messages, in this task until a handler cancels it.

    Returns:
        True when the limit was reached, False when there is nothing left to do, a Turn when a handler waits.
    """
    envelope: Any = None
    context: Context | None = None
    try:
        while limit and not task._must_cancel:  # noqa: SLF001
            limit -= 1
            turns = cell.turns
            if cell.control:
                if turns:
                    return _release(cell)
                outcome = run_control(cell, cell.control.popleft())
                if outcome is not True:
                    return outcome
                continue
            if not cell.open or (turns is not None and len(turns) >= cell.max_concurrency):
                return _release(cell)
            fifo = cell.mailbox.fifo
            envelope = (fifo.popleft() if fifo else None) if fifo is not None else cell.mailbox.take()
            if envelope is None:
                if cell.phase is _DRAINING and drained(cell):
                    continue
                cell.scheduled = False
                cell.idle = cell.phase is not _DRAINING
                return False
            if cell.senders is not None:
                admit_senders(cell)
            if envelope.abandoned is not None:
                drop_abandoned(envelope)
                continue
            if envelope.deadline is not None and envelope.deadline <= cell.now():
                drop_expired(envelope)
                continue
            context = Context()
            envelope, limit, outcome = context.run(_handle, cell, envelope, limit, task)
            if type(outcome) is _Waiting:
                return _suspend(cell, envelope, outcome.coroutine, context, outcome.on)
            if outcome is _LATE:
                late_reply(envelope)
            elif outcome is not None:
                fail(cell, envelope, outcome)
            if fifo is None:
                cell.mailbox.ack(envelope)
    except BaseException as error:  # no handler raised it: `_handle` keeps those
        fault(cell, envelope if context is None else context.get(current), error)
    return True


def _release(cell: Cell) -> bool:
    cell.scheduled = False
    cell.idle = False
    return False


def _handle(cell: Cell, envelope: Envelope, limit: int, task: Any) -> tuple[Envelope, int, Any]:  # noqa: C901, PLR0915 - as `step`
    """Run the handler of a message up to its end or to where it waits, then of those behind it in the mailbox.

    They share a context, which is a tenth of a tell, until a handler sets a variable in it. Returns the last message,
    how many are left of `limit`, and what is judged outside the context: an error, a `_Waiting`, `_LATE`, or None.
    """
    actor: Any = cell.actor
    fifo = cell.mailbox.fifo
    while True:
        envelope.state = RUNNING
        envelope.incarnation = cell.incarnation
        current.set(envelope)
        if envelope.carried is not None:
            for variable, value in envelope.carried:
                variable.set(value)
        message = envelope.message
        try:
            result: Any = actor._handle_receive(message) if type(message) in INTERNAL else actor.on_receive(message)  # noqa: SLF001 - Pykka's
            kind: Any = type(result)  # pyright: ignore[reportUnknownVariableType]
            if kind is not CoroutineType and kind not in _PLAIN and _is_awaited(message, result, kind):
                result, kind = _await(cell, message, result), CoroutineType
            if kind is CoroutineType:
                try:
                    return envelope, limit, _Waiting(result, result.send(None))
                except StopIteration as stop:
                    result = stop.value
        except BaseException as error:  # every end of a handler is judged in one place
            return envelope, limit, error
        cell.handled += 1
        envelope.state = SETTLED
        reply = envelope.reply
        if reply is not None:
            if reply.done():
                return envelope, limit, _LATE
            reply.set_result(result)
            reply.envelope = None
            if envelope.lane is not None:
                envelope.lane.pop(reply, None)
        if envelope.inner:
            cell.system.deadlines.part(envelope)
        if (
            not limit or not fifo or cell.control or not cell.open or cell.turns is not None or cell.senders is not None
            or fifo[0].abandoned is not None or (fifo[0].deadline is not None and fifo[0].deadline <= cell.now())
            or task._must_cancel or len(copy_context()) > 1  # noqa: SLF001
        ):  # fmt: skip
            return envelope, limit, None
        envelope = fifo.popleft()
        limit -= 1


def _is_awaited(message: Any, result: Any, kind: Any) -> bool:
    """Return False for a value to hand on, which may be a future."""
    if isinstance(result, pykka.Future) or type(message) is pykka.messages.ProxyGetAttr:
        return False
    return hasattr(kind, "__await__") or kind is AsyncGeneratorType


async def _await(cell: Cell, message: Any, result: Any) -> Any:
    if type(result) is AsyncGeneratorType:
        raise TypeError(f"actor {cell.name}: the handler of {type(message).__name__} must not `yield`; return a value")
    return await result


def _suspend(cell: Cell, envelope: Envelope, coroutine: Any, context: Context, waiting: Any) -> Turn:
    turn = Turn(cell, envelope, coroutine, context, waiting)
    envelope.turn = turn
    if cell.turns is None:
        cell.turns = {turn}
    else:
        cell.turns.add(turn)
    if type(waiting) not in UNJUDGED:
        judge(turn)
    if envelope.abandoned is not None or (cell.killed and not cell.open):
        turn.cancelled = True  # told to end while its first step was running
    if cell.max_concurrency > 1:
        turn.holds_claim = False
        cell.scheduled = False
        cell.idle = False
        if len(cell.turns) < cell.max_concurrency and (len(cell.mailbox) or cell.control):
            wake(cell)
        else:
            cell.idle = len(cell.turns) < cell.max_concurrency
    return turn


def finish_turn(cell: Cell, turn: Turn) -> None:
    """Settle a handler that has waited, and let its actor go on."""
    try:
        if turn.fenced:
            if turn.envelope.reply is not None:
                late_reply(turn.envelope)
            return
        _settle(cell, turn)
    except BaseException as error:  # the engine's own
        fault(cell, turn.envelope, error)
    if not turn.holds_claim:
        if not cell.scheduled:
            wake(cell)
    elif cell.mailbox.fifo is None or cell.mailbox.fifo or cell.control or cell.phase is not Phase.RUNNING:
        cell.schedule(cell)
    else:  # nothing waits: no worker has to look
        cell.scheduled = False
        cell.idle = True


def _settle(cell: Cell, turn: Turn) -> None:
    if cell.turns is not None:
        cell.turns.discard(turn)
        if not cell.turns:
            cell.turns = None
    if turn.timer is not None:
        turn.timer.cancel()
    envelope = turn.envelope
    envelope.turn = None
    if envelope.accepted:
        if turn.error is not None:
            fail(cell, envelope, turn.error, turn)
        else:
            _answer(cell, envelope, turn.value)
        if cell.mailbox.fifo is None:
            cell.mailbox.ack(envelope)
    else:
        envelope.state = SETTLED
        if turn.error is not None:
            broken(cell, turn.error)


def _answer(cell: Cell, envelope: Envelope, result: Any) -> None:
    cell.handled += 1
    envelope.state = SETTLED
    if envelope.reply is not None and envelope.reply.done():
        late_reply(envelope)
    elif envelope.reply is not None:
        envelope.reply.answer(result)


def run_control(cell: Cell, control: Control) -> bool | Turn:
    """Run one step of the actor's own life, in the scope of the actor."""
    envelope = Envelope(control, cell, at=cell.now(), state=RUNNING, incarnation=cell.incarnation)
    context = Context()
    context.run(current.set, envelope)
    try:
        result: Any = context.run(control)
        if type(result) is not CoroutineType:
            return True
        coroutine = cast("Coroutine[Any, Any, None]", result)
        try:
            waiting = context.run(coroutine.send, None)
        except StopIteration:
            return True
    except BaseException as error:  # a broken control step must not take the worker with it
        broken(cell, error)
        return True
    envelope.accepted = False
    turn = Turn(cell, envelope, coroutine, context, waiting)
    envelope.turn = turn
    cell.turns = {*(cell.turns or ()), turn}
    if cell.stop_due is not None:
        limit_step(cell, cell.stop_due)
    if type(waiting) not in UNJUDGED:
        judge(turn)
    return turn
