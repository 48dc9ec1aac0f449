"""What could not be handled: kept in a bounded ring, counted exactly, published as events, logged at a limited rate."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from actors.runtime.cell import System
from actors.runtime.envelope import Envelope
from actors.runtime.errors import without_frames
from protocols.control import DeadLetterReason
from protocols.errors import type_name
from protocols.events import DeadLetter as DeadLetterEvent
from protocols.handle import Named
from protocols.ring import MessageRing


class DeadLetter(msgspec.Struct, frozen=True, eq=False):
    """One message that was not handled."""

    message: Any
    target: Any
    """The ref it was sent to; for a message that a connection could not deliver, the node."""
    reason: DeadLetterReason
    sender: Any
    """The ref of the actor that sent it, or None."""
    age: float
    """Seconds between its being sent and its end."""
    cause: BaseException | None = None


class DeadLetters:
    """The dead letters of one system, newest last. Iterate over it, or look at `counts`."""

    def __init__(self, system: System, capacity: int) -> None:
        self._system = system
        self._ring: MessageRing[DeadLetter] = MessageRing(capacity=capacity)
        self.total = 0
        """All there ever were; the ring keeps the newest."""
        self.counts: Counter[DeadLetterReason] = Counter()

    def add(self, envelope: Envelope, reason: DeadLetterReason, cause: BaseException | None = None) -> None:
        """Record a message of this system that will not be handled."""
        sender, cell, cause = envelope.sender, envelope.cell, without_frames(cause)
        by, name = (None, "") if sender is None else (sender.ref, sender.name)
        age = self._system.clock.now() - envelope.at
        self._keep(DeadLetter(envelope.message, cell.ref, reason, by, age, cause), cell.name, name)

    def record(
        self, message: Any, target: Named, reason: DeadLetterReason, *, sender: str, cause: BaseException | None = None
    ) -> None:
        """Record a message that did not get as far as a mailbox, such as one that a connection could not deliver."""
        self._keep(DeadLetter(message, target, reason, None, 0.0, without_frames(cause)), target.name, sender)

    def _keep(self, letter: DeadLetter, target: str, sender: str) -> None:
        system = self._system
        self.total += 1
        self.counts[letter.reason] += 1
        self._ring.append(letter)
        kind = type_name(letter.message)
        system.log_limited("dead letter", actor=target, reason=str(letter.reason), message_type=kind)
        # A dead letter about the delivery of a dead letter would recurse.
        if system.events.wants(DeadLetterEvent) and type(letter.message) is not DeadLetterEvent:
            system.events.publish(
                DeadLetterEvent, actor=target, message_type=kind, reason=str(letter.reason), age=letter.age,
                sender=sender,
            )  # fmt: skip

    def __iter__(self) -> Iterator[DeadLetter]:
        return iter(self._ring)

    def __len__(self) -> int:
        return len(self._ring)
