"""Select the text of a streamed run: only text that becomes part of the final answer."""

from typing import Any, cast

from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta

from actors.runs.node_stats import NodeStats
from protocols.streaming import StreamCompleteEvent


class TextFilter:
    """Picks the text out of the events of one run.

    Of a chain only the last stage is heard, so the pieces make up the answer. Of a parallel team all members are heard,
    in the order in which the pieces come. A node without pieces, such as a function, is heard when it is done.
    """

    def __init__(self, node: NodeStats[Any, Any]) -> None:
        self._node = node
        self._speakers = {id(speaker) for speaker in node.speakers()}
        self._spoke: set[int] = set()

    @property
    def has_spoken(self) -> bool:
        """True if there was any text."""
        return bool(self._spoke)

    def text(self, item: Any) -> str:
        """Return the text in an item of the stream; empty when there is none."""
        named: tuple[object, object] = cast("Any", item) if isinstance(item, tuple) else (self._node, item)
        speaker, event = named
        if id(speaker) not in self._speakers:
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
