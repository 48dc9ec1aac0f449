"""History in memory: for tests, and for programs that want the queries without a file. Gone with the process."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime

import msgspec

from actors.storage.content import metadata_from, metadata_json, storable
from protocols.checks import check_values, whole
from protocols.history import (
    ConversationSummary,
    HistoryGroup,
    HistoryQuery,
    HistoryStats,
    Retention,
    StoredMessage,
    check_group,
)
from protocols.limits import check_limit
from protocols.session import SESSION_PREFIX, is_of_session
from protocols.stores import HistoryStore, StorageError

EVERYTHING = HistoryQuery()
_KEYS: dict[str | None, Callable[[StoredMessage], str]] = {
    None: lambda _: "",
    "agent": lambda m: m.node,
    "role": lambda m: m.role,
    "model": lambda m: m.model or "",
    "conversation": lambda m: m.conversation_id,
    "day": lambda m: datetime.fromtimestamp(m.created, UTC).date().isoformat(),
}
"""The functions that name the group of a message."""


class MemoryHistoryStore(HistoryStore):
    """Keep the latest `capacity` messages in this process; older ones make room and are counted in `.dropped`.

    Example:
        >>> async def example() -> int:
        ...     async with MemoryHistoryStore() as store:
        ...         return await store.count()
    """

    location = "memory"

    def __init__(self, *, capacity: int = 100_000) -> None:
        check_values({"capacity": whole(1)}, {"capacity": capacity}, never_none=("capacity",))
        self.capacity = capacity
        self.dropped = 0
        """Messages that lost their place to newer ones."""
        self._messages: dict[str, StoredMessage] = {}
        self._seq = 0
        self._is_open = False

    async def open(self) -> None:
        """Allow access; what was kept before a `close` is still there."""
        self._is_open = True

    async def close(self) -> None:
        """Refuse access until the next `open`."""
        self._is_open = False

    async def append(self, batch: Sequence[StoredMessage]) -> None:
        """Keep all messages of the batch whose ids are new."""
        messages = self._opened()
        for message in [_kept(message) for message in batch]:  # all are fit to keep before the first one is kept
            if message.id not in messages:
                self._seq += 1
                messages[message.id] = msgspec.structs.replace(message, seq=self._seq)
        while len(messages) > self.capacity:
            del messages[next(iter(messages))]
            self.dropped += 1

    async def query(self, query: HistoryQuery) -> list[StoredMessage]:
        """Return one page of messages."""
        found = list(_matching(self._opened().values(), query))
        if query.newest_first:
            found.reverse()
        if (after := query.after) is not None:
            found = [m for m in found if (m.seq < after if query.newest_first else m.seq > after)]
        return found[: query.limit]

    async def stats(self, query: HistoryQuery, *, group_by: HistoryGroup | None = None) -> list[HistoryStats]:
        """Return sums per group, those with most messages first."""
        check_group(group_by)
        key_of = _KEYS[group_by]
        groups: defaultdict[str, list[StoredMessage]] = defaultdict(list)
        for message in _matching(self._opened().values(), query):
            groups[key_of(message)].append(message)
        if group_by is None and not groups:
            return [HistoryStats()]
        ranked = sorted(groups.items(), key=lambda group: (-len(group[1]), group[1][0].seq))
        return [_stats(key, members) for key, members in ranked[: query.limit]]

    async def count(self, query: HistoryQuery | None = None) -> int:
        """Return how many messages there are."""
        return sum(1 for _ in _matching(self._opened().values(), query or EVERYTHING))

    async def conversations(
        self, agent: str | None = None, *, limit: int = 100, restorable: bool = False
    ) -> list[ConversationSummary]:
        """Return the conversations, the latest first."""
        check_limit(limit)
        groups: defaultdict[str, list[StoredMessage]] = defaultdict(list)
        for message in _matching(self._opened().values(), HistoryQuery(agent=agent)):
            is_own = message.payload is not None and not message.conversation_id.startswith(SESSION_PREFIX)
            if is_own or not restorable:
                groups[message.conversation_id].append(message)
        summaries = [_summary(name, members) for name, members in groups.items()]
        return sorted(summaries, key=lambda summary: -summary.seq)[:limit]

    async def forget(self, session: str, *, agent: str | None = None) -> int:
        """Delete what was said in a session; return how many messages that were."""
        messages = self._opened()
        gone = [one.id for one in _matching(messages.values(), HistoryQuery(session=session, agent=agent))]
        for key in gone:
            del messages[key]
        return len(gone)

    async def prune(self, retention: Retention, *, now: float | None = None) -> int:
        """Delete what `retention` does not allow; return how many messages that were."""
        messages = self._opened()
        before = len(messages)
        if retention.max_age is not None:
            oldest = (time.time() if now is None else now) - retention.max_age
            self._messages = messages = {k: m for k, m in messages.items() if m.created >= oldest}
        if retention.max_per_conversation is not None:
            self._messages = messages = _latest_of_each(messages, retention.max_per_conversation)
        if retention.max_messages is not None:
            surplus = max(0, len(messages) - retention.max_messages)
            self._messages = messages = dict(list(messages.items())[surplus:])
        return before - len(messages)

    def _opened(self) -> dict[str, StoredMessage]:
        if not self._is_open:
            raise StorageError("is not open; use `async with store:` or await store.open()", location=self.location)
        return self._messages


def _kept(message: StoredMessage) -> StoredMessage:
    metadata = metadata_from(metadata_json(message.id, message.metadata))
    return msgspec.structs.replace(message, content=storable(message.content), metadata=metadata)


def _matching(messages: Iterable[StoredMessage], query: HistoryQuery) -> Iterator[StoredMessage]:
    needle = None if query.text is None else storable(query.text).lower()
    return (m for m in messages if _fits(m, query, needle))


def _fits(message: StoredMessage, query: HistoryQuery, needle: str | None) -> bool:
    return (
        query.agent in {None, message.node}
        and query.role in {None, message.role}
        and query.conversation in {None, message.conversation_id}
        and (query.session is None or is_of_session(message.conversation_id, query.session))
        and (query.since is None or message.created >= query.since)
        and (query.until is None or message.created < query.until)
        and (needle is None or needle in message.content.lower())
    )


def _stats(key: str, members: list[StoredMessage]) -> HistoryStats:
    return HistoryStats(
        key=key,
        messages=len(members),
        tokens=sum(m.tokens for m in members),
        input_tokens=sum(m.input_tokens for m in members),
        output_tokens=sum(m.output_tokens for m in members),
        cost=sum(m.cost or 0.0 for m in members),
        cost_known=not any(m.cost is None and m.tokens for m in members),
        first=min(m.created for m in members),
        last=max(m.created for m in members),
    )


def _summary(name: str, members: list[StoredMessage]) -> ConversationSummary:
    return ConversationSummary(
        conversation_id=name,
        messages=len(members),
        tokens=sum(m.tokens for m in members),
        first=min(m.created for m in members),
        last=max(m.created for m in members),
        seq=members[-1].seq,
    )


def _latest_of_each(messages: dict[str, StoredMessage], limit: int) -> dict[str, StoredMessage]:
    left = Counter(m.conversation_id for m in messages.values())
    kept: dict[str, StoredMessage] = {}
    for key, message in messages.items():
        if left[message.conversation_id] <= limit:
            kept[key] = message
        left[message.conversation_id] -= 1
    return kept
