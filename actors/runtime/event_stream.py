"""Publish and subscribe of typed events. A slow or dead subscriber never slows whoever publishes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import pykka

from actors.runtime.errors import MailboxFullError
from actors.runtime.reporting import safe_repr
from protocols.events import KINDS, EventsDropped, StampedEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

E = TypeVar("E", bound=StampedEvent)

Subscriber = "ActorRef[Any] | Callable[[StampedEvent], object]"


class Subscription:
    """One subscriber with what it wants and what it lost."""

    __slots__ = ("_stream", "dropped", "is_receiving", "kinds", "target")

    def __init__(self, stream: EventStream, target: Any, kinds: frozenset[type[StampedEvent]]) -> None:
        self._stream = stream
        self.target = target
        self.kinds = kinds
        self.dropped = 0
        """Events that this subscriber lost because its mailbox was full."""
        self.is_receiving = False
        """Whether an event is being put into its mailbox: one about that mailbox being full must not follow it."""

    def cancel(self) -> None:
        """End the subscription; harmless when it has ended."""
        self._stream.remove(self)


class EventStream:
    """The events of one system, numbered without gaps. Everything here happens on the loop of the system."""

    def __init__(self, system: str, report: Callable[[str, BaseException], None]) -> None:
        self._system = system
        self._report = report
        self._by_kind: dict[type[StampedEvent], tuple[Subscription, ...]] = {}
        self._subscriptions: list[Subscription] = []
        self.is_heard = False
        """Whether there is any subscriber; a quicker question than `wants` for those that make several kinds."""
        self.published = 0
        """Number of the last event."""
        self.dropped = 0
        """Deliveries lost over all subscribers."""

    def subscribe(self, target: Any, kinds: Iterable[type[StampedEvent]] | None = None) -> Subscription:
        """Deliver events to an actor (by tell) or call a function with each; a function must not block.

        Args:
            target: an `ActorRef`, or a function of one event.
            kinds: event classes; None for all.
        """
        if not callable(target) and not hasattr(target, "tell"):
            msg = f"subscribe: {safe_repr(target)} is no ActorRef and no function of one event"
            raise TypeError(msg)
        wanted = frozenset(kinds) if kinds is not None else frozenset(KINDS.values())
        unknown = wanted - frozenset(KINDS.values())
        if unknown:
            msg = f"subscribe: no event classes: {sorted(map(repr, unknown))}"
            raise ValueError(msg)
        subscription = Subscription(self, target, wanted)
        self._subscriptions.append(subscription)
        self._index()
        return subscription

    def remove(self, subscription: Subscription) -> None:
        """End a subscription; harmless when it has ended."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
            self._index()

    def _index(self) -> None:
        by_kind: dict[type[StampedEvent], tuple[Subscription, ...]] = {}
        for subscription in self._subscriptions:
            for kind in subscription.kinds:
                by_kind[kind] = (*by_kind.get(kind, ()), subscription)
        self._by_kind = by_kind
        self.is_heard = bool(by_kind)

    def wants(self, kind: type[StampedEvent]) -> bool:
        """Whether anybody listens to this kind; nobody should make an event that nobody wants."""
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
        target = subscription.target
        try:
            if isinstance(target, pykka.ActorRef):
                if not subscription.is_receiving:
                    subscription.is_receiving = True
                    try:
                        target.tell(event)  # pyright: ignore[reportUnknownMemberType]
                    finally:
                        subscription.is_receiving = False
            else:
                target(event)
        except MailboxFullError:
            subscription.dropped += 1
            self.dropped += 1
            if EventsDropped in self._by_kind and not isinstance(event, EventsDropped):
                self._publish_gap(subscription)
        except pykka.ActorDeadError:
            self.remove(subscription)
        except Exception as error:  # a broken subscriber must not reach whoever publishes
            self._report("an event subscriber failed", error)

    def _publish_gap(self, subscription: Subscription) -> None:
        listeners = [other for other in self._by_kind[EventsDropped] if other is not subscription]
        self.published += 1
        event = EventsDropped(
            seq=self.published, system=self._system, subscriber=str(subscription.target), count=subscription.dropped
        )
        for other in listeners:
            self._deliver(other, event)
