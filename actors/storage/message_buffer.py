"""The bounded buffer before a store, and its bookkeeping: nothing that was accepted goes uncounted."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocols.history import StoredMessage

DropReason = Literal["overflow", "too_large", "rejected", "closed"]
"""Why a message did not reach the store: no room in the buffer, the store refuses it, or the writer was closed."""

MAX_BYTES = 64 * 1024 * 1024
"""Size of the waiting messages; the oldest make room, as when there are too many of them."""
MAX_BATCH_BYTES = 8 * 1024 * 1024

_log = logging.getLogger("understudy.history")


class MessageBuffer:
    """Messages that wait, and those in hand, which are just being written.

    Always ``accepted == stored + dropped + rejected + waiting``. Messages in hand are older than those that wait and do
    not give way to newer ones; what is put back does.
    """

    def __init__(self, capacity: int, on_dropped: Callable[[StoredMessage, DropReason], object] | None) -> None:
        self.capacity = capacity
        self.accepted = self.stored = self.dropped = self.rejected = 0
        self._on_dropped = on_dropped
        self._waiting: deque[StoredMessage] = deque()
        self._bytes = 0
        self._in_hand: deque[StoredMessage] = deque()

    @property
    def depth(self) -> int:
        """How many messages have not been taken in hand."""
        return len(self._waiting)

    @property
    def waiting(self) -> int:
        """How many messages are not settled."""
        return len(self._waiting) + len(self._in_hand)

    @property
    def settled(self) -> int:
        """How many accepted messages have met their fate."""
        return self.stored + self.dropped + self.rejected

    @property
    def has_full_batch(self) -> bool:
        """Whether the waiting messages are as large as a batch may be."""
        return self._bytes >= MAX_BATCH_BYTES

    def add(self, message: StoredMessage) -> bool:
        """Accept a message, dropping the oldest ones when there is no room; False when it alone is too large."""
        size = _size(message)
        if size > MAX_BYTES:
            self.tell_dropped(message, "too_large")
            return False
        self.accepted += 1
        self._waiting.append(message)
        self._bytes += size
        if len(self._waiting) > self.capacity or self._bytes > MAX_BYTES:
            self._make_room()
        return True

    def take(self, limit: int) -> list[StoredMessage]:
        """Take the oldest messages in hand: at most `limit`, and not too many bytes."""
        size = 0
        while self._waiting and len(self._in_hand) < limit:
            size += _size(self._waiting[0])
            if self._in_hand and size > MAX_BATCH_BYTES:
                break
            self._in_hand.append(self._pop())
        return list(self._in_hand)

    def put_back(self) -> None:
        """Let the messages in hand wait again, as the oldest ones."""
        self._waiting.extendleft(reversed(self._in_hand))
        self._bytes += sum(map(_size, self._in_hand))
        self._in_hand.clear()
        self._make_room()

    def note_stored(self, count: int) -> None:
        """Settle the oldest `count` messages in hand: they are in the store."""
        self.stored += count
        for _ in range(count):
            self._in_hand.popleft()

    def reject(self) -> StoredMessage:
        """Settle the oldest message in hand: the store will not take it."""
        message = self._in_hand.popleft()
        self.rejected += 1
        self.tell_dropped(message, "rejected")
        return message

    def drop_all(self) -> int:
        """Drop all that is not settled with reason ``closed``; return how many that were."""
        left = [*self._in_hand, *self._waiting]
        self._in_hand.clear()
        self._waiting.clear()
        self._bytes = 0
        self.dropped += len(left)
        for message in left:
            self.tell_dropped(message, "closed")
        return len(left)

    def tell_dropped(self, message: StoredMessage, reason: DropReason) -> None:
        """Tell whoever wants to know; an error there is logged and stays there."""
        if self._on_dropped is not None:
            try:
                self._on_dropped(message, reason)
            except Exception:
                _log.exception("history: on_dropped failed for message %s (%s)", message.id, reason)

    def _make_room(self) -> None:
        while len(self._waiting) > self.capacity or self._bytes > MAX_BYTES:
            self.dropped += 1
            self.tell_dropped(self._pop(), "overflow")

    def _pop(self) -> StoredMessage:
        message = self._waiting.popleft()
        self._bytes -= _size(message)
        return message


def _size(message: StoredMessage) -> int:
    payload = message.payload
    return len(message.content) if payload is None else len(message.content) + len(payload)
