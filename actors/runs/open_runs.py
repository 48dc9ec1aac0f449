"""How many runs an actor has in hand, and waiting until there are none."""

import asyncio

from actors.runtime.event_stream import EventStream


class OpenRuns:
    """Counts the runs in hand of one actor. Lives on its loop. `serve` counts, and calls `check` if anybody waits."""

    __slots__ = ("_earlier", "_idle", "events", "is_awaited", "open")

    def __init__(self, events: EventStream, earlier: "OpenRuns | None" = None) -> None:
        """Take where the runs are published, and the ledger of runs that began before this one was opened."""
        self.events = events
        self._earlier = earlier
        self.open = 0
        """Runs in hand."""
        self.is_awaited = False
        """Whether somebody waits for the end of all runs."""
        self._idle = asyncio.Event()

    def check(self) -> None:
        """Let whoever waits go on if no run is in hand."""
        if not self.open:
            self.is_awaited = False
            self._idle.set()

    async def settled(self) -> None:
        """Wait until no run is in hand."""
        if self._earlier is not None:
            await self._earlier.settled()
            self._earlier = None
        while self.open:
            self.is_awaited = True
            self._idle.clear()
            await self._idle.wait()
