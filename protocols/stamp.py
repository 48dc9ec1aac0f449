"""What every event carries: its place in the order, its time, and what it is about."""

import re
import time as clock
from datetime import UTC, datetime

import msgspec


def kind_of(class_name: str) -> str:
    """Return the ``kind`` in JSON of an event class: its name in snake case."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", class_name).lower()


class StampedEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag=kind_of):
    """What every event carries: where and when."""

    seq: int = 0
    """Number of the event within its system, from 1, without gaps; 0 when it was never published."""
    time: float = msgspec.field(default_factory=clock.time)
    """Wall clock, seconds since the epoch (UTC)."""
    system: str = ""
    """Name of the actor system."""
    actor: str = ""
    """Name of the node or actor the event is about."""
    run_id: str = ""
    """Run the event belongs to; empty when to none."""

    @property
    def at(self) -> datetime:
        """`time` as an aware datetime (UTC)."""
        return datetime.fromtimestamp(self.time, UTC)
