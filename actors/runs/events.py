"""Publishes the events of one run. An event is made only if it has a subscriber."""

from functools import partial
from time import perf_counter
from typing import Any

from actors.prompts.content import prompt_text
from actors.prompts.input_message import is_list
from actors.runs.request import RunRequest
from actors.runtime.event_stream import EventStream
from protocols.brief_events import RunAnswered, RunBegan
from protocols.cost import ZERO_COST
from protocols.errors import limited_text
from protocols.events import (
    MessageReceived,
    MessageSent,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunRetried,
    RunStarted,
    StampedEvent,
)
from protocols.messages import ChatMessage


def run_started(events: EventStream, request: RunRequest) -> None:
    """Publish the start of a run."""
    if events.count is None and events.wants(RunStarted):
        parent, conversation = request.parent_run_id, request.conversation_id
        _publish(events, RunStarted, request, parent_run_id=parent, conversation_id=conversation)


def message_received(events: EventStream, request: RunRequest, asked: ChatMessage[Any]) -> None:
    """Publish the input message of a run."""
    if events.wants(MessageReceived):
        content, size = asked.content, asked.byte_count
        if is_list(content):  # parts for a model, of which some may be media
            size = len(prompt_text(content).encode("utf-8", "surrogatepass"))
        _publish(
            events,
            MessageReceived,
            request,
            cut=partial(_cut, asked),
            message_id=asked.message_id,
            conversation_id=request.conversation_id,
            source=asked.name or "",
            byte_count=size,
        )


def run_completed(events: EventStream, request: RunRequest, answer: ChatMessage[Any], duration: float) -> None:
    """Publish the answer of a run."""
    if events.count is not None:  # counted in brief already
        return
    if events.wants(MessageSent):
        cost, seconds = answer.cost_info, answer.response_time
        _publish(
            events, MessageSent, request, cut=partial(_cut, answer), message_id=answer.message_id,
            conversation_id=answer.conversation_id or "", input_tokens=answer.usage.input_tokens,
            output_tokens=answer.usage.output_tokens, cost=cost.total_cost if cost is not None else ZERO_COST,
            cost_known=cost.cost_known if cost is not None else True, tool_calls=len(answer.tool_calls),
            byte_count=answer.byte_count, response_time=seconds if seconds is not None else duration,
            model=answer.model_name or "", composed=is_composed(answer),
        )  # fmt: skip
    if events.wants(RunCompleted):
        _publish(events, RunCompleted, request, duration=duration, message_id=answer.message_id)


def run_failed(events: EventStream, request: RunRequest, error: Exception, duration: float, *, step: str = "") -> None:
    """Publish the failure of a run. `step` is the member that raised the error, if the node itself did not."""
    if events.wants(RunFailed):
        kind, text = type(error).__name__, limited_text(str, error, 500)
        fields = {"error_type": kind, "error": text, "duration": duration, "step": step, **_lost(request)}
        _publish(events, RunFailed, request, **fields)


def run_retried(events: EventStream, request: RunRequest, error: Exception, attempt: int, delay: float) -> None:
    """Publish that a run will try again."""
    if events.wants(RunRetried):
        kind, text = type(error).__name__, limited_text(str, error, 500)
        _publish(events, RunRetried, request, error_type=kind, error=text, attempt=attempt, delay=delay)


def run_cancelled(events: EventStream, request: RunRequest, duration: float) -> None:
    """Publish that a run is cancelled."""
    if events.wants(RunCancelled):
        _publish(events, RunCancelled, request, reason="cancelled", duration=duration, **_lost(request))


def _lost(request: RunRequest) -> dict[str, Any]:
    """Return what a run without an answer has cost; nothing for a team, whose members say it themselves."""
    cost = None if request.node.counts_members else request.node.cost_of(request)
    if cost is None:
        return {}
    usage = cost.token_usage
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost": cost.total_cost,
        "cost_known": cost.cost_known and bool(cost.total_cost or not cost.unmeasured_requests),
    }


def _cut(message: ChatMessage[Any], most: int) -> str:
    """Return the content of a message as text of at most so many bytes; media appear by name only."""
    text = limited_text(_text_of, message, most + 1)[:most]
    return text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")


def _text_of(message: Any) -> str:
    return prompt_text(message.content) if is_list(message.content) else message.text


def _publish(events: EventStream, kind: type[StampedEvent], request: RunRequest, **fields: Any) -> None:
    events.publish(kind, actor=request.node.name, run_id=request.run_id, **fields)


def tell_begin(events: EventStream, request: RunRequest) -> bool:
    """Tell those that count runs that one began. Return True."""
    if events.count is not None:
        events.count(RunBegan(request.node.name, request.run_id, request.parent_run_id))
    return True


def in_brief(request: RunRequest, answer: ChatMessage[Any], started: float, *, is_whole: bool) -> RunAnswered:
    """Return the numbers of an answer.

    Args:
        request: request of the run.
        answer: answer of the run.
        started: `perf_counter` at the start of the run.
        is_whole: True if nothing was told of the run before.
    """
    content: object = answer.content
    size = len(content) if type(content) is str and content.isascii() else answer.byte_count
    seconds = answer.response_time if answer.response_time is not None else perf_counter() - started
    cost = answer.cost_info
    if cost is None and not answer.tool_calls and not answer.metadata:
        return RunAnswered(request.node.name, request.run_id, size, seconds, is_whole, request.parent_run_id)
    usage = answer.usage
    return RunAnswered(
        request.node.name, request.run_id, size, seconds, is_whole, request.parent_run_id,
        True, usage.input_tokens, usage.output_tokens,
        ZERO_COST if cost is None else cost.total_cost, cost is None or cost.cost_known, len(answer.tool_calls),
        is_composed(answer),
    )  # fmt: skip


def is_composed(answer: ChatMessage[Any]) -> bool:
    """Return True for the answer of a team, whose numbers are those of its members."""
    return "execution_order" in answer.metadata or "agent_names" in answer.metadata
