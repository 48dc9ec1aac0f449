"""Handing messages to a target: at once, or in the order of their connections' priorities.

A target is given all messages at once, and its mailbox keeps their order, as long as no connection to it has a
priority. With one, messages of all connections wait here, and the target gets as many as it works on at a time; what
waits goes in order of priority, messages of equal priority in order of arrival.
"""

import asyncio
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import msgspec

from actors.talk.pending import RoutedMessage
from actors.talk.transform import Message
from protocols.errors import TalkError
from protocols.node import Origin, Target, Tracker

if TYPE_CHECKING:
    from actors.talk.talk import Talk

DOCK_CAPACITY = 1_000
"""Messages that wait for one target at most."""


class Forwarded(msgspec.Struct, frozen=True, eq=False):
    """The run because of which a message is passed on past a node that does not run."""

    run_id: str
    conversation_id: str
    hops: int
    wait_for_connections: bool | None
    downstream: Tracker
    passed: tuple[object, ...]
    """Connections that the message came through since a node ran."""

    @classmethod
    def past(cls, origin: Origin, talk: object) -> "Forwarded":
        """Return the origin of a message that a connection forwards."""
        passed = origin.passed if isinstance(origin, Forwarded) else ()
        return cls(
            origin.run_id, origin.conversation_id, origin.hops + 1, origin.wait_for_connections, origin.downstream,
            (*passed, talk),
        )  # fmt: skip


class QueuedDelivery(msgspec.Struct, eq=False):
    """A message that waits for its target."""

    talk: "Talk"
    parcel: RoutedMessage
    message: Message
    target: Target


class TargetQueue:
    """What waits for one target on one event loop, and how much the target has in hand."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._in_hand = 0
        self._waiting: list[tuple[int, int, QueuedDelivery]] = []
        self._order = count()

    def put(self, berth: QueuedDelivery) -> None:
        """Give a message to the target when its turn has come."""
        if self._in_hand < self._width:
            self._post(berth)
            return
        entry = (berth.talk.priority, next(self._order), berth)
        if len(self._waiting) < DOCK_CAPACITY:
            berth.parcel.origin.downstream.begin()
            heappush(self._waiting, entry)
            return
        msg = f"node {berth.target.name!r}: {DOCK_CAPACITY} messages of connections wait for it already"
        berth.talk.crowded_out(berth.parcel, berth.target, TalkError(msg, message=berth.message))

    def _post(self, berth: QueuedDelivery) -> None:
        self._in_hand += 1
        berth.target.post((berth.message,), origin=berth.parcel.origin, settled=partial(self._done, berth))

    def _done(self, berth: QueuedDelivery, done: "asyncio.Future[Any]") -> None:
        self._in_hand -= 1
        berth.talk.settled(berth.parcel, berth.target, done)
        while self._waiting and self._in_hand < self._width:
            _, _, following = heappop(self._waiting)
            if following.talk.active:
                self._post(following)
            else:
                following.talk.undelivered(following.parcel, (following.target,), None)
            following.parcel.origin.downstream.end()


_docks: WeakKeyDictionary[Target, WeakKeyDictionary[asyncio.AbstractEventLoop, TargetQueue]] = WeakKeyDictionary()


def keep_priorities(target: Target) -> None:
    """Have messages for a target wait in order of priority from now on."""
    _docks.setdefault(target, WeakKeyDictionary())


def dock_of(target: Target) -> TargetQueue | None:
    """Return the dock of a target on the running loop; None when its messages need not wait."""
    if not _docks:
        return None
    docks = _docks.get(target)
    if docks is None:
        return None
    loop = asyncio.get_running_loop()
    dock = docks.get(loop)
    if dock is None:
        dock = docks[loop] = TargetQueue(getattr(target, "max_concurrency", 1))
    return dock
