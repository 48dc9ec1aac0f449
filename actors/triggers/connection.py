"""The connection trigger: listens to the events of the system about connections between nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actors.triggers.trigger_actor import TriggerActor
from protocols.events import TalkProcessed
from protocols.triggers import ConnectionEvent, TalkEventName

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from actors.runtime.event_stream import Subscription
    from actors.triggers.trigger import Trigger

MOST_QUEUED: Final = 10_000
"""Queued messages that are remembered, to tell when their queue has been triggered."""


class TalkFilter:
    """Which events of which connections count.

    Example:
        >>> wanted = TalkFilter("queue_filled", source="a")
        >>> wanted.fits(TalkProcessed(talk="t", source="a", queued=True), was_queued=False)
        True
    """

    def __init__(
        self,
        event: TalkEventName,
        *,
        source: str | None = None,
        target: str | None = None,
        predicate: Callable[[TalkProcessed], bool] | None = None,
    ) -> None:
        """Take what is wanted.

        Args:
            event: What must have happened.
            source: Only connections from this node.
            target: Only connections to this node.
            predicate: A further condition; an exception counts as False.
        """
        self.event: TalkEventName = event
        self._source = source
        self._target = target
        self._predicate = predicate

    def fits(self, event: TalkProcessed, *, was_queued: bool) -> bool:
        """Whether the event counts; `was_queued` says that its message had waited in a queue."""
        if self._source not in (None, event.source) or (self._target is not None and self._target not in event.targets):
            return False
        return self._happened(event, was_queued=was_queued) and self._holds(event)

    def _happened(self, event: TalkProcessed, *, was_queued: bool) -> bool:
        if self.event == "message_received":
            return not was_queued
        if self.event == "queue_filled":
            return event.queued
        is_passed_on = bool(event.targets) and not event.queued
        if self.event == "queue_triggered":
            return is_passed_on and was_queued
        return is_passed_on and (self.event == "message_processed" or event.connection_type == "forward")

    def _holds(self, event: TalkProcessed) -> bool:
        if self._predicate is None:
            return True
        try:
            return bool(self._predicate(event))
        except Exception:
            return False


class ConnectionActor(TriggerActor):
    """Offers an event for each thing that happens on the connections it is interested in."""

    def __init__(self, trigger: Trigger, wanted: TalkFilter, *, wall: Callable[[], float]) -> None:
        super().__init__((trigger,))
        self._trigger = trigger
        self._wanted = wanted
        self._wall = wall
        self._queued: dict[str, None] = {}
        self._subscription: Subscription | None = None

    def on_start(self) -> None:
        """Listen."""
        self._subscription = self.system.events.subscribe(self.actor_ref, [TalkProcessed])
        self.established()

    def on_stop(self) -> Any:
        """Listen no more."""
        self._unsubscribe()
        return super().on_stop()

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> Any:
        """Listen no more; the next life does."""
        self._unsubscribe()
        return super().on_failure(exception_type, exception_value, traceback)

    async def on_receive(self, message: Any) -> Any:
        """Offer an event if the message is one that counts."""
        if not isinstance(message, TalkProcessed):
            return await super().on_receive(message)
        key = f"{message.talk}\0{message.message_id}"
        was_queued = key in self._queued
        if message.queued:
            self._queued[key] = None
            if len(self._queued) > MOST_QUEUED:
                del self._queued[next(iter(self._queued))]
        elif was_queued:
            del self._queued[key]
        if self._wanted.fits(message, was_queued=was_queued):
            await self._trigger.offer(self._event(message))
        return None

    def _event(self, event: TalkProcessed) -> ConnectionEvent:
        return ConnectionEvent(
            source=self._trigger.name,
            time=self._wall(),
            connection=event.talk,
            event=self._wanted.event,
            sender=event.source,
            targets=event.targets,
            message_id=event.message_id,
            metadata={"connection": event.talk, "conversation_id": event.conversation_id},
        )

    def _unsubscribe(self) -> None:
        if self._subscription is not None:
            self._subscription.cancel()
            self._subscription = None
