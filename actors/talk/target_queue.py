"""Handing messages to a target: at once, or in the order of their connections' priorities.

Without priorities a target gets all messages at once, and its mailbox keeps their order. The first connection with a
priority gives the target queues. From then on the messages of all its connections wait there, and the target gets as
many as it handles at the same time: in order of priority, and in order of arrival among equal priorities.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import Any, cast
from weakref import WeakKeyDictionary

import msgspec

from actors.talk.context import TalkView
from actors.talk.pending import RoutedMessage
from actors.talk.talk_events import crowded_out, failed, settled, undelivered
from actors.talk.transform import Message, context_text
from protocols.delivery import Kept
from protocols.delivery_tracker import DeliveryTracker
from protocols.node import Origin, Target

CAPACITY = 1_000
"""Most messages that wait for one target on one event loop."""


class Forwarded(msgspec.Struct, frozen=True, eq=False):
    """The run that caused a message which is passed on by a node that does not run."""

    run_id: str
    conversation_id: str
    hops: int
    wait_for_connections: bool | None
    downstream: DeliveryTracker
    session: str | None
    passed: tuple[object, ...]
    """Connections that passed the message on since a node ran."""
    kept: Kept | None

    @classmethod
    def past(cls, origin: Origin, talk: object) -> "Forwarded":
        """Return the origin of a message that a connection forwards."""
        passed = origin.passed if isinstance(origin, Forwarded) else ()
        return cls(
            origin.run_id, origin.conversation_id, origin.hops + 1, origin.wait_for_connections, origin.downstream,
            origin.session, (*passed, talk), origin.kept,
        )  # fmt: skip


class QueuedDelivery(msgspec.Struct, eq=False):
    """A message that waits for its target."""

    talk: TalkView
    routed: RoutedMessage
    message: Message
    target: Target


class _LoopQueue:
    """The queue of one target on one event loop."""

    __slots__ = ("is_posting", "order", "running", "waiting")

    def __init__(self) -> None:
        self.running = 0
        """Messages that the target is handling."""
        self.is_posting = False
        """True while the next messages are posted, of which one may fail at once."""
        self.waiting: list[tuple[int, int, QueuedDelivery]] = []
        self.order = count()


class TargetQueue:
    """The messages that wait for one target, by event loop. The target owns it."""

    def __init__(self, width: int) -> None:
        self._width = width
        """How many messages the target handles at the same time."""
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopQueue] = WeakKeyDictionary()

    def put(self, delivery: QueuedDelivery) -> None:
        """Give a message to the target now, or when its turn has come."""
        loop = asyncio.get_running_loop()
        queue = self._by_loop.get(loop)
        if queue is None:
            queue = self._by_loop[loop] = _LoopQueue()
        if queue.running < self._width:
            self._post(queue, delivery)
        elif len(queue.waiting) < CAPACITY:
            delivery.routed.keep_context()
            delivery.routed.origin.downstream.begin()
            heappush(queue.waiting, (delivery.talk.priority, next(queue.order), delivery))
        else:
            problem = f"node {delivery.target.name!r}: {CAPACITY} messages of connections wait for it already"
            crowded_out(delivery.talk, delivery.routed, delivery.target, problem)

    def _post(self, queue: _LoopQueue, delivery: QueuedDelivery) -> None:
        queue.running += 1
        done = partial(self._done, queue, delivery)
        delivery.target.post((delivery.message,), origin=delivery.routed.origin, settled=done)

    def _done(self, queue: _LoopQueue, delivery: QueuedDelivery, done: asyncio.Future[Any]) -> None:
        queue.running -= 1
        settled(delivery.talk, delivery.routed, delivery.target, done)
        if not queue.is_posting:
            queue.is_posting = True
            try:
                self._post_waiting(queue)
            finally:
                queue.is_posting = False

    def _post_waiting(self, queue: _LoopQueue) -> None:
        while queue.waiting and queue.running < self._width:
            following = heappop(queue.waiting)[2]
            if following.talk.active:
                following.routed.call(self._post, queue, following)
            else:
                undelivered(following.talk, following.routed, (following.target,))
            following.routed.origin.downstream.end()


def keep_priorities(target: Target) -> None:
    """Deliver messages to a target in order of priority from now on."""
    if target.queue is None:
        is_serial = getattr(target, "is_serial", False)
        target.queue = TargetQueue(1 if is_serial else getattr(target, "max_concurrency", 1))


def deliver(talk: TalkView, routed: RoutedMessage, message: Message, targets: Sequence[Target]) -> None:
    """Deliver a message now. The failure of one target does not concern the others."""
    for target in targets:
        try:
            if talk.connection_type != "run":
                hand_over(talk, routed, message, target)
            elif target.queue is None:
                done = partial(settled, talk, routed, target)
                target.post((message,), origin=routed.origin, settled=done)
            else:
                target.queue.put(QueuedDelivery(talk, routed, message, target))
        except Exception as error:
            failed(talk, routed, "deliver", error, (target,))


def hand_over(talk: TalkView, routed: RoutedMessage, message: Message, target: Target) -> None:
    """Give a message to a target that does not run: as context, or to its own connections."""
    if talk.connection_type == "context" and routed.outbox is not None:
        for leaf in getattr(target, "leaves", lambda: (target,))():
            if (durable := getattr(leaf, "durable", None)) is None:
                routed.outbox.later(partial(deliver, talk, routed, message, (leaf,)))
            else:
                origin = routed.origin
                durable.add_context(context_text(message, talk.source.name), origin.session, origin)
    elif talk.connection_type == "context":
        text, session, keeper = context_text(message, talk.source.name), routed.origin.session, cast("Any", target)
        if session:
            keeper.add_context(text, session=session)
        else:
            keeper.add_context(text)
    else:
        target.offer(message, Forwarded.past(routed.origin, talk))
