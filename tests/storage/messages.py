"""Messages for tests of history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from protocols.history import StoredMessage

if TYPE_CHECKING:
    from collections.abc import Iterable


def message(number: int, **changes: Any) -> StoredMessage:
    """Return a message whose fields follow from its number."""
    values: dict[str, Any] = {
        "id": f"m{number}",
        "conversation_id": "c1",
        "run_id": f"r{number // 2}",
        "node": "writer",
        "role": "user" if number % 2 == 0 else "assistant",
        "content": f"message {number}",
        "created": 1_000.0 + number,
    }
    return StoredMessage(**{**values, **changes})


def ids(messages: Iterable[StoredMessage]) -> list[str]:
    """Return the ids in order."""
    return [m.id for m in messages]


def as_offered(messages: Iterable[StoredMessage]) -> list[StoredMessage]:
    """Return the messages without what the store has added."""
    return [msgspec.structs.replace(m, seq=0) for m in messages]
