"""From the prompts of a run to its input message."""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, TypeGuard

from actors.prompts.content import load_user_content
from protocols.messages import ChatMessage, is_message


async def input_message(prompts: Sequence[object], conversation_id: str) -> ChatMessage[Any]:
    """Make the input message of a run: the only place that decides its sender and its `forwarded_from`.

    One `ChatMessage` is forwarded: its sender becomes the sender and the last name of `forwarded_from`. All other
    prompts come from a user, without a name. One object stays as it is, for callables. Paths, lists and several prompts
    become content for a model (files are read in a thread). An answer copies the `forwarded_from` of its input.
    """
    first = prompts[0]
    if len(prompts) == 1 and type(first) is str:
        content: object = first
    elif len(prompts) > 1 or isinstance(first, list | tuple | PurePath | bytes | None):
        content = await load_user_content(prompts)
    elif is_message(first):
        return _forwarded(first, conversation_id)
    else:
        content = first
    return ChatMessage(content, "user", conversation_id=conversation_id)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Return True for a list, whatever its items."""
    return isinstance(value, list)


def _forwarded(message: ChatMessage[Any], conversation_id: str) -> ChatMessage[Any]:
    """Return a message as the input of the next node: the sender joins the chain, the cost is dropped."""
    chain = message.forwarded_from
    if message.name is not None or message.role != "user":
        chain = (*chain, message.name or "unknown")
    return ChatMessage(
        message.content,
        "user",
        message.name,
        conversation_id,
        message.message_id,
        metadata=message.metadata,
        forwarded_from=chain,
        associated_messages=message.associated_messages,
    )
