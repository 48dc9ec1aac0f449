"""Prompts from the command line, and answers as text or JSON."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from actors.prompts.content import load_user_content, prompt_text, user_content
from protocols.json_value import as_json
from protocols.messages import ChatMessage


async def load_prompts(texts: Sequence[str], files: Sequence[Path]) -> Any:
    """Turn texts and files into one prompt.

    Raises:
        PromptError: nothing was given, or a file is missing, unreadable or binary.
    """
    return await load_user_content([*texts, *files])


def readable(message: ChatMessage[Any]) -> str:
    """Return the content of an answer for people: text as text, structured content as JSON."""
    content: object = message.content
    if isinstance(content, str | list | tuple):
        return message.text
    return prompt_text(user_content([content]))


def answer_fields(message: ChatMessage[Any]) -> dict[str, Any]:
    """Return what programs are told of every answer."""
    return {
        "content": as_json(message.content),
        "text": readable(message),
        "message_id": message.message_id,
        "model": message.model_name,
    }
