"""A node as a tool of another agent."""

import re
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.tools import Tool

from actors.nodes.handle import NodeHandle


def tool_of(node: NodeHandle[Any, Any], *, name: str | None = None, description: str | None = None) -> Tool[Any]:
    """Return a tool with one argument, the prompt, that runs a node and gives back the content of its answer.

    The deadline and the cancellation of the run that uses the tool reach the node; its limits of usage hold for both.
    """

    async def ask(ctx: RunContext[Any], prompt: str) -> Any:
        answer = await node.run(prompt, usage=ctx.usage, usage_limits=ctx.usage_limits)
        return answer.content

    return Tool(
        ask,
        takes_ctx=True,
        name=name or re.sub(r"\W", "_", f"ask_{node.name}")[:64],
        description=description or _description(node),
    )


def _description(node: NodeHandle[Any, Any]) -> str:
    purpose = f" {node.description}" if node.description else ""
    return f"Ask {node.display_name} to do something and get the answer.{purpose}"
