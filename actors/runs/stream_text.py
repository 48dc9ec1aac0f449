"""Whose words are the text of a stream: those that end up in the answer."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta

from protocols.streaming import StreamCompleteEvent


class TextFilter:
    """Picks the text out of the events of one run.

    Of a chain only its last stage is heard, so the pieces make up the answer; of a parallel team everybody is, in the
    order in which the pieces come. A node that says nothing in pieces, such as a function, is heard when it is done.
    """

    def __init__(self, node: Any) -> None:
        """Take the node that is run."""
        self._node = node
        self._speakers = None if not node.is_group else set(_speakers(node))
        self._spoke: set[int] = set()

    @property
    def has_spoken(self) -> bool:
        """Whether there was any text."""
        return bool(self._spoke)

    def text(self, item: Any) -> str:
        """Return the text in an item of the stream; empty when there is none."""
        speaker: object = item[0] if self._speakers is not None else self._node
        event: object = item[1] if self._speakers is not None else item
        if self._speakers is not None and id(speaker) not in self._speakers:
            return ""
        if isinstance(event, StreamCompleteEvent):
            text = "" if id(speaker) in self._spoke else event.message.text
        else:
            text = text_of(event)
        if text:
            self._spoke.add(id(speaker))
        return text


def text_of(event: object) -> str:
    """Return the text that an event of pydantic_ai adds to the answer; thoughts and tools are none."""
    if isinstance(event, PartDeltaEvent):
        return event.delta.content_delta if isinstance(event.delta, TextPartDelta) else ""
    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    return ""


def _speakers(node: Any) -> Iterator[int]:
    """Yield the ids of those who are heard; nobody where it cannot be known before the end."""
    if not node.is_group:
        yield id(node)
        return
    for member in _heard(node):
        yield from _speakers(member)


def _heard(group: Any) -> list[Any]:
    stages = [*group.nodes, *([group.validator] if getattr(group, "validator", None) is not None else [])]
    if not hasattr(group, "result_mode"):
        return stages
    if not stages or group.result_mode != "last" or Counter(map(id, stages))[id(stages[-1])] > 1:
        return []
    is_picked = group.settings.picker is not None and getattr(group, "validator", None) is None
    return [] if is_picked else stages[-1:]
