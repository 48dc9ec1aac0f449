"""`StatsActor`: counts the events of its system. However slow it is, it slows nobody: its mailbox only ever drops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from actors.runtime.actor import AsyncioActor
from actors.runtime.mailbox import MailboxConfig
from actors.stats.book import StatsBook, StatsSnapshot
from protocols.events import KINDS, MessageReceived, StampedEvent

if TYPE_CHECKING:
    from types import TracebackType

    from actors.runtime.event_stream import Subscription

_CAPACITY = 10_000
_KINDS = tuple(kind for kind in KINDS.values() if kind is not MessageReceived)  # `received` says what `runs` says


class ReadStats(msgspec.Struct, frozen=True):
    """Ask a stats actor for its numbers; the answer is a `StatsSnapshot` that holds every event before it."""


class StatsActor(AsyncioActor):
    """Folds the events of its system into counters.

    Example:
        ```python
        stats = system.start(StatsActor, name="stats")
        await agent.run("...")
        snapshot = await stats.ask(ReadStats())
        print(snapshot.total.messages, snapshot.total.total_tokens)
        ```

    Its mailbox is bounded: events that come while it is full are lost and counted in `StatsSnapshot.dropped_events`.
    """

    mailbox = MailboxConfig(capacity=_CAPACITY)

    def __init__(self, book: StatsBook | None = None) -> None:
        """Take the book to write to; one given from outside survives a restart of the actor."""
        super().__init__()
        self._book = book or StatsBook()
        self._subscription: Subscription | None = None

    def on_start(self) -> None:
        """Begin to listen."""
        self._subscription = self.system.events.subscribe(self.actor_ref, _KINDS)

    def on_stop(self) -> None:
        """Listen no more."""
        self._unsubscribe()

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Listen no more; the next incarnation subscribes again."""
        self._unsubscribe()

    def on_receive(self, message: Any) -> StatsSnapshot | None:
        """Count an event, or answer with the numbers."""
        if isinstance(message, StampedEvent):
            self._book.add(message)  # type: ignore[arg-type] # every event class of the stream is one of the union
            return None
        if isinstance(message, ReadStats):
            lost = self._subscription.dropped if self._subscription is not None else 0
            return self._book.snapshot(dropped_events=lost)
        self.unhandled(message)
        return None

    def _unsubscribe(self) -> None:
        if self._subscription is not None:
            self._subscription.cancel()
