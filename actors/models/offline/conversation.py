"""The messages of a model request, reduced to the parts that the offline model reads."""

from collections.abc import Sequence
from typing import NamedTuple

from pydantic_ai.messages import (
    BinaryContent,
    ModelMessage,
    ModelRequest,
    SystemPromptPart,
    ToolReturnPart,
    UserPromptPart,
    is_multi_modal_content,
)

from actors.models.offline.sentences import documents
from actors.prompts.document import document_block


class Conversation(NamedTuple):
    """The texts of a conversation."""

    instructions: str
    """The instructions of the agent."""
    prompt: str
    """The last prompt, with the documents of earlier ones and the results of tools as documents."""
    called: frozenset[str]
    """Tools that have answered since the last prompt."""
    unreadable: tuple[str, ...]
    """One sentence for every part of the last prompt that is not text."""
    everything: str
    """All texts, for the estimate of tokens."""

    @staticmethod
    def of(messages: Sequence[ModelMessage]) -> "Conversation":
        """Reduce *messages*."""
        requests = [message for message in messages if isinstance(message, ModelRequest)]
        placed = [(place, part) for place, one in enumerate(requests) for part in one.parts]
        prompts = [(place, part) for place, part in placed if isinstance(part, UserPromptPart)]
        last = prompts[-1][0] if prompts else 0
        texts = [text for _, part in prompts for text in _texts(part)]
        current = "\n\n".join(text for place, part in prompts if place == last for text in _texts(part))
        results = [part for one in requests[last:] for part in one.parts if isinstance(part, ToolReturnPart)]
        blocks = [document_block(part.tool_name, part.model_response_str()) for part in results if part.content]
        system = [part.content for _, part in placed if isinstance(part, SystemPromptPart)]
        latest = next((one.instructions for one in reversed(requests) if one.instructions), "")
        instructions = "\n\n".join([*system, latest])
        return Conversation(
            instructions,
            "\n\n".join([*_earlier_documents(texts, current), current, *blocks]),
            frozenset(part.tool_name for part in results),
            tuple(note for place, part in prompts if place == last for note in _notes(part)),
            "\n".join([instructions, *texts, *blocks]),
        )


def _texts(part: UserPromptPart) -> list[str]:
    return [part.content] if isinstance(part.content, str) else [one for one in part.content if isinstance(one, str)]


def _notes(part: UserPromptPart) -> list[str]:
    media = [item for item in part.content if is_multi_modal_content(item)]
    return [f"(The offline model cannot read {_name(item)}.)" for item in media]


def _name(item: object) -> str:
    if isinstance(item, BinaryContent):
        return f"{item.identifier} ({item.media_type}, {len(item.data):,} bytes)"
    return str(getattr(item, "url", type(item).__name__))


def _earlier_documents(texts: Sequence[str], current: str) -> list[str]:
    known = set(documents(current))
    earlier = {name: body for text in texts for name, body in documents(text).items() if name not in known}
    return [document_block(name, body) for name, body in earlier.items()]
