"""How a message gets into an actor: what it carries along, the mailbox, and the worker that is woken.

Senders that wait for space in a full mailbox are served in their order: a message that leaves the mailbox makes place
for the first of them at once, so no later sender can take it.
"""

import asyncio
from collections import OrderedDict, deque
from contextvars import Context, ContextVar, copy_context
from typing import Any

from actors.runtime.cell import Cell, Control
from actors.runtime.cycle import WaitingFuture
from actors.runtime.envelope import QUEUED, Carried, Envelope, current
from actors.runtime.errors import ActorStoppingError, MailboxFullError
from actors.runtime.future import AsyncioFuture
from actors.runtime.outcome import end_cause, ended_error, lose
from actors.runtime.phase import Phase
from protocols.context import ALWAYS, NEVER, WITH_RUNS, carriers, kind_of, kinds, renamed
from protocols.control import DeadLetterReason
from protocols.events import MailboxOverflow
from protocols.mailbox import Overflow

LONE: list[ContextVar[Any]] = [current]
"""The variable that was alone in a context last, and is not carried."""


def carried(context: Context, message: object = None, *, is_whole: bool = False) -> Carried | None:
    """Return the variables of a context that a message carries, or None; those of a run if it `is_whole`."""
    # Nearly every context outside a handler holds one variable, that of `decimal`: do not search it every time.
    if len(context) == 1 and LONE[0] in context:
        return None
    least = WITH_RUNS if is_whole or type(message) in carriers else ALWAYS
    found: dict[ContextVar[Any], Any] = {}
    for variable, value in context.items():
        kind = kinds[variable] if variable in kinds else kind_of(variable, value)
        if kind >= least and variable in renamed:
            found[renamed[variable]] = value
        elif kind >= least:
            found.setdefault(variable, value)
        elif kind == NEVER and len(context) == 1:
            LONE[0] = variable
    return tuple(found.items()) or None


def envelope_here(cell: Cell, message: Any, reply: Any = None) -> Envelope:
    """Return a message with what the place of the call adds: its sender, trace and log context, and the time."""
    scope = current.get()
    sender = None if scope is None else scope.cell
    return Envelope(message, cell, reply, sender, carried=carried(copy_context(), message), at=cell.now())


def accept(cell: Cell, envelope: Envelope) -> None:
    """Take a message into the mailbox.

    Raises:
        ActorStoppingError: the actor takes no more messages; this one is a dead letter.
        MailboxFullError: no room; the message was not accepted. Under policy `wait` an ask waits for room instead.
    """
    fifo = cell.mailbox.fifo
    if fifo is not None and len(fifo) < cell.mailbox.capacity:
        fifo.append(envelope)
        cell.accepted += 1
        if cell.idle:
            cell.idle = False
            cell.scheduled = True
            cell.schedule(cell)
        return
    try:
        lost = cell.mailbox.put(envelope)
    except ActorStoppingError:
        cell.system.dead_letters.add(envelope, DeadLetterReason.DEAD)
        raise ended_error(cell, "not found", cell.ref) from end_cause(cell)
    except MailboxFullError as error:
        if envelope.reply is not None and cell.mailbox.overflow is Overflow.WAIT:
            _wait_for_space(cell, envelope, envelope.reply)
            return
        _note_overflow(cell, envelope.message, error)
        raise
    cell.accepted += 1
    if lost is not None:
        lose(lost, DeadLetterReason.OVERFLOW)
    if cell.idle:
        wake(cell)


def _wait_for_space(cell: Cell, envelope: Envelope, reply: AsyncioFuture[Any]) -> None:
    """Let an ask wait behind the other senders, until its asker gives up."""
    cell.senders = senders = cell.senders or OrderedDict()
    senders[envelope] = None
    reply.add_done_callback(lambda _: senders.pop(envelope, None))


async def send(cell: Cell, envelope: Envelope) -> None:
    """Wait until the mailbox has accepted a message. Raises like `accept`."""
    gate: WaitingFuture[None] = WaitingFuture(cell.loop, (cell,))
    gate.sender, mailbox = envelope.sender, cell.mailbox
    if mailbox.closed or (not cell.senders and len(mailbox) < mailbox.capacity):
        _admit(cell, envelope, gate)
    else:
        cell.senders = cell.senders or OrderedDict()
        cell.senders[envelope] = gate
    try:
        if gate.done():
            await asyncio.sleep(0)  # a sender that never waits would fill the mailbox before another one has sent
        await gate
    except BaseException as error:
        if cell.senders is not None:
            cell.senders.pop(envelope, None)
        if isinstance(error, asyncio.CancelledError) and envelope.state == QUEUED:
            envelope.abandoned = "cancelled"  # it may have been accepted in this moment
        raise


def admit_senders(cell: Cell) -> None:
    """Accept the messages of those who have waited longest, as many as there is space for; all if it is closed."""
    senders, mailbox = cell.senders, cell.mailbox
    while senders and (mailbox.closed or len(mailbox) < mailbox.capacity):
        _admit(cell, *senders.popitem(last=False))
    if not senders:
        cell.senders = None


def _admit(cell: Cell, envelope: Envelope, gate: asyncio.Future[None] | None) -> None:
    if envelope.abandoned is not None or (gate is not None and gate.done()):
        return
    try:
        accept(cell, envelope)
    except BaseException as error:  # it belongs to the sender
        cell.system.note_base_exception(error)
        if gate is not None:
            gate.set_exception(error)
        elif envelope.reply is not None:
            envelope.reply.release()
            envelope.reply.fail(error)
    else:
        if gate is not None:
            gate.set_result(None)


def _note_overflow(cell: Cell, message: Any, error: MailboxFullError) -> None:
    system, most, policy = cell.system, cell.mailbox.capacity, str(cell.mailbox.overflow)
    system.log_limited("mailbox full", actor=cell.mailbox.who, capacity=most)
    system.events.publish(MailboxOverflow, actor=cell.name, capacity=most, policy=policy, dropped=1)
    if type(message) in carriers:
        message.refused(error)


def accept_system(cell: Cell, message: Any) -> None:
    """Take a message of the engine in arrival order, whatever the bound. A stopped actor ignores it."""
    if cell.phase is Phase.STOPPED:
        return
    try:
        cell.mailbox.put_system(Envelope(message, cell, at=cell.now()))
    except BaseException as error:  # a mailbox of the user must not keep another actor from its end
        cell.system.report("a mailbox failed", cell, error=error)
        cell.system.note_base_exception(error)
        return
    cell.accepted += 1
    wake(cell)


def push_control(cell: Cell, control: Control, *, first: bool = False) -> None:
    """Run this step next, before any message. It never waits behind the mailbox."""
    cell.control = cell.control or deque()
    if first:
        cell.control.appendleft(control)
    else:
        cell.control.append(control)
    wake(cell)


def wake(cell: Cell) -> None:
    """Queue the cell for a worker, unless a worker has it."""
    if not cell.scheduled:
        cell.scheduled = True
        cell.idle = False
        cell.schedule(cell)
