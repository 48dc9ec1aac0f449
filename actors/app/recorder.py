"""Hand the messages that one node receives and sends to history."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from actors.agents.agent import Agent
from actors.agents.memory import dump_messages
from actors.nodes.node import AnyNode
from actors.runs.events import is_composed
from actors.runs.request import RunRequest
from actors.runtime.envelope import current
from actors.storage.history import HistoryWriter, Unmade
from protocols.cost import TokenUsage
from protocols.history import StoredMessage
from protocols.ids import new_id
from protocols.messages import ChatMessage
from protocols.session import OWN, conversation_of


class Recorder:
    """Records every message of a node from its making to `stop`. A run waits for it, so it does as little as it can.

    Args:
        node: the node.
        writers: the writers of the stores.
    """

    def __init__(self, node: AnyNode, writers: Iterable[HistoryWriter]) -> None:
        self._node = node
        self._forgotten = partial(stored, node.name, None)
        self._is_agent = isinstance(node, Agent)
        self._record = self._recording(node, [writer.put for writer in writers])
        self.begin_conversation()
        node.message_received.connect(self._record)
        node.message_sent.connect(self._record)

    def begin_conversation(self, name: str | None = None) -> None:
        """Make the messages from now on a part of this conversation; None for a new one."""
        conversation = name or f"{self._node.name}-{new_id()}"
        self._remembered = partial(stored, self._node.name, conversation if self._is_agent else None)

    def stop(self) -> None:
        """Record no more."""
        self._node.message_received.disconnect(self._record)
        self._node.message_sent.disconnect(self._record)

    def _recording(self, node: Any, puts: Sequence[Callable[[Unmade], object]]) -> Callable[[ChatMessage[Any]], None]:
        """Return the function that records a message; local names make it fast."""
        scope_of, is_agent, forgotten = current.get, self._is_agent, self._forgotten
        seen: object = None
        is_on = True

        def record(message: ChatMessage[Any]) -> None:
            nonlocal seen, is_on
            if node.settings is not seen:  # a reload may have changed them
                seen = node.settings
                is_on = not is_agent or node.settings.query.is_enabled
            if not is_on:
                return
            scope = scope_of()
            request = None if scope is None else scope.message
            if type(request) is not RunRequest:
                unmade: Unmade = (forgotten, message, None)
            else:
                unmade = (self._conversation(request), message, request.run_id)
            for put in puts:
                put(unmade)

        return record

    def _conversation(self, request: RunRequest) -> Callable[[ChatMessage[Any], str | None], StoredMessage]:
        """Return what makes the record of a message of a run, which the node remembers in one of its conversations."""
        options, name = request.options, self._node.name
        memory = options.memory if self._is_agent and options.store_history is not False else None
        if options.session is None:
            return self._remembered if memory == OWN else self._forgotten
        return partial(stored, name, conversation_of(name, options.session), is_remembered=memory is not None)


def stored(
    node: str, conversation: str | None, message: ChatMessage[Any], run_id: str | None, *, is_remembered: bool = True
) -> StoredMessage:
    """Return a message as history keeps it.

    Args:
        node: the node that received or sent the message.
        conversation: the conversation of the node or of a session; None for that of the flow.
        message: the message.
        run_id: the run of the message; None for a new one.
        is_remembered: False for a message of a session that the node need not go on from.
    """
    run_id = run_id or new_id()
    flow = message.conversation_id or run_id
    is_answer, goes_on = message.role == "assistant", conversation is not None and is_remembered
    spent = None if is_composed(message) else message.cost_info  # the members' answers are stored as well
    usage = TokenUsage() if spent is None else spent.token_usage
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
        cost=float(spent.total_cost) if spent is not None and spent.cost_known else None,
        created=message.timestamp.timestamp(),
        payload=dump_messages(message.messages) if goes_on and is_answer and message.messages else None,
        metadata={**message.metadata, "flow": flow},
    )
