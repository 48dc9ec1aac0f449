"""The messages of a queued connection that wait for a trigger, by target; bounded."""

from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from itertools import count
from typing import Any, ParamSpec, TypeVar

import msgspec

from actors.runtime.envelope import Carried
from actors.runtime.intake import carried
from actors.runtime.system import ActorSystem
from actors.talk.transform import Message
from protocols.context import enter
from protocols.mailbox import Overflow
from protocols.node import Origin, Target

P = ParamSpec("P")
T = TypeVar("T")


class RoutedMessage(msgspec.Struct, eq=False):
    """A message on its way through a connection, and the run that caused it."""

    message: Message
    origin: Origin
    system: ActorSystem
    """The system in which it was offered: it publishes the events and keeps the dead letters."""
    failure: Exception | None = None
    """Why it was not delivered."""
    queue: Any = None
    """What keeps it in the journal of its target, while it waits there; None in memory."""
    row: bytes = b""
    """Its id in the journal."""
    place: int = 0
    """Its place among those that wait in memory."""
    carried: Carried | None = None
    """What a message that waits carries of the run that caused it: its trace and its other context variables."""

    @property
    def outbox(self) -> Any:
        """What takes it until the kept run that caused it is acknowledged; None for all other messages."""
        kept = self.origin.kept
        return None if kept is None else kept.outbox

    def keep_context(self) -> None:
        """Keep what the message carries, because it waits."""
        self.carried = self.carried or carried(copy_context(), is_whole=True)

    def call(self, function: Callable[P, T], *args: P.args, **keywords: P.kwargs) -> T:
        """Call a function with what the message carries, wherever this is called."""
        context = copy_context()
        context.run(enter, self.carried)
        return context.run(function, *args, **keywords)


class PendingQueue:
    """The waiting messages of one connection, in order of arrival for each target."""

    def __init__(self) -> None:
        self._by_target: dict[Target, deque[RoutedMessage]] = {}
        self._places = count()

    def put(self, target: Target, routed: RoutedMessage, capacity: int, overflow: Overflow) -> RoutedMessage | None:
        """Keep a message; return the message that is lost if the queue is full."""
        waiting, routed.place = self._by_target.setdefault(target, deque()), next(self._places)
        if len(waiting) < capacity:
            waiting.append(routed)
            return None
        if overflow is not Overflow.DROP_OLDEST:
            return routed
        oldest = waiting.popleft()
        waiting.append(routed)
        return oldest

    def replace(self, target: Target, routed: RoutedMessage) -> None:
        """Keep a message in place of all that wait for a target."""
        self._by_target[target], routed.place = deque((routed,)), next(self._places)

    def put_back(self, target: Target, routed: RoutedMessage) -> None:
        """Let a message wait again in its place."""
        waiting = self._by_target.setdefault(target, deque())
        waiting.insert(sum(one.place < routed.place for one in waiting), routed)

    def take(self, target: Target) -> list[RoutedMessage]:
        """Remove and return the messages that wait for a target, oldest first."""
        return list(self._by_target.pop(target, ()))

    def take_all(self) -> list[tuple[Target, RoutedMessage]]:
        """Remove and return all waiting messages."""
        everything = [(target, routed) for target, waiting in self._by_target.items() for routed in waiting]
        self._by_target.clear()
        return everything

    def __len__(self) -> int:
        return sum(map(len, self._by_target.values()))
