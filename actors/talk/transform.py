"""How a connection changes messages: by a transform, merged into one, or as the text of a context."""

from collections.abc import Sequence
from typing import Any

import msgspec

from protocols.errors import TransformError
from protocols.messages import ChatMessage, is_message

Message = ChatMessage[Any]

_replace = msgspec.structs.replace


def as_message(result: object, original: Message, talk: str) -> Message:
    """Return the message that a transform made.

    A result that is not a message becomes the content of the original message, so that sender and route stay. A message
    without a sender gets the sender of the original.

    Raises:
        TransformError: the result is None.
    """
    if result is original:
        return original
    if is_message(result):
        if result.name is not None:
            return result
        return _replace(result, name=original.name, forwarded_from=original.forwarded_from)
    if result is None:
        message = f"talk {talk!r}: the transform returned None; return the message, or a new content for it"
        raise TransformError(message, message=original)
    return _replace(original, content=result)


def merged(messages: Sequence[Message]) -> Message:
    """Return the newest message with the texts of all, separated by empty lines."""
    newest = messages[-1]
    return _replace(
        newest,
        content="\n\n".join(message.text for message in messages),
        metadata={**newest.metadata, "merged_count": len(messages), "queue_strategy": "concat"},
        associated_messages=(),
    )


def prompted(message: Message, prompt: str | None) -> Message:
    """Return the message with a further instruction below its text."""
    if not prompt:
        return message
    return _replace(message, content=f"{message.text}\n\n{prompt}", associated_messages=())


def context_text(message: Message, source: str) -> str:
    """Return the text that a target reads of a message as context."""
    facts = {
        "role": message.role,
        "model": message.model_name,
        "cost": f"${message.cost_info.total_cost:.6f}" if message.cost_info is not None else None,
        "time": message.timestamp.isoformat(timespec="seconds"),
    }
    line = ", ".join(f"{name}: {value}" for name, value in facts.items() if value)
    return f"[Context from {message.name or source} ({line})]\n{message.text}"
