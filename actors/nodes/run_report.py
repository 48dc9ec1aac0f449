"""Events of one run, made only when somebody listens to their kind."""

from typing import Any

from actors.nodes.asked import is_list
from actors.nodes.prompts import prompt_text
from actors.nodes.request import RunRequest
from actors.runtime.event_stream import EventStream
from protocols.cost import ZERO_COST
from protocols.events import (
    MessageReceived,
    MessageSent,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunStarted,
    StampedEvent,
)
from protocols.messages import ChatMessage


class RunReport:
    """What is told about one run."""

    __slots__ = ("_events", "_request")

    def __init__(self, events: EventStream, request: RunRequest) -> None:
        """Take where to publish, and the run."""
        self._events = events
        self._request = request

    def _publish(self, kind: type[StampedEvent], **fields: Any) -> None:
        request = self._request
        self._events.publish(kind, actor=request.node.name, run_id=request.run_id, **fields)

    def started(self) -> None:
        """The run begins."""
        if self._events.wants(RunStarted):
            request = self._request
            self._publish(RunStarted, parent_run_id=request.parent_run_id, conversation_id=request.conversation_id)

    def received(self, asked: ChatMessage[Any]) -> None:
        """The node took a message."""
        if self._events.wants(MessageReceived):
            self._publish(
                MessageReceived,
                message_id=asked.message_id,
                conversation_id=self._request.conversation_id,
                source=asked.name or "",
                byte_count=_byte_count(asked),
            )

    def completed(self, answer: ChatMessage[Any], duration: float) -> None:
        """The node answered."""
        if self._events.wants(MessageSent):
            self._publish(MessageSent, **_numbers(answer, duration))
        if self._events.wants(RunCompleted):
            self._publish(RunCompleted, duration=duration, message_id=answer.message_id)

    def failed(self, error: Exception, duration: float, *, step: str = "") -> None:
        """The run ended with an exception."""
        if self._events.wants(RunFailed):
            self._publish(
                RunFailed, error_type=type(error).__name__, error=str(error)[:500], duration=duration, step=step
            )

    def cancelled(self, duration: float, reason: str = "cancelled") -> None:
        """Nobody waits for the run any more."""
        if self._events.wants(RunCancelled):
            self._publish(RunCancelled, reason=reason, duration=duration)


def _numbers(answer: ChatMessage[Any], duration: float) -> dict[str, Any]:
    cost = answer.cost_info
    return {
        "message_id": answer.message_id,
        "conversation_id": answer.conversation_id or "",
        "input_tokens": answer.usage.input_tokens,
        "output_tokens": answer.usage.output_tokens,
        "cost": cost.total_cost if cost is not None else ZERO_COST,
        "cost_known": cost.cost_known if cost is not None else True,
        "tool_calls": len(answer.tool_calls),
        "byte_count": answer.byte_count,
        "response_time": answer.response_time if answer.response_time is not None else duration,
        "model": answer.model_name or "",
        "composed": "execution_order" in answer.metadata or "agent_names" in answer.metadata,
    }


def _byte_count(asked: ChatMessage[Any]) -> int:
    content = asked.content
    if is_list(content):  # parts for a model, of which some may be media
        return len(prompt_text(content).encode("utf-8", "surrogatepass"))
    return asked.byte_count
