"""The way from the nodes of a pool to one store: a backlog, an actor that empties it, and a writer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.storage.backlog import Backlog
from actors.storage.history import HistoryWriter, WriterStatistics
from actors.storage.history_actor import CLOSE_TIMEOUT, Flush, HistoryActor
from actors.supervision.child import ChildSpec

if TYPE_CHECKING:
    from actors.runtime.ref import ActorRef
    from actors.supervision.supervisor import Supervisor
    from protocols.history import Retention
    from protocols.stores import HistoryStore

_COLLECTING = 0.9
"""Share of the delay that messages wait unmade: the later they are made, the more of them are at once."""


class HistoryFeed:
    """Feeds one store with what is put into its backlog; the other stores do not feel its troubles."""

    def __init__(
        self, store: HistoryStore, *, batch_size: int, batch_delay: float, retention: Retention | None = None
    ) -> None:
        """Take an open store; nothing is written before `start`.

        Args:
            store: where to write.
            batch_size: messages that are written together, at most.
            batch_delay: seconds until a message is written, at most, as long as the store works.
            retention: what the store may keep.
        """
        self.store = store
        self.batch_size = batch_size
        self.batch_delay = batch_delay
        self.backlog = Backlog(batch=batch_size)
        self._writer = HistoryWriter(store, batch=batch_size, linger=batch_delay * (1 - _COLLECTING))
        self._retention = retention
        self._ref: ActorRef[HistoryActor] | None = None

    async def start(self, supervisor: ActorRef[Supervisor], name: str) -> None:
        """Start the actor, which the supervisor restarts and stops."""
        arguments = (self.store, self._writer, self.backlog)
        options = {"delay": self.batch_delay * _COLLECTING, "retention": self._retention}
        spec = ChildSpec(HistoryActor, args=arguments, kwargs=options, name=name, shutdown=2 * CLOSE_TIMEOUT)
        self._ref = await supervisor.proxy().start_child(spec)

    async def flush(self, timeout: float | None = None) -> None:
        """Wait until everything that has been said is in the store.

        Args:
            timeout: seconds; None for as long as it takes.

        Raises:
            AskTimeoutError: the store has failed for so long.
        """
        if self._ref is not None:
            await self._ref.ask(Flush(), timeout=timeout)

    def statistics(self) -> WriterStatistics:
        """Return what became of the messages."""
        return self._writer.statistics().with_backlog(self.backlog)
