"""The bounded buffer before a store; it counts every accepted message."""

import logging
from collections import deque
from collections.abc import Callable
from typing import Final, Literal

from protocols.history import StoredMessage

DropReason = Literal["overflow", "too_large", "rejected", "closed"]
"""Why a message did not reach the store: no room in the buffer, the store refuses it, or the writer was closed."""

MAX_BYTES: Final = 64 * 1024 * 1024
"""Size of the waiting messages; the oldest give way above it."""
MAX_BATCH_BYTES: Final = 8 * 1024 * 1024

_log = logging.getLogger("understage.history")


class MessageBuffer:
    """Messages that wait, and messages that are taken: they are just being written.

    Always ``accepted == stored + dropped + rejected + waiting``. Taken messages are the oldest. Only waiting messages
    give way to newer ones.

    Args:
        capacity: messages that may wait.
        on_dropped: called with each message that does not reach the store.
    """

    def __init__(self, capacity: int, on_dropped: Callable[[StoredMessage, DropReason], object]) -> None:
        self.capacity = capacity
        self.accepted = self.stored = self.dropped = self.rejected = 0
        self._on_dropped = on_dropped
        self._waiting: deque[StoredMessage] = deque()
        self._bytes = 0
        self._taken: deque[StoredMessage] = deque()

    @property
    def depth(self) -> int:
        """Number of messages that are not taken."""
        return len(self._waiting)

    @property
    def waiting(self) -> int:
        """Number of messages that are not settled."""
        return len(self._waiting) + len(self._taken)

    @property
    def settled(self) -> int:
        """Number of messages that are stored, dropped or rejected."""
        return self.stored + self.dropped + self.rejected

    @property
    def has_full_batch(self) -> bool:
        """True if the waiting messages are as large as a batch may be."""
        return self._bytes >= MAX_BATCH_BYTES

    def add(self, message: StoredMessage) -> bool:
        """Accept a message; the oldest ones give way. Returns False when the message alone is too large."""
        size = _size(message)
        if size > MAX_BYTES:
            self.tell_dropped(message, "too_large")
            return False
        self.accepted += 1
        self._waiting.append(message)
        self._bytes += size
        self._make_room()
        return True

    def take(self, limit: int) -> list[StoredMessage]:
        """Take the oldest messages: at most `limit`, and not too many bytes."""
        size = 0
        while self._waiting and len(self._taken) < limit:
            size += _size(self._waiting[0])
            if self._taken and size > MAX_BATCH_BYTES:
                break
            self._taken.append(self._pop())
        return list(self._taken)

    def put_back(self) -> None:
        """Let the taken messages wait again, as the oldest ones."""
        self._waiting.extendleft(reversed(self._taken))
        self._bytes += sum(map(_size, self._taken))
        self._taken.clear()
        self._make_room()

    def note_stored(self, count: int) -> None:
        """Settle the oldest `count` taken messages as stored."""
        self.stored += count
        for _ in range(count):
            self._taken.popleft()

    def reject(self) -> StoredMessage:
        """Settle the oldest taken message as rejected by the store."""
        message = self._taken.popleft()
        self.rejected += 1
        self.tell_dropped(message, "rejected")
        return message

    def drop_all(self) -> int:
        """Drop all messages that are not settled with reason ``closed``; return their number."""
        left = [*self._taken, *self._waiting]
        self._taken.clear()
        self._waiting.clear()
        self._bytes = 0
        self.dropped += len(left)
        for message in left:
            self.tell_dropped(message, "closed")
        return len(left)

    def tell_dropped(self, message: StoredMessage, reason: DropReason) -> None:
        """Call `on_dropped`; an error of it is logged."""
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
