"""Publish and subscribe of typed events. A slow or dead subscriber never slows a publisher."""

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec
import pykka

from actors.runtime.errors import MailboxFullError
from actors.runtime.log import safe_repr, safe_text
from protocols.events import KINDS, EventsDropped, MessageReceived, MessageSent, RunCompleted, RunStarted, StampedEvent

_BATCH: Final = 512
"""Events after which an actor that takes them in batches is told to do so."""


class TakeEvents(msgspec.Struct, frozen=True):
    """Tells an actor that a batch of events waits for it; see `EventStream.subscribe_in_batches`."""


class Subscription:
    """One subscriber with what it wants and what it lost."""

    __slots__ = ("_stream", "dropped", "is_receiving", "kinds", "target")

    def __init__(self, stream: "EventStream", target: Any, kinds: frozenset[type[StampedEvent]]) -> None:
        self._stream = stream
        self.target = target
        self.kinds = kinds
        self.dropped = 0
        """Events that this subscriber lost because its mailbox was full."""
        self.is_receiving = False
        """True if an event is being put into its mailbox: one about that mailbox being full must not follow it."""

    def put(self, event: StampedEvent) -> None:
        """Hand over an event. Raises ActorDeadError and MailboxFullError, as a tell does."""
        target = self.target
        if not isinstance(target, pykka.ActorRef):
            target(event)
        elif not self.is_receiving:
            self.is_receiving = True
            try:
                target.tell(event)  # pyright: ignore[reportUnknownMemberType]
            finally:
                self.is_receiving = False

    def cancel(self) -> None:
        """End the subscription; harmless after its end."""
        self._stream.remove(self)


class BatchSubscription(Subscription):
    """Events wait here, at most as many as the mailbox of the subscriber would hold, until the subscriber takes them.

    It is told once for many. When full, the newest event is lost and counted.
    """

    __slots__ = ("_batch", "_capacity", "_enough")

    def __init__(self, stream: "EventStream", target: Any, kinds: frozenset[type[StampedEvent]]) -> None:
        super().__init__(stream, target, kinds)
        self._capacity: int = target.statistics().capacity
        self._enough = min(_BATCH, self._capacity)
        self._batch: list[Any] = []

    def put(self, event: object) -> None:
        """Keep an event; one in brief is welcome, too. Raises nothing."""
        self._batch.append(event)
        if len(self._batch) >= self._enough:
            self._tell()

    def _tell(self) -> None:
        waiting = len(self._batch)
        if waiting > self._capacity:
            self._stream.lose(self, self._batch.pop())
        elif not waiting % self._enough:
            self.target.notify(TakeEvents())  # not in the name of the handler that runs, and whatever the bound

    def take(self) -> list[Any]:
        """Return the events that wait, in their order, and forget them."""
        taken, self._batch = self._batch, []
        return taken


