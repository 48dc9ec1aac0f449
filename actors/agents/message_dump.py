"""Messages of a model as JSON and back, for whoever keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_ai.messages import ModelMessagesTypeAdapter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic_ai.messages import ModelMessage


def dump_messages(messages: Sequence[Any]) -> bytes:
    """Return requests and responses of a model as JSON."""
    return ModelMessagesTypeAdapter.dump_json(list(messages))


def load_messages(data: bytes) -> list[ModelMessage]:
    """Return the messages that `dump_messages` was given.

    Raises:
        ValueError: it is not what `dump_messages` returns, or comes from a version that knows other messages.
    """
    return ModelMessagesTypeAdapter.validate_json(data)
