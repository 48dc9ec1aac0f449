"""What could not be handled: kept in a bounded ring, counted exactly, published as events, logged at a limited rate."""

from collections import Counter
from collections.abc import Iterator
from time import time
from typing import Any

import msgspec

from actors.runtime.cell import System
from actors.runtime.envelope import Carried, Envelope
from actors.runtime.errors import without_frames
from protocols.control import DeadLetterReason
from protocols.errors import type_name
from protocols.events import DeadLetter as DeadLetterEvent
from protocols.handle import Named
from protocols.ring import MessageRing


class DeadLetter(msgspec.Struct, eq=False):
    """One message that was not handled."""

    message: Any
    """None for one that is not kept, see `is_kept`."""
    target: Any
    """The ref it was sent to; for a message that a connection could not deliver, the node."""
    reason: DeadLetterReason
    sender: Any
    """The ref of the actor that sent it, the name of the node, or None."""
    age: float
    """Seconds between its being sent and its end."""
    cause: BaseException | None
    carried: Carried | None = None  # the context variables that came with it
    message_type: str = ""
    at: float = msgspec.field(default_factory=time)
    """Wall clock of its end, seconds since the epoch."""
    id: int = 0
    """Its number in the system, from 1."""
    is_kept: bool = True
    """False if the message was too large, over 1 MiB of text and data."""
    replays: int = 0
    """How often it was told again."""

    def shrink(self) -> None:
        """Drop the message."""
        self.message, self.is_kept = None, False


class DeadLetters:
    """The dead letters of one system, newest last. Iterate over it, or look at `counts`."""

    def __init__(self, system: System, capacity: int) -> None:
        self._system = system
        self._ring: MessageRing[DeadLetter] = MessageRing(capacity=capacity, shrink=DeadLetter.shrink)
        self.total = 0
        """All there ever were; the ring keeps the newest."""
        self.counts: Counter[DeadLetterReason] = Counter()

    def add(self, envelope: Envelope, reason: DeadLetterReason, cause: BaseException | None = None) -> None:
        """Record a message of this system that will not be handled."""
        to, by, age = envelope.cell.ref, envelope.sender and envelope.sender.ref, self._system.clock.now() - envelope.at
        self._keep(DeadLetter(envelope.message, to, reason, by, age, without_frames(cause), envelope.carried))

    def record(
        self, message: Any, target: Named, reason: DeadLetterReason, *, sender: str, cause: BaseException | None = None
    ) -> None:
        """Record a message that did not get as far as a mailbox, such as one that a connection could not deliver."""
        self._keep(DeadLetter(message, target, reason, sender, 0.0, without_frames(cause)))

    def _keep(self, letter: DeadLetter) -> None:
        system, reason, by = self._system, letter.reason, letter.sender
        self.total = letter.id = self.total + 1
        self.counts[reason] += 1
        name, kind = letter.target.name, type_name(letter.message)
        letter.message_type, is_event = kind, type(letter.message) is DeadLetterEvent
        self._ring.append(letter)
        system.log_limited("dead letter", actor=name, reason=str(reason), message_type=kind)
        # A dead letter about the delivery of a dead letter would recurse.
        if system.events.wants(DeadLetterEvent) and not is_event:
            system.events.publish(
                DeadLetterEvent, actor=name, message_type=kind, reason=str(reason), age=letter.age,
                sender=by if isinstance(by, str) else "" if by is None else by.name, id=letter.id,
            )  # fmt: skip

    def __iter__(self) -> Iterator[DeadLetter]:
        return iter(self._ring)

    def __len__(self) -> int:
        return len(self._ring)
