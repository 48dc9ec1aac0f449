"""Answers as text or JSON."""

from typing import Any

from actors.prompts.content import prompt_text, user_content
from protocols.json_value import as_json
from protocols.messages import ChatMessage


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
