"""`DeliveryTracker`: counts the deliveries that a run causes through connections, and waits for their end."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

MOST_MESSAGES = 20_000
"""Most messages that connections pass on because of one run. A circle with branches doubles them in every round."""


class DeliveryTracker(msgspec.Struct, eq=False):
    """The open deliveries of one run, direct and indirect. Belongs to one event loop."""

    open: int = 0
    """Unfinished deliveries."""
    passed_on: int = 0
    """Messages that connections have accepted because of the run."""
    is_required: bool = False
    """True if a connection asks the caller of the run to wait, unless its options say otherwise."""
    _waiters: list[Callable[[], Any]] = []

    def begin(self) -> None:
        """Add an open delivery."""
        self.open += 1

    def end(self) -> None:
        """Remove an open delivery. At zero, call the waiting callbacks."""
        self.open -= 1
        if self.open == 0:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                waiter()

    def spend(self) -> bool:
        """Count a message that a connection accepts. Return False after `MOST_MESSAGES` messages."""
        self.passed_on += 1
        return self.passed_on <= MOST_MESSAGES

    def then(self, callback: Callable[[], Any]) -> None:
        """Call a function once, when the number of open deliveries is next zero."""
        self._waiters.append(callback)

    async def wait(self) -> None:
        """Wait until no delivery is open."""
        while self.open:
            idle = asyncio.Event()
            self.then(idle.set)
            await idle.wait()
