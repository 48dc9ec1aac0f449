"""Bounded queues: how many messages wait, and what happens to one too many."""

from typing import Literal

from actors.config.section import Section
from actors.config.value import Positive

OverflowName = Literal["reject", "drop_oldest", "drop_newest", "wait"]
"""What a full queue does."""


class QueueSpec(Section):
    """A bounded queue of messages, for mailboxes, connections and triggers."""

    capacity: Positive = 1000
    """How many messages may wait."""
    overflow: OverflowName = "reject"
    """What happens to a message when the queue is full: `reject` it to its sender, drop the `drop_oldest` or the
    `drop_newest` into the dead letters, or let the sender `wait`."""
