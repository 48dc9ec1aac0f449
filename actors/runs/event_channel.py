"""`EventChannel`: a bounded queue of the events of a run. The reader sets the pace. Nodes write by a `StreamSink`."""

import asyncio
from collections import deque
from typing import Any, NamedTuple

from protocols.handle import Named

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


class StreamEvent(NamedTuple):
    """One event of a stream, and what it adds to the text of the answer."""

    node: Named | None
    """The member that works; None in the stream of a single agent."""
    event: Any
    """The event; None for text alone."""
    text: str = ""
    """Text of the event, if it may belong to the answer of the whole run."""
    is_sure: bool = False
    """True if the text is the next piece of that answer, whatever follows."""


class StreamSink:
    """Takes the events of one node for the stream of the whole run."""

    __slots__ = ("_channel", "_node", "_speaker")

    def __init__(self, channel: EventChannel, speaker: object, node: Named | None = None) -> None:
        self._channel = channel
        self._node = node
        self._speaker = speaker

    def of(self, member: Named, *, is_voice: bool = False) -> "StreamSink":
        """Return the sink of a member, whose events name it. Its text is that of the answer if `is_voice`."""
        return StreamSink(self._channel, member if is_voice and self._speaker is not None else None, member)

    def is_voice(self, node: object) -> bool:
        """Return True if the text of a node is the text of the answer."""
        return self._speaker is node

    async def put(self, event: Any, text: str = "", *, is_sure: bool = False) -> None:
        """Add an event. Wait until there is space for it."""
        await self._channel.put(StreamEvent(self._node, event, text, is_sure))

    async def pass_on(self, item: StreamEvent, node: object) -> None:
        """Add an event of a stream of a node that works at another host. Wait until there is space for it."""
        text = item.text if self.is_voice(node) else ""
        await self._channel.put(item._replace(node=item.node or self._node, text=text))

    def put_now(self, event: Any, text: str = "") -> None:
        """Add the last event of a node, after the node has passed on its answer; or a sure piece of the answer."""
        self._channel.put_now(StreamEvent(self._node, event, text, bool(text)))
