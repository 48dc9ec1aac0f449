"""`OpenRuns`: the number of open runs of an actor, and waiting for their end."""

import asyncio

from actors.runtime.event_stream import EventStream


class OpenRuns:
    """Counts the open runs of one actor, on its loop. `serve` counts, and calls `check` if a caller waits."""

    __slots__ = ("_earlier", "_idle", "events", "is_awaited", "open")

    def __init__(self, events: EventStream, earlier: "OpenRuns | None" = None) -> None:
        """Start at zero.

        Args:
            events: where the runs are published.
            earlier: the counter of the runs that began before this one.
        """
        self.events = events
        self._earlier = earlier
        self.open = 0
        """Number of open runs."""
        self.is_awaited = False
        """True while a caller waits for the end of all runs."""
        self._idle = asyncio.Event()

    def check(self) -> None:
        """Wake the waiting callers if no run is open."""
        if not self.open:
            self.is_awaited = False
            self._idle.set()

    async def settled(self) -> None:
        """Wait until no run is open."""
        if self._earlier is not None:
            await self._earlier.settled()
            self._earlier = None
        while self.open:
            self.is_awaited = True
            self._idle.clear()
            await self._idle.wait()
