"""`StatsActor`: counts the events of its system. It never slows another actor: its full mailbox drops events."""

from typing import Any

import msgspec

from actors.runtime.actor import AsyncioActor
from actors.runtime.event_stream import BatchSubscription, TakeEvents
from actors.runtime.mailbox import MailboxConfig
from actors.stats.projection import Projection, StatsSnapshot
from protocols.events import KINDS, MessageReceived

_CAPACITY = 10_000
_KINDS = tuple(kind for kind in KINDS.values() if kind is not MessageReceived)  # `received` says what `runs` says


class ReadStats(msgspec.Struct, frozen=True):
    """Asks a stats actor for its numbers. The reply is a `StatsSnapshot` that includes every event before it."""

    has_runs: bool = True
    """False to leave out `StatsSnapshot.runs`, which takes longer than all the rest."""


class StatsActor(AsyncioActor):
    """Folds the events of its system into totals.

    Example:
        ```python
        stats = system.start(StatsActor, name="stats")
        await agent.run("...")
        snapshot = await stats.ask(ReadStats())
        print(snapshot.total.messages, snapshot.total.total_tokens)
        ```

    It takes events in batches, and before it answers. Events wait up to the capacity of its mailbox. Further events are
    lost and counted in `StatsSnapshot.dropped_events`.
    """

    mailbox = MailboxConfig(capacity=_CAPACITY)

    def __init__(self, projection: Projection | None = None) -> None:
        """Make a stats actor.

        Args:
            projection: where the events are counted; a given one survives a restart of the actor. The latest events may
                be missing until the actor was asked, or has stopped.
        """
        super().__init__()
        self._projection = projection or Projection()
        self._subscription: BatchSubscription | None = None

    def on_start(self) -> None:
        """Subscribe to the events of the system."""
        self._subscription = self.system.events.subscribe_in_batches(self.actor_ref, _KINDS)

    def on_stop(self) -> None:
        """Unsubscribe."""
        if self._subscription is not None:
            self._subscription.cancel()
            self._take()

    def on_failure(self, exception_type: Any, exception_value: Any, traceback: Any) -> None:
        """Unsubscribe; the next incarnation subscribes again."""
        self.on_stop()

    def on_receive(self, message: Any) -> StatsSnapshot | None:
        """Count events, or answer with the numbers."""
        self._take()
        if isinstance(message, TakeEvents):
            return None
        if isinstance(message, ReadStats):
            lost = self._subscription.dropped if self._subscription is not None else 0
            return self._projection.snapshot(dropped_events=lost, has_runs=message.has_runs)
        self.unhandled(message)
        return None

    def _take(self) -> None:
        if self._subscription is not None:
            self._projection.add_all(self._subscription.take())
