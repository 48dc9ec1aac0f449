"""`EventChannel`: a bounded queue of the events of a run. The reader sets the pace."""

import asyncio
from collections import deque
from typing import Any

CAPACITY = 16
"""Most events that a run is ahead of its reader."""


class EventChannel:
    """A bounded queue of events for one reader, on one event loop.

    Producers wait while the channel is full. After the reader has left, they continue and their events are dropped.
    """

    __slots__ = ("_capacity", "_items", "_news", "_space", "is_closed")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._items: deque[Any] = deque()
        self._news = asyncio.Event()
        self._space = asyncio.Event()
        self.is_closed = False
        """True if the reader has left, or the run is over."""

    def __len__(self) -> int:
        return len(self._items)

    async def put(self, event: Any) -> None:
        """Add an event. Wait until there is space for it."""
        while len(self._items) >= self._capacity and not self.is_closed:
            self._space.clear()
            await self._space.wait()
        self.put_now(event)

    def put_now(self, event: Any) -> None:
        """Add an event without waiting for space. Each node of the run does this once, with its last event."""
        if not self.is_closed:
            self._items.append(event)
            self._news.set()

    def close(self) -> None:
        """Close the channel and wake all waiting callers. Queued events can still be read."""
        self.is_closed = True
        self._news.set()
        self._space.set()

    async def get(self) -> Any:
        """Wait for the next event and return it. None once the channel is closed and empty."""
        while not self._items:
            if self.is_closed:
                return None
            self._news.clear()
            await self._news.wait()
        event = self._items.popleft()
        # Producers wake when there is space for several events: a task switch for each event would be slow.
        if len(self._items) <= self._capacity // 2:
            self._space.set()
        return event
