"""What one node is asked and answers, handed to the backlogs of history."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from actors.agents.agent import Agent
from actors.agents.memory import dump_messages
from actors.runs.request import RunRequest
from actors.runtime.envelope import current
from protocols.history import StoredMessage
from protocols.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.nodes.node import AnyNode
    from actors.storage.backlog import Backlog, Unmade
    from protocols.messages import ChatMessage


class Recorder:
    """Hears every message of a node from `start` to `stop`. It does as little as it can: a run waits for it."""

    def __init__(self, node: AnyNode, backlogs: tuple[Backlog, ...]) -> None:
        """Take the node and what to feed; nothing is heard before `start`."""
        self._name = node.name
        self._node = node
        self._hear = self._hearing(node, backlogs)
        self.begin_conversation()

    def begin_conversation(self, name: str | None = None) -> None:
        """Let what the node remembers from now on be a part of this conversation; None for a new one."""
        conversation = name or f"{self._name}-{new_id()}"
        self._remembered = partial(_kept, self._name, conversation if isinstance(self._node, Agent) else None)

    def start(self) -> None:
        """Begin to listen."""
        self._node.message_received.connect(self._hear)
        self._node.message_sent.connect(self._hear)

    def stop(self) -> None:
        """Listen no more."""
        self._node.message_received.disconnect(self._hear)
        self._node.message_sent.disconnect(self._hear)

    def _hearing(self, node: Any, backlogs: tuple[Backlog, ...]) -> Callable[[ChatMessage[Any]], None]:
        """Return the function that hands a message over: local names are the quickest that there are."""
        put, scope_of = _put_into(backlogs), current.get
        beside = partial(_kept, self._name, None)
        seen: object = None
        is_on = True

        def hear(message: ChatMessage[Any]) -> None:
            nonlocal seen, is_on
            if node.settings is not seen:  # a new manifest may have changed them
                seen = node.settings
                is_on = not isinstance(node, Agent) or node.settings.query.is_enabled
            if not is_on:
                return
            scope = scope_of()
            request = None if scope is None else scope.message
            if type(request) is not RunRequest:
                put((beside, message, None))
            elif request.options.store_history is False:
                put((beside, message, request.run_id))
            else:
                put((self._remembered, message, request.run_id))

        return hear


def _put_into(backlogs: tuple[Backlog, ...]) -> Callable[[Unmade], None]:
    if len(backlogs) == 1:
        return backlogs[0].put

    def put(message: Unmade) -> None:
        for backlog in backlogs:
            backlog.put(message)

    return put


def _kept(node: str, conversation: str | None, message: ChatMessage[Any], run_id: str | None) -> StoredMessage:
    return stored(node, message, run_id or new_id(), conversation)


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
