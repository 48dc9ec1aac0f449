"""Events of kept messages."""

from protocols.stamp import StampedEvent


class MessageRedelivered(StampedEvent, frozen=True, kw_only=True):
    """A kept message is handled again: a process died, or its run failed and is retried."""

    attempt: int = 0
    """1 for the second delivery."""


class JournalStalled(StampedEvent, frozen=True, kw_only=True):
    """Writes wait for the disk; nothing is lost, and callers wait with them."""

    location: str = ""
    waiting: float = 0.0
    """Seconds for which the oldest write has waited."""
