"""The history store: one small interface over memory, SQLite and PostgreSQL, and the errors that all of them raise."""

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from protocols.errors import UnderstageError
from protocols.history import ConversationSummary, HistoryGroup, HistoryQuery, HistoryStats, Retention, StoredMessage


class StorageError(UnderstageError):
    """A store could not do its work. `.location` says which one, without its password."""

    def __init__(self, problem: str, *, location: str = "") -> None:
        super().__init__(f"history store {location!r}: {problem}" if location else problem)
        self.location = location


class StoreMissingError(StorageError):
    """Nothing was kept yet, and the store is opened for reading only."""


class StoreUnavailableError(StorageError):
    """The store cannot be reached now: down, locked, full or read-only. The same call may work later."""


class StoreCorruptError(StorageError):
    """The store's file is damaged, or not a database. Waiting does not help; the file has not been changed."""


class StoreVersionError(StorageError):
    """The store was written by a newer version than this one, which refuses to touch it."""


class StoreRejectedError(StorageError):
    """The store works but will not take this message. Sending it again does not help."""


@runtime_checkable
class HistoryStore(Protocol):
    """Append-only, queryable history. Used on one event loop, by any number of tasks at once.

    Every method raises `StorageError` (or a kind of it) when the store is not open or cannot do it.
    """

    location: str
    """Where it is, without a password."""

    async def open(self) -> None:
        """Connect, and bring an older schema up to date; does nothing when open."""
        ...

    async def close(self) -> None:
        """Let go of all connections; does nothing when closed."""
        ...

    async def __aenter__(self) -> Self:
        """Open it."""
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Close it."""
        await self.close()

    async def append(self, batch: Sequence[StoredMessage]) -> None:
        """Keep all messages of the batch, or none when it raises; an id that is there already is left as it is."""
        ...

    async def conversation(self, conversation_id: str, *, limit: int = 200) -> list[StoredMessage]:
        """Return the latest `limit` messages of one conversation, oldest first."""
        return (await self.query(HistoryQuery(conversation=conversation_id, limit=limit)))[::-1]

    async def query(self, query: HistoryQuery) -> list[StoredMessage]:
        """Return one page of messages; the next page starts ``after`` the ``seq`` of the last one."""
        ...

    async def stats(self, query: HistoryQuery, *, group_by: HistoryGroup | None = None) -> list[HistoryStats]:
        """Return sums per group, those with most messages first, at most ``query.limit``; ``after`` has no meaning.

        Without `group_by` the answer is one element, also for an empty store.
        """
        ...

    async def count(self, query: HistoryQuery | None = None) -> int:
        """Return how many messages there are; ``limit`` and ``after`` have no meaning."""
        ...

    async def conversations(
        self, agent: str | None = None, *, limit: int = 100, restorable: bool = False
    ) -> list[ConversationSummary]:
        """Return the conversations (of one agent: counting its messages only), the latest first.

        With `restorable` only messages with a `payload` count, those that a node can go on from. Sessions are left out.
        """
        ...

    async def forget(self, session: str, *, agent: str | None = None) -> int:
        """Delete what was said in a session (of one agent, or of all nodes). Return how many messages that were."""
        ...

    async def prune(self, retention: Retention, *, now: float | None = None) -> int:
        """Delete what `retention` does not allow and return how many messages that were.

        `now` is seconds since 1970 UTC, the system's time when None.
        """
        ...
