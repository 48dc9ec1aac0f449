"""Recording the way that messages take."""

from collections import deque
from collections.abc import Sequence
from typing import Self

from actors.talk.context import ConnectionProcessed, TalkView
from actors.talk.diagram import label
from actors.talk.registry import TalkRegistry
from actors.talk.signal import Signal
from actors.talk.transform import Message

_KEPT = 10_000


class FlowTracker:
    """Records the last 10,000 messages that connections handle while it is entered.

    It watches some connections, or the registry of a pool with all connections, later ones included.

    Example:
        ```python
        async with pool.track_message_flow() as tracker:
            answer = await a.run("go", wait_for_connections=True)
        print(tracker.visualize(answer))
        ```
    """

    def __init__(self, watched: TalkRegistry | Sequence[TalkView]) -> None:
        self._watched = watched
        self._events: deque[ConnectionProcessed] = deque(maxlen=_KEPT)

    @property
    def events(self) -> list[ConnectionProcessed]:
        """The recorded messages, oldest first."""
        return list(self._events)

    def filter(self, message: Message) -> list[ConnectionProcessed]:
        """Return the events of the conversation of a message."""
        return [event for event in self._events if event.conversation_id == message.conversation_id]

    def visualize(self, message: Message) -> str:
        """Return the way of a conversation as the text of a mermaid flowchart: one line for each pair of nodes."""
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
