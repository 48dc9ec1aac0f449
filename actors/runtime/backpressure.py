"""Senders that wait for room in a full mailbox."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actors.runtime.lifecycle import Cell


class SpaceWaiters:
    """Wakes one waiting sender for each message that leaves a mailbox, in the order in which they came."""

    async def wait(self, cell: Cell) -> None:
        """Wait until a message has left the mailbox, or it was closed."""
        waiter: asyncio.Future[None] = cell.loop.create_future()
        if cell.senders is None:
            cell.senders = deque()
        cell.senders.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.wake(cell)
            raise

    def wake(self, cell: Cell) -> None:
        """Let the next sender try."""
        senders = cell.senders
        while senders:
            waiter = senders.popleft()
            if not waiter.done():
                waiter.set_result(None)
                break
        if not senders:
            cell.senders = None

    def wake_all(self, cell: Cell) -> None:
        """Let all senders see that the mailbox was closed."""
        senders, cell.senders = cell.senders, None
        for waiter in senders or ():
            if not waiter.done():
                waiter.set_result(None)
