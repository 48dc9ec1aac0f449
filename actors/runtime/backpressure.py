"""Senders that wait for room in a full mailbox: one wakes for each message that leaves, in the order they came."""

import asyncio
from collections import deque

from actors.runtime.cell import Cell
from actors.runtime.cycle import WaitingFuture
from actors.runtime.envelope import current


async def wait_for_room(cell: Cell) -> None:
    """Wait until the mailbox has room, or is closed."""
    while len(cell.mailbox) >= cell.mailbox.capacity and not cell.mailbox.closed:
        await _wait_for_departure(cell)


async def _wait_for_departure(cell: Cell) -> None:
    waiter: WaitingFuture[None] = WaitingFuture(cell.loop, (cell,))
    scope = current.get()
    waiter.sender = None if scope is None else scope.cell
    if cell.senders is None:
        cell.senders = deque()
    cell.senders.append(waiter)
    try:
        await waiter
    except asyncio.CancelledError:
        if waiter.done() and not waiter.cancelled():
            wake_sender(cell)
        raise


def wake_sender(cell: Cell) -> None:
    """Let the next sender try."""
    senders = cell.senders
    while senders:
        waiter = senders.popleft()
        if not waiter.done():
            waiter.set_result(None)
            break
    if not senders:
        cell.senders = None


def wake_all_senders(cell: Cell) -> None:
    """Let all senders see that the mailbox was closed."""
    senders, cell.senders = cell.senders, None
    for waiter in senders or ():
        if not waiter.done():
            waiter.set_result(None)
