"""From a result of pydantic_ai to the message that the node answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, ToolCallPart, ToolReturnPart
from pydantic_ai.run import AgentRunResult

from actors.nodes.request import RunRequest
from protocols.cost import ZERO_COST, TokenCost, TokenUsage
from protocols.ids import new_id
from protocols.messages import ChatMessage
from protocols.tool_call import ToolCallInfo

_FREE = frozenset({"test", "understudy"})  # systems that nobody pays for


def message_of(
    result: AgentRunResult[Any], request: RunRequest, asked: ChatMessage[Any], seconds: float
) -> ChatMessage[Any]:
    """Return the answer of a model as a message, with its tokens, its price, its calls of tools and its messages."""
    messages = result.new_messages()
    responses = [message for message in messages if isinstance(message, ModelResponse)]
    last = responses[-1] if responses else ModelResponse(parts=[])
    message_id = request.options.message_id or new_id()
    return ChatMessage(
        result.output,
        "assistant",
        request.node.name,
        request.conversation_id,
        message_id,
        metadata=dict(request.options.metadata or {}),
        cost_info=cost_of(responses),
        response_time=seconds,
        forwarded_from=asked.forwarded_from,
        tool_calls=tuple(tool_calls_of(messages, request.node.name, message_id)),
        messages=tuple(messages),
        model_name=last.model_name,
        provider_name=last.provider_name,
        provider_details=last.provider_details,
        provider_response_id=last.provider_response_id,
        finish_reason=last.finish_reason,
    )


def cost_of(responses: Sequence[ModelResponse]) -> TokenCost:
    """Add up tokens and money of some responses; a response without a known price makes the sum unknown."""
    prices = [_price(response) for response in responses]
    return TokenCost(
        TokenUsage(
            sum(response.usage.input_tokens for response in responses),
            sum(response.usage.output_tokens for response in responses),
        ),
        sum((price for price in prices if price is not None), ZERO_COST),
        None not in prices,
    )


def _price(response: ModelResponse) -> Decimal | None:
    if response.usage.cost is not None:
        return response.usage.cost
    is_free = response.provider_name in _FREE or (response.model_id or "").startswith("function:")
    return ZERO_COST if is_free else None


def tool_calls_of(messages: Sequence[ModelMessage], agent: str, message_id: str) -> Iterator[ToolCallInfo]:
    """Pair every call of a tool with its return; calls that only hand over the output are left out."""
    returns: Mapping[str, ToolReturnPart] = {
        part.tool_call_id: part
        for message in messages
        if isinstance(message, ModelRequest)
        for part in message.parts
        if isinstance(part, ToolReturnPart)
    }
    for message in messages:
        if isinstance(message, ModelResponse):
            for part in message.tool_calls:
                answered = returns.get(part.tool_call_id)
                if answered is not None and not _is_output(part):
                    yield _tool_call(part, answered, message, agent, message_id)


def _is_output(part: ToolCallPart) -> bool:
    return part.tool_name.startswith("final_result")


def _tool_call(
    part: ToolCallPart, answered: ToolReturnPart, message: ModelResponse, agent: str, message_id: str
) -> ToolCallInfo:
    failed = answered.outcome != "success"
    return ToolCallInfo(
        part.tool_name,
        part.args_as_dict(),
        None if failed else answered.content,
        agent,
        part.tool_call_id,
        message.timestamp,
        max(0.0, (answered.timestamp - message.timestamp).total_seconds()),
        message_id,
        answered.model_response_str() if failed else None,
    )
