"""What one node is asked and answers, handed to the backlogs of history."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from actors.nodes.agent import Agent
from actors.nodes.message_dump import dump_messages
from actors.nodes.request import RunRequest
from actors.runtime.envelope import current
from protocols.history import StoredMessage
from protocols.ids import new_id

if TYPE_CHECKING:
    from actors.pool.root import AnyNode
    from actors.storage.backlog import Backlog
    from protocols.messages import ChatMessage


class Recorder:
    """Hears every message of a node from `start` to `stop`. It does as little as it can: a run waits for it."""

    __slots__ = ("_backlogs", "_is_on", "_name", "_node", "_settings", "conversation")

    def __init__(self, node: AnyNode, backlogs: tuple[Backlog, ...]) -> None:
        self.conversation = f"{node.name}-{new_id()}" if isinstance(node, Agent) else None
        """What the node remembers is a part of it; None for a node that does not remember."""
        self._node = node
        self._name = node.name
        self._backlogs = backlogs
        self._settings: object = None
        self._is_on = True

    def start(self) -> None:
        """Begin to listen."""
        self._node.message_received.connect(self)
        self._node.message_sent.connect(self)

    def stop(self) -> None:
        """Listen no more."""
        self._node.message_received.disconnect(self)
        self._node.message_sent.disconnect(self)

    def __call__(self, message: ChatMessage[Any]) -> None:
        """Hand one message over, unless the node is to leave nothing."""
        settings = getattr(self._node, "settings", None)
        if settings is not self._settings:  # a new manifest may have changed them
            self._look(settings)
        if not self._is_on:
            return
        envelope = current.get()
        request = envelope.message if envelope is not None else None
        conversation = None
        if type(request) is RunRequest:
            run_id = request.run_id
            if request.options.store_history is not False:
                conversation = self.conversation
        else:
            run_id = new_id()
        make = partial(stored, self._name, message, run_id, conversation)
        for backlog in self._backlogs:
            backlog.put(make)

    def _look(self, settings: object) -> None:
        self._settings = settings
        self._is_on = not isinstance(self._node, Agent) or self._node.settings.query.is_enabled


def stored(node: str, message: ChatMessage[Any], run_id: str, conversation: str | None) -> StoredMessage:
    """Return a message as history keeps it.

    Args:
        node: who received or wrote it.
        message: the message.
        run_id: the run in which that happened.
        conversation: what the node remembers it as a part of; None when it does not remember it.
    """
    flow = message.conversation_id or run_id
    is_answer = message.role == "assistant"
    usage, cost = message.usage, message.cost_info
    return StoredMessage(
        id=message.message_id if is_answer else f"{run_id}-asked",
        conversation_id=conversation or flow,
        run_id=run_id,
        node=node,
        role=message.role,
        content=message.text,
        model=message.model_name,
        tokens=usage.total_tokens,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cost=float(cost.total_cost) if cost is not None and cost.cost_known else None,
        created=message.timestamp.timestamp(),
        payload=dump_messages(message.messages) if conversation and is_answer and message.messages else None,
        metadata={**message.metadata, "flow": flow},
    )
