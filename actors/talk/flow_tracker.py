"""Recording which way messages go."""

from collections import deque
from typing import TYPE_CHECKING, Self

from actors.talk.diagram import label
from actors.talk.registry import TalkRegistry
from actors.talk.signal import Signal
from actors.talk.talk_events import ConnectionProcessed
from actors.talk.transform import Message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.talk.talk import Talk

_KEPT = 10_000


class FlowTracker:
    """What some connections handled while it was entered; the last 10,000 messages.

    Example:
        ```python
        async with pool.track_message_flow() as tracker:
            answer = await a.run("go", wait_for_connections=True)
        print(tracker.visualize(answer))
        ```
    """

    def __init__(self, watched: "TalkRegistry | Sequence[Talk]") -> None:
        """Take the connections: those of a pool, later ones too, or some."""
        self._watched = watched
        self._events: deque[ConnectionProcessed] = deque(maxlen=_KEPT)

    @property
    def events(self) -> list[ConnectionProcessed]:
        """What was handled, oldest first."""
        return list(self._events)

    def filter(self, message: Message) -> list[ConnectionProcessed]:
        """Return what belongs to the conversation of a message."""
        return [event for event in self._events if event.conversation_id == message.conversation_id]

    def visualize(self, message: Message) -> str:
        """Return the way of a conversation as the text of a mermaid flowchart: a line for each two nodes."""
        lines = (
            f"    {label(event.source.name)}-->{label(target.name)}"
            for event in self.filter(message)
            for target in event.targets
        )
        return "\n".join(("flowchart LR", *dict.fromkeys(lines)))

    def _signals(self) -> list[Signal[ConnectionProcessed]]:
        if isinstance(self._watched, TalkRegistry):
            return [self._watched.message_flow]
        return [talk.connection_processed for talk in self._watched]

    async def __aenter__(self) -> Self:
        for signal in self._signals():
            signal.connect(self._events.append)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        for signal in self._signals():
            signal.disconnect(self._events.append)
