"""A node as a tool of another agent."""

import re
from typing import TYPE_CHECKING, Any

from pydantic_ai import RunContext
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.tools import Tool

from actors.runs.handle import NodeHandle
from actors.runs.usage_limits import joint_limits

if TYPE_CHECKING:
    from pydantic_ai.usage import UsageLimits

    from actors.runs.request import RunKeywords


def tool_of(
    node: NodeHandle[Any, Any],
    *,
    name: str | None = None,
    description: str | None = None,
    reset_history: bool = False,
    pass_history: bool = False,
) -> Tool[Any]:
    """Return a tool that runs a node with one argument, the prompt, and returns the content of the answer.

    The deadline and the cancellation of the calling run reach the node. The usage of the node counts for the calling
    run, whose limits hold for both together. The limits of the node hold for its own usage.

    Args:
        node: the node to ask.
        name: by default ``ask_<name of the node>``.
        description: by default the name and the purpose of the node.
        reset_history: True if each call begins without the history of the node, and leaves none.
        pass_history: True if the node gets the conversation of the calling agent in place of its own.
    """

    async def ask(ctx: RunContext[Any], prompt: str) -> Any:
        own: UsageLimits | None = getattr(getattr(node, "settings", None), "usage_limits", None)
        limits = joint_limits(ctx.usage_limits, ctx.usage, own)
        options: RunKeywords = {"usage": ctx.usage, "usage_limits": limits}
        if reset_history or pass_history:
            options |= {"message_history": _before(ctx) if pass_history else [], "store_history": not reset_history}
        answer = await node.run(prompt, **options)
        return answer.content

    return Tool(
        ask,
        takes_ctx=True,
        name=name or re.sub(r"\W", "_", f"ask_{node.name}")[:64],
        description=description or _description(node),
    )


def _before(ctx: RunContext[Any]) -> list[ModelMessage]:
    """Return the conversation up to the request of this call. A history must not end with an unanswered call."""
    messages = list(ctx.messages)
    while messages and isinstance(messages[-1], ModelResponse):
        messages.pop()
    return messages


def _description(node: NodeHandle[Any, Any]) -> str:
    purpose = f" {node.description}" if node.description else ""
    return f"Ask {node.display_name} to do something and get the answer.{purpose}"
