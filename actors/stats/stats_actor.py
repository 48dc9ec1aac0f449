"""`StatsActor`: counts the events of its system. However slow it is, it slows nobody: its mailbox only ever drops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from actors.runtime.actor import AsyncioActor
from actors.runtime.event_stream import TakeEvents
from actors.runtime.mailbox import MailboxConfig
from actors.stats.projection import Projection, StatsSnapshot
from protocols.events import KINDS, MessageReceived

if TYPE_CHECKING:
    from types import TracebackType

    from actors.runtime.event_stream import BatchSubscription

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

    It takes events in batches, and before it answers. As many wait as its mailbox holds: those that come while it is
    stuck with so many are lost, and counted in `StatsSnapshot.dropped_events`.
    """

    mailbox = MailboxConfig(capacity=_CAPACITY)

    def __init__(self, book: Projection | None = None) -> None:
        """Take the book to write to; one given from outside survives a restart of the actor.

        The latest events may not be in it before the actor was asked, or has ended.
        """
        super().__init__()
        self._book = book or Projection()
        self._subscription: BatchSubscription | None = None

    def on_start(self) -> None:
        """Begin to listen."""
        self._subscription = self.system.events.subscribe_in_batches(self.actor_ref, _KINDS)

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
        """Count events, or answer with the numbers."""
        self._take()
        if isinstance(message, TakeEvents):
            return None
        if isinstance(message, ReadStats):
            lost = self._subscription.dropped if self._subscription is not None else 0
            return self._book.snapshot(dropped_events=lost)
        self.unhandled(message)
        return None

    def _take(self) -> None:
        if self._subscription is not None:
            self._book.add_all(self._subscription.take())

    def _unsubscribe(self) -> None:
        if self._subscription is not None:
            self._subscription.cancel()
            self._take()
