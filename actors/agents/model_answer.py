"""From a result of pydantic_ai to the answer of the node; answers and events that come from another process."""

from collections.abc import Sequence, Set
from contextlib import suppress
from functools import cache
from typing import Any

from msgspec.structs import replace
from pydantic import TypeAdapter
from pydantic_ai.messages import AgentStreamEvent, ModelMessage, ModelResponse
from pydantic_ai.run import AgentRunResult
from pydantic_ai.usage import RunUsage

from actors.agents.tool_calls import ToolCallLog
from actors.runs.request import Runnable, RunRequest
from protocols.cost import ZERO_COST, TokenCost, TokenUsage
from protocols.errors import safe_repr
from protocols.messages import ChatMessage

_FREE = frozenset({"test", "understage"})  # systems without a price


def message_of(
    result: AgentRunResult[Any],
    messages: Sequence[ModelMessage],
    request: RunRequest,
    asked: ChatMessage[Any],
    tools: ToolCallLog,
    seconds: float,
) -> ChatMessage[Any]:
    """Return the answer of a model as a message, with tokens, price, tool calls and the messages of the run."""
    responses = [message for message in messages if isinstance(message, ModelResponse)]
    last = responses[-1] if responses else ModelResponse(parts=[])
    return ChatMessage(
        result.output,
        "assistant",
        request.node.name,
        request.conversation_id,
        tools.message_id,
        metadata=dict(request.options.metadata or {}),
        cost_info=cost_of(responses, tools.lost.unmeasured_requests),
        response_time=seconds,
        forwarded_from=asked.forwarded_from,
        tool_calls=tuple(tools.calls),
        messages=tuple(messages),
        model_name=last.model_name,
        provider_name=last.provider_name,
        provider_details=last.provider_details,
        provider_response_id=last.provider_response_id,
        finish_reason=last.finish_reason,
    )


def cost_of(responses: Sequence[ModelResponse], unmeasured: int = 0) -> TokenCost:
    """Add up tokens and money of responses. A response without a known price makes the sum unknown.

    Args:
        responses: all of them; one that was interrupted is a request whose usage is not known.
        unmeasured: further requests whose usage is not known.
    """
    read = written = 0
    money, is_known = ZERO_COST, True
    for response in responses:
        usage = response.usage
        unmeasured += usage.unmeasured_requests or int(response.state != "complete" and bool(response.parts))
        read += usage.input_tokens
        written += usage.output_tokens
        if usage.cost is not None:
            money += usage.cost
        elif response.provider_name not in _FREE and not (response.model_id or "").startswith("function:"):
            is_known = False
    return TokenCost(TokenUsage(read, written), money, is_known, unmeasured)


def cost_up_to_now(messages: Sequence[ModelMessage], before: Set[str | None], usage: RunUsage) -> TokenCost:
    """Add up the responses of an unfinished run (see `responses_of_run`), and the requests that `usage` counts."""
    return cost_of(responses_of_run(messages, before), usage.unmeasured_requests)


def responses_of_run(messages: Sequence[ModelMessage], before: Set[str | None] = frozenset()) -> list[ModelResponse]:
    """Return the responses of a run whose messages stand behind those of the history.

    Args:
        messages: all messages.
        before: ids of the attempts before, whose responses are not returned.
    """
    run_id = messages[-1].run_id if messages else None
    if run_id in before:
        return []
    return [one for one in messages if isinstance(one, ModelResponse) and one.run_id == run_id]


def typed_answer(node: Runnable, answer: ChatMessage[Any]) -> ChatMessage[Any]:
    """Return an answer that was kept as JSON with the type that the node says; as it is if that does not fit."""
    kind: Any = getattr(getattr(node, "execution", None), "output_type", None)
    if isinstance(kind, type) and not isinstance(answer.content, kind) and not isinstance(answer.content, str):
        with suppress(Exception):  # of pydantic, or the user's type: a version before had another one
            return replace(answer, content=TypeAdapter[Any](kind).validate_python(answer.content))
    return answer


def dump_event(event: Any) -> bytes:
    """Return an event of a stream of pydantic_ai as JSON; what JSON cannot hold becomes its text."""
    return _events().dump_json(event, warnings=False, fallback=safe_repr)


def load_event(data: bytes) -> Any:
    """Return the event that `dump_event` was given. Raises ValueError for what this version cannot read."""
    return _events().validate_json(data)


@cache
def _events() -> TypeAdapter[Any]:
    return TypeAdapter(AgentStreamEvent)
