"""Deliveries that runs have caused through connections, and waiting until all of them are finished."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

MOST_MESSAGES = 20_000
"""Messages that connections pass on because of one run. A circle with branches doubles them with every round."""


class DeliveryTracker(msgspec.Struct, eq=False):
    """The open deliveries caused by one run, direct and indirect. Lives on one event loop."""

    open: int = 0
    """Deliveries that are not finished."""
    passed_on: int = 0
    """Messages that connections have taken because of the run."""
    is_required: bool = False
    """Whether a connection asks the caller to wait (see `protocols.node.Tracker.require`)."""
    _waiters: list[Callable[[], Any]] = []

    def begin(self) -> None:
        """Count one delivery more."""
        self.open += 1

    def end(self) -> None:
        """Count one delivery less; at zero whoever waits goes on."""
        self.open -= 1
        if self.open == 0:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                waiter()

    def spend(self) -> bool:
        """Count one message that a connection takes; False when there have been `MOST_MESSAGES` of them."""
        self.passed_on += 1
        return self.passed_on <= MOST_MESSAGES

    def require(self) -> None:
        """Ask the caller of the run to wait unless it said that it does not want to."""
        self.is_required = True

    def then(self, callback: Callable[[], Any]) -> None:
        """Call a function once, when the number of open deliveries next comes to zero."""
        self._waiters.append(callback)

    async def wait(self) -> None:
        """Wait until no delivery is open."""
        while self.open:
            idle = asyncio.Event()
            self.then(idle.set)
            await idle.wait()
