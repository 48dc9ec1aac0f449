"""The messages of a queued connection that wait for a trigger, target by target; bounded."""

from collections import deque

import msgspec

from actors.runtime.system import ActorSystem
from actors.talk.transform import Message
from protocols.mailbox import Overflow
from protocols.node import Origin, Target


class RoutedMessage(msgspec.Struct, eq=False):
    """A message on its way through a connection, and the run because of which it is passed on."""

    message: Message
    origin: Origin
    system: ActorSystem
    """Where it was offered: its events are published there, its dead letters kept."""
    failure: Exception | None = None
    """What kept it from being delivered."""


class PendingQueue:
    """Waiting parcels of one connection, in order of arrival for each target."""

    def __init__(self) -> None:
        self._by_target: dict[Target, deque[RoutedMessage]] = {}

    def put(self, target: Target, parcel: RoutedMessage, capacity: int, overflow: Overflow) -> RoutedMessage | None:
        """Keep a parcel; return the one for which there is no room, if any."""
        waiting = self._by_target.setdefault(target, deque())
        if len(waiting) < capacity:
            waiting.append(parcel)
            return None
        if overflow is not Overflow.DROP_OLDEST:
            return parcel
        oldest = waiting.popleft()
        waiting.append(parcel)
        return oldest

    def replace(self, target: Target, parcel: RoutedMessage) -> None:
        """Keep a parcel in place of all that wait for a target."""
        self._by_target[target] = deque((parcel,))

    def take(self, target: Target) -> list[RoutedMessage]:
        """Return what waits for a target, oldest first, and forget it."""
        return list(self._by_target.pop(target, ()))

    def take_all(self) -> list[tuple[Target, RoutedMessage]]:
        """Return everything that waits and forget it."""
        everything = [(target, parcel) for target, waiting in self._by_target.items() for parcel in waiting]
        self._by_target.clear()
        return everything

    def waiting(self, target: Target) -> list[Message]:
        """Return the messages that wait for a target."""
        return [parcel.message for parcel in self._by_target.get(target, ())]

    def __len__(self) -> int:
        return sum(map(len, self._by_target.values()))
