"""Senders that wait for space in a full mailbox: first come, first served.

A message that leaves the mailbox makes place for the first of them at once, so no later sender can take it.
"""

import asyncio
from collections import OrderedDict

from actors.runtime.cell import Cell
from actors.runtime.cycle import WaitingFuture
from actors.runtime.envelope import QUEUED, Envelope
from actors.runtime.intake import accept


async def send(cell: Cell, envelope: Envelope) -> None:
    """Wait until the mailbox has accepted a message. Raises like `accept`."""
    gate: WaitingFuture[None] = WaitingFuture(cell.loop, (cell,))
    gate.sender = envelope.sender
    mailbox = cell.mailbox
    if mailbox.closed or (not cell.senders and len(mailbox) < mailbox.capacity):
        _admit(cell, envelope, gate)
    elif cell.senders is None:
        cell.senders = OrderedDict({envelope: gate})
    else:
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
