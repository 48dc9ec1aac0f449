"""What a node remembers after a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from actors.storage import MemoryHistoryStore, open_store, restore
from protocols.session import SessionQuery
from tests.storage.messages import ids, message

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from protocols.history import StoredMessage
    from protocols.stores import HistoryStore


def said(number: int, **changes: Any) -> StoredMessage:
    """Return a message; an answer carries what the model said."""
    return message(number, payload=b"[]" if number % 2 else None, **changes)


@pytest.fixture
async def store() -> AsyncGenerator[HistoryStore]:
    async with MemoryHistoryStore() as store:
        # Runs r0, r1 and r2 of two messages each in c1, then one run in c2; another node in between.
        await store.append([said(n, tokens=10) for n in range(6)])
        await store.append([said(101, node="editor", conversation_id="c9")])
        await store.append([said(n, conversation_id="c2", tokens=10) for n in (6, 7)])
        # What the node was told not to remember is in a conversation of its own.
        await store.append([message(n, conversation_id="flow") for n in (8, 9)])
        yield store


@pytest.mark.parametrize(
    ("session", "expected"),
    [
        (None, []),
        (False, []),
        (True, ["m6", "m7"]),
        (1_000, ["m6", "m7"]),
        (19, []),
        (0, []),
        ("c1", ["m0", "m1", "m2", "m3", "m4", "m5"]),
        ("new", []),
        (SessionQuery(is_restored=True, conversation="c1", limit=5), ["m2", "m3", "m4", "m5"]),
        (SessionQuery(is_restored=True, conversation="c1", limit=4), ["m2", "m3", "m4", "m5"]),
        (SessionQuery(is_restored=True, conversation="c1", limit=1), []),
        (SessionQuery(is_restored=True, conversation="c1", max_tokens=59), ["m2", "m3", "m4", "m5"]),
        (SessionQuery(is_restored=True, conversation="c1", max_tokens=40), ["m2", "m3", "m4", "m5"]),
        (SessionQuery(is_restored=True, conversation="c1", since=1_002.0, until=1_004.0), ["m2", "m3"]),
        (SessionQuery(is_restored=True, is_enabled=False, conversation="c1"), []),
        ({"conversation": "c1", "limit": 4}, ["m2", "m3", "m4", "m5"]),
        ({}, ["m6", "m7"]),
        ({"enabled": False}, []),
        ({"restore": False, "conversation": "c1"}, []),
    ],
)
async def test_session_restores_whole_runs(store: HistoryStore, session: Any, expected: list[str]) -> None:
    assert ids(await restore(store, SessionQuery.parse(session), node="writer")) == expected


async def test_node_without_history_has_nothing_to_restore(store: HistoryStore) -> None:
    assert await restore(store, SessionQuery.parse(True), node="nobody") == []


async def test_conversation_is_restored_after_a_restart_of_the_process(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    sent = [message(n, payload=b'[{"kind":"request"}]' if n % 2 else None) for n in range(4)]
    async with open_store(path) as before:
        await before.append(sent)
    async with open_store(path) as after:
        found = await restore(after, SessionQuery.parse("c1"), node="writer")
    assert [(m.id, m.payload) for m in found] == [(m.id, m.payload) for m in sent]


@pytest.mark.parametrize(
    ("session", "error"),
    [
        ("", ValueError),
        ("a\0", ValueError),
        ("x" * 256, ValueError),
        (-1, ValueError),
        (1.5, TypeError),
        ([], TypeError),
        ({"conversion": "c1"}, ValueError),
        ({"limit": 0}, ValueError),
        ({"conversation": ""}, ValueError),
    ],
)
def test_nonsense_is_refused_with_its_value(session: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"session (must be|has no key)|(conversation|max_tokens|limit) must be"):
        SessionQuery.parse(session)
