"""`EventChannel`: events of a run on their way to the one who reads them, who thereby sets the pace."""

import asyncio
from collections import deque
from typing import Any

CAPACITY = 16
"""Events that a run may be ahead of its reader."""


class EventChannel:
    """A bounded queue of events for one reader, on one event loop.

    A full channel makes the producers wait. A reader that has gone makes them go on, into nothing, so that none hangs.
    """

    __slots__ = ("_capacity", "_items", "_news", "_producers", "is_closed")

    def __init__(self, capacity: int = CAPACITY) -> None:
        """Take how many events may wait."""
        self._capacity = capacity
        self._items: deque[Any] = deque()
        self._producers: list[asyncio.Future[None]] = []
        self._news: asyncio.Future[None] | None = None
        self.is_closed = False
        """Whether nothing more will be read, or nothing more will come."""

    def __len__(self) -> int:
        return len(self._items)

    async def put(self, event: Any) -> None:
        """Add an event, waiting until there is room for it."""
        while len(self._items) >= self._capacity and not self.is_closed:
            room: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._producers.append(room)
            await room
        self.put_now(event)

    def put_now(self, event: Any) -> None:
        """Add an event though there may be no room: each node of the run does so once, with its last."""
        if not self.is_closed:
            self._items.append(event)
            self._wake()

    def close(self) -> None:
        """End the channel: what is in it can still be read; whoever waits goes on."""
        self.is_closed = True
        self._wake()
        self._release_producers()

    async def get(self) -> Any:
        """Return the next event, waiting for it; None once the channel is closed and empty."""
        while not self._items:
            if self.is_closed:
                return None
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        event = self._items.popleft()
        # Producers go on when there is room for several events: a switch of tasks for each one would be dear.
        if self._producers and len(self._items) <= self._capacity // 2:
            self._release_producers()
        return event

    def _release_producers(self) -> None:
        producers, self._producers = self._producers, []
        for producer in producers:
            _release(producer)

    def _wake(self) -> None:
        news, self._news = self._news, None
        if news is not None:
            _release(news)


def _release(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():  # cancelled while it waited
        waiting.set_result(None)
