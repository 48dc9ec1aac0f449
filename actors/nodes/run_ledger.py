"""How many runs an actor has in hand, and waiting until there are none."""

import asyncio


class RunLedger:
    """Counts the runs in hand of one actor. Lives on its loop."""

    __slots__ = ("_idle", "open")

    def __init__(self) -> None:
        self.open = 0
        self._idle: asyncio.Event | None = None

    def begin(self) -> None:
        """Count one run more."""
        self.open += 1

    def end(self) -> None:
        """Count one run less."""
        self.open -= 1
        if self._idle is not None and not self.open:
            self._idle.set()
            self._idle = None

    async def settled(self) -> None:
        """Wait until no run is in hand."""
        while self.open:
            if self._idle is None:
                self._idle = asyncio.Event()
            await self._idle.wait()
