"""Reading back what a node is to remember, after a restart of the node or of the process."""

from protocols.history import HistoryQuery, StoredMessage
from protocols.limits import MAX_LIMIT
from protocols.session import SessionQuery
from protocols.stores import HistoryStore


async def restored_conversation(store: HistoryStore, session: SessionQuery, *, node: str) -> str | None:
    """Return the conversation that `node` continues; None if it begins a new one.

    The session names the conversation. Without a name it is the latest that the node remembers, whatever the limits.

    Raises:
        StorageError: The store could not be read.
    """
    if session.conversation is not None or not session.is_enabled or not session.is_restored:
        return session.conversation
    latest = await store.conversations(node, limit=1, restorable=True)
    return latest[0].conversation_id if latest else None


async def restore(store: HistoryStore, session: SessionQuery, *, node: str) -> list[StoredMessage]:
    """Return the messages that `node` continues with, oldest first.

    Runs are restored whole: a run of which the limits would leave only a part is left out.

    Raises:
        StorageError: The store could not be read.
    """
    if not session.is_enabled or not session.is_restored:
        return []
    conversation = await restored_conversation(store, session, node=node)
    if conversation is None:
        return []
    query = HistoryQuery(
        agent=node,
        conversation=conversation,
        since=session.since,
        until=session.until,
        limit=min(session.limit + 1, MAX_LIMIT),  # the one too many shows whether the limit cuts a run
    )
    runs = _runs((await store.query(query))[::-1])
    if sum(map(len, runs)) > session.limit:
        del runs[0]
    return _within(runs, session.max_tokens)


def _runs(messages: list[StoredMessage]) -> list[list[StoredMessage]]:
    """Return the messages in groups of one run each."""
    runs: list[list[StoredMessage]] = []
    for message in messages:
        if runs and message.run_id is not None and runs[-1][-1].run_id == message.run_id:
            runs[-1].append(message)
        else:
            runs.append([message])
    return runs


def _within(runs: list[list[StoredMessage]], max_tokens: int | None) -> list[StoredMessage]:
    kept: list[list[StoredMessage]] = []
    left = max_tokens
    for run in reversed(runs):
        if left is not None:
            left -= sum(message.tokens for message in run)
            if left < 0:
                break
        kept.append(run)
    return [message for run in reversed(kept) for message in run]
