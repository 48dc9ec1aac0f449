"""What a full mailbox does, and what one can read from a mailbox."""

from enum import StrEnum
from typing import Any

import msgspec

from protocols.errors import UnderstageError


class Overflow(StrEnum):
    """Policy of a full mailbox. Whatever loses its place becomes a dead letter with reason ``overflow``."""

    REJECT = "reject"
    """Refuse the new message: the sender gets `MailboxFullError`."""
    WAIT = "wait"
    """Asks and `await ref.send(...)` wait for room, first come, first served; a tell from a thread blocks.

    A tell on the loop cannot wait and is refused.
    """
    DROP_OLDEST = "drop_oldest"
    DROP_NEWEST = "drop_newest"
    COALESCE = "coalesce"
    """A message replaces the waiting one with the same key; without one it is as `reject`."""


class MailboxStatistics(msgspec.Struct, frozen=True):
    """A snapshot of one mailbox."""

    depth: int
    capacity: int
    oldest_age: float
    """Seconds that the oldest waiting message has waited; 0.0 when empty."""
    is_closed: bool

    @property
    def free(self) -> int:
        """How many messages it would still take."""
        return max(0, self.capacity - self.depth)


class MailboxFullError(UnderstageError):
    """The mailbox has no room and its policy is to refuse. The message was not accepted; it is in `.message`."""

    def __init__(self, who: str, capacity: int, message: Any) -> None:
        super().__init__(
            f"actor {who}: mailbox is full ({capacity} messages); raise the capacity, choose another overflow policy, "
            "or wait for room with `await ref.send(message)`",
            node=who,
            message=message,
        )
        self.capacity = capacity
        """Messages that it takes; 0 if the room of its journal is used up."""