class EventStream:
    """The events of one system, numbered without gaps. Everything here happens on the loop of the system."""

    def __init__(self, system: str, report: Callable[[str, BaseException], None]) -> None:
        self._system = system
        self._report = report
        self._by_kind: dict[type[StampedEvent], tuple[Subscription, ...]] = {}
        self._subscriptions: list[Subscription] = []
        self.is_heard = False
        """True if a subscriber wants full events of runs; quicker than `wants`."""
        self.count: Callable[[object], None] | None = None
        """Takes runs in brief; None if a subscriber wants full events, or without subscribers."""
        self.published = 0
        """Number of the last event."""
        self.dropped = 0
        """Deliveries lost over all subscribers."""

    def subscribe(self, target: Any, kinds: Iterable[type[StampedEvent]] | None = None) -> Subscription:
        """Deliver events of these classes (None: all) to an `ActorRef`, or to a function that does not block."""
        if not callable(target) and not hasattr(target, "tell"):
            message = f"subscribe: {safe_repr(target)} is no ActorRef and no function of one event"
            raise TypeError(message)
        subscription = Subscription(self, target, _wanted(kinds))
        self._subscriptions.append(subscription)
        self._index()
        return subscription

    def subscribe_in_batches(self, target: Any, kinds: Iterable[type[StampedEvent]] | None = None) -> BatchSubscription:
        """Keep events for the actor of a ref until it takes them; with many waiting it is told `TakeEvents`.

        It must understand `protocols.brief_events`: it gets runs in brief if all subscribers take batches. It should
        take the events before it handles any message.
        """
        subscription = BatchSubscription(self, target, _wanted(kinds))
        self._subscriptions.append(subscription)
        self._index()
        return subscription

    def remove(self, subscription: Subscription) -> None:
        """End a subscription; harmless after its end."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
            self._index()

    def forget(self, actor: object) -> None:
        """End the subscriptions of an actor that ended."""
        for subscription in tuple(self._subscriptions):
            if subscription.target is actor:  # comparing would ask functions of the user
                self.remove(subscription)

    def _index(self) -> None:
        by_kind: dict[type[StampedEvent], tuple[Subscription, ...]] = {}
        for subscription in self._subscriptions:
            for kind in subscription.kinds:
                by_kind[kind] = (*by_kind.get(kind, ()), subscription)
        self._by_kind = by_kind
        of_runs = by_kind.get(RunStarted, ())
        is_same = of_runs == by_kind.get(MessageSent, ()) == by_kind.get(RunCompleted, ())
        batched = tuple(one for one in of_runs if isinstance(one, BatchSubscription))
        is_brief = is_same and 0 < len(batched) == len(of_runs)
        self.count = _to_all(batched) if is_brief else None
        in_full = (MessageReceived,) if is_brief else (RunStarted, MessageReceived, MessageSent, RunCompleted)
        self.is_heard = any(kind in by_kind for kind in in_full)

    def wants(self, kind: type[StampedEvent]) -> bool:
        """Return True if this kind has a subscriber; ask before making an event."""
        return kind in self._by_kind

    def publish(self, kind: type[StampedEvent], **fields: Any) -> None:
        """Make an event, number it, and hand it to its subscribers."""
        subscribers = self._by_kind.get(kind)
        if subscribers is None:
            return
        self.published += 1
        event = kind(seq=self.published, system=self._system, **fields)
        for subscription in subscribers:
            self._deliver(subscription, event)

    def _deliver(self, subscription: Subscription, event: StampedEvent) -> None:
        try:
            subscription.put(event)
        except MailboxFullError:
            self.lose(subscription, event)
        except pykka.ActorDeadError:
            self.remove(subscription)
        except BaseException as error:  # a broken subscriber must not reach whoever publishes
            self._report("an event subscriber failed", error)

    def lose(self, subscription: Subscription, event: object) -> None:
        """Count an event that a subscriber had no room for, and tell the other subscribers."""
        subscription.dropped += 1
        self.dropped += 1
        if EventsDropped in self._by_kind and not isinstance(event, EventsDropped):
            self._publish_gap(subscription)

    def _publish_gap(self, subscription: Subscription) -> None:
        listeners = [other for other in self._by_kind[EventsDropped] if other is not subscription]
        self.published += 1
        event = EventsDropped(
            seq=self.published,
            system=self._system,
            subscriber=safe_text(subscription.target),
            count=subscription.dropped,
        )
        for other in listeners:
            self._deliver(other, event)


def _to_all(subscriptions: tuple[BatchSubscription, ...]) -> Callable[[object], None]:
    if len(subscriptions) == 1:
        return subscriptions[0].put

    def put(event: object) -> None:
        for subscription in subscriptions:
            subscription.put(event)

    return put


def _wanted(kinds: Iterable[type[StampedEvent]] | None) -> frozenset[type[StampedEvent]]:
    wanted = frozenset(kinds) if kinds is not None else frozenset(KINDS.values())
    unknown = wanted - frozenset(KINDS.values())
    if unknown:
        message = f"subscribe: no event classes: {sorted(map(repr, unknown))}"
        raise ValueError(message)
    return wanted
