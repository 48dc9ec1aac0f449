"""Publish and subscribe of typed events. A slow or dead subscriber never slows a publisher."""

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import msgspec
import pykka

from actors.runtime.errors import MailboxFullError
from protocols.errors import limited_text, safe_repr
from protocols.events import KINDS, EventsDropped, MessageReceived, MessageSent, RunCompleted, RunStarted, StampedEvent

S = TypeVar("S", bound="Subscription")
_Index = dict[Any, dict["Subscription", None]]

_OF_RUNS: Final = frozenset((RunStarted, MessageSent, RunCompleted))
_BATCH: Final = 512
"""Events after which an actor that takes them in batches is told to do so."""


class TakeEvents(msgspec.Struct, frozen=True):
    """Tells an actor that a batch of events waits for it; see `EventStream.subscribe_in_batches`."""


class Subscription:
    """One subscriber with what it wants and what it lost."""

    __slots__ = ("_stream", "content_bytes", "dropped", "is_receiving", "kinds", "target")

    def __init__(self, stream: "EventStream", target: Any, kinds: frozenset[type[StampedEvent]]) -> None:
        self._stream = stream
        self.target = target
        self.kinds = kinds
        self.content_bytes = 0
        """Most bytes of the content of a message in an event; 0 for no content."""
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
        waiting = len(self._batch)
        if waiting < self._enough:
            return
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
        self._by_kind: _Index = {}
        self._by_target: _Index = {}
        """By the identity of the targets: comparing would ask functions of the user."""
        self._brief: dict[BatchSubscription, None] = {}
        """Those that take runs in brief."""
        self._full = 0
        """Those that want runs in full."""
        self.is_heard = False
        """True if a subscriber wants full events of runs; quicker than `wants`."""
        self.count: Callable[[object], None] | None = None
        """Takes runs in brief; None if a subscriber wants full events, or without subscribers."""
        self.published = 0
        """Number of the last event."""
        self.dropped = 0
        """Deliveries lost over all subscribers."""

    def subscribe(
        self, target: Any, kinds: Iterable[type[StampedEvent]] | None = None, *, content_bytes: int = 0
    ) -> Subscription:
        """Deliver events of these classes (None: all) to an `ActorRef`, or to a function that does not block.

        With `content_bytes` the events of messages say their content, as they would say it to a model, cut to so many
        bytes of UTF-8. Other subscribers do not get it.
        """
        if type(content_bytes) is not int or content_bytes < 0:
            raise ValueError(f"subscribe: content_bytes={content_bytes!r} must be a whole number of bytes, 0 for none")
        if not callable(target) and not hasattr(target, "tell"):
            raise TypeError(f"subscribe: {safe_repr(target)} is no ActorRef and no function of one event")
        subscription = Subscription(self, target, _wanted(kinds))
        subscription.content_bytes = content_bytes
        return self._add(subscription)

    def subscribe_in_batches(self, target: Any, kinds: Iterable[type[StampedEvent]] | None = None) -> BatchSubscription:
        """Keep events for the actor of a ref until it takes them; with many waiting it is told `TakeEvents`.

        It must understand `protocols.brief_events`: it gets runs in brief if all subscribers take batches. It should
        take the events before it handles any message.
        """
        return self._add(BatchSubscription(self, target, _wanted(kinds)))

    def _add(self, subscription: S) -> S:
        self._by_target.setdefault(id(subscription.target), {})[subscription] = None
        for kind in subscription.kinds:
            self._by_kind.setdefault(kind, {})[subscription] = None
        if isinstance(subscription, BatchSubscription) and subscription.kinds >= _OF_RUNS:
            self._brief[subscription] = None
        elif subscription.kinds & _OF_RUNS:
            self._full += 1
        self._choose_brief()
        return subscription

    def remove(self, subscription: Subscription) -> None:
        """End a subscription; harmless after its end."""
        if subscription not in self._by_target.get(id(subscription.target), ()):
            return
        _leave(self._by_target, id(subscription.target), subscription)
        for kind in subscription.kinds:
            _leave(self._by_kind, kind, subscription)
        if isinstance(subscription, BatchSubscription) and subscription in self._brief:
            del self._brief[subscription]
        elif subscription.kinds & _OF_RUNS:
            self._full -= 1
        self._choose_brief()

    def forget(self, actor: object) -> None:
        """End the subscriptions of an actor that ended."""
        for subscription in tuple(self._by_target.get(id(actor), ())):
            self.remove(subscription)

    def _choose_brief(self) -> None:
        is_brief = bool(self._brief) and not self._full
        first = next(iter(self._brief), None)
        self.count = None if first is None or not is_brief else first.put if len(self._brief) == 1 else self._put_all
        others = self._by_kind.get(MessageReceived, {}).keys() - self._brief.keys()
        self.is_heard = bool(self._full or others)

    def _put_all(self, event: object) -> None:
        for subscription in tuple(self._brief):
            subscription.put(event)

    def wants(self, kind: type[StampedEvent]) -> bool:
        """Return True if this kind has a subscriber; ask before making an event."""
        return kind in self._by_kind

    def publish(self, kind: type[StampedEvent], *, cut: Callable[[int], str] | None = None, **fields: Any) -> None:
        """Make an event, number it, and hand it to its subscribers.

        `cut` gives the content in so many bytes; it is called for each subscriber that asked for content.
        """
        subscribers = self._by_kind.get(kind)
        if subscribers is None:
            return
        self.published += 1
        event = kind(seq=self.published, system=self._system, **fields)
        for subscription in tuple(subscribers):
            if cut is not None and (most := subscription.content_bytes):
                self._deliver(subscription, msgspec.structs.replace(event, content=cut(most)))
            else:
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
        if EventsDropped not in self._by_kind or isinstance(event, EventsDropped):
            return
        self.published += 1
        subscriber = limited_text(str, subscription.target, 200)
        count, number = subscription.dropped, self.published
        gap = EventsDropped(seq=number, system=self._system, subscriber=subscriber, count=count)
        for other in tuple(self._by_kind[EventsDropped]):
            if other is not subscription:
                self._deliver(other, gap)


def _leave(index: _Index, key: object, subscription: Subscription) -> None:
    del index[key][subscription]
    if not index[key]:
        del index[key]


def _wanted(kinds: Iterable[type[StampedEvent]] | None) -> frozenset[type[StampedEvent]]:
    wanted = frozenset(kinds) if kinds is not None else frozenset(KINDS.values())
    unknown = wanted - frozenset(KINDS.values())
    if unknown:
        raise ValueError(f"subscribe: no event classes: {sorted(map(repr, unknown))}")
    return wanted
