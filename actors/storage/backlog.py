"""What was said and no writer has taken yet: handing a message over costs a run one append."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocols.history import StoredMessage

    Unmade = tuple[Callable[[Any, Any], StoredMessage], Any, Any]
    """A function that makes a message, and its two arguments; called when nobody waits for that."""


class Backlog:
    """Messages that are still to be made; of more than `capacity` the oldest give way.

    Those are counted. Whoever takes them is woken when the first one comes and when there are `batch` of them, not for
    each one. Safe to `put` from several threads.

    Raises:
        ValueError: A capacity or batch below 1.
    """

    def __init__(self, *, capacity: int = 10_000, batch: int = 200) -> None:
        if capacity < 1 or batch < 1:
            msg = f"capacity and batch must be 1 or more messages, not {capacity!r}, {batch!r}"
            raise ValueError(msg)
        self.capacity = capacity
        self.batch = min(batch, capacity)
        self.dropped = 0
        """Gave way to newer ones."""
        self.rejected = 0
        """Could not be made; whoever takes them counts."""
        self._waiting: deque[Unmade] = deque()
        self._wake: Callable[[], object] | None = None
        self._next = 1
        """How many must wait for somebody to be woken, or for one to give way."""

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_batch(self) -> bool:
        """Whether there are as many as are written together."""
        return len(self._waiting) >= self.batch

    def listen(self, wake: Callable[[], object] | None) -> None:
        """Call `wake` when there is something to take; None when nobody takes anything."""
        self._wake = wake
        self._next = 1

    def put(self, message: Unmade) -> None:
        """Take a message over. Never waits and never fails."""
        waiting = self._waiting
        waiting.append(message)
        if len(waiting) >= self._next:
            self._reached(len(waiting))

    def take(self, limit: int) -> list[Unmade]:
        """Return the oldest, at most `limit`."""
        self._next = 1  # before taking, so that one that another thread puts meanwhile wakes somebody
        taken: list[Unmade] = []
        with suppress(IndexError):
            while len(taken) < limit:
                taken.append(self._waiting.popleft())
        return taken

    def _reached(self, count: int) -> None:
        if count > self.capacity:
            with suppress(IndexError):  # taken meanwhile
                self._waiting.popleft()
                self.dropped += 1
            return
        self._next = self.batch if count < self.batch else self.capacity + 1
        if self._wake is not None:
            self._wake()
