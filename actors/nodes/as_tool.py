"""A node as a tool of another agent."""

import re
from dataclasses import replace
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.tools import Tool
from pydantic_ai.usage import RunUsage, UsageLimits

from actors.runs.correlation import names_in
from actors.runs.request import Runnable, RunRequest
from actors.runtime.envelope import current
from actors.runtime.errors import AskCycleError
from protocols.tool_name import tool_name

_COUNTED = {
    "request_limit": "requests",
    "tool_calls_limit": "tool_calls",
    "input_tokens_limit": "input_tokens",
    "output_tokens_limit": "output_tokens",
    "total_tokens_limit": "total_tokens",
    "cost_limit": "cost",
}
"""Limits of a whole run, and the usage that they bound."""

MAX_DEPTH = 8
"""Runs inside each other, up to which agents may ask each other."""


def tool_of(
    node: Any,
    *,
    name: str | None = None,
    description: str | None = None,
    reset_history: bool = True,
    pass_history: bool = False,
) -> Tool[Any]:
    """Return a tool that runs a node with one argument, the prompt, and returns the content of the answer.

    The deadline and the cancellation of the calling run reach the node, and so do its dependencies, unless the node or
    one of its members has its own or is durable. The usage of the node counts for the calling run, whose limits hold
    for both together. The limits of the node hold for its own usage.

    Args:
        node: the node to ask.
        name: by default ``ask_<name of the node>``.
        description: by default the name and the purpose of the node.
        reset_history: True if each call begins without a memory, and leaves none. False if the node remembers, by
            session if the calling run belongs to one.
        pass_history: True if the node gets the conversation of the calling agent in place of a memory.
    """

    async def ask(ctx: RunContext[Any], prompt: str) -> Any:
        limits = joint_limits(ctx.usage_limits, ctx.usage, getattr(node.definition.settings, "usage_limits", None))
        options: dict[str, Any] = {"usage": ctx.usage, "usage_limits": limits, "deps": _lent_deps(node, ctx)}
        options["fresh"] = reset_history and not pass_history
        if pass_history:
            options["message_history"] = _before(ctx)
        before, chain = _chain()
        path = " -> ".join((*before, *(one.name for one in chain), node.name))
        is_waiting = node.name in before or any(one is node for one in chain)
        if node.is_serial and is_waiting:  # a fresh run would not even wait: it would go round
            return f"Error: {path}: {node.name} waits for this answer; answer yourself"
        if len(before) + len(chain) >= MAX_DEPTH:
            return f"Error: {path}: agents ask each other at most {MAX_DEPTH} deep; answer yourself"
        try:
            return (await node.run(prompt, **options)).content
        except AskCycleError as error:
            return f"Error: {' -> '.join(error.chain)}: {node.name} waits for this answer; answer yourself"

    purpose = f" {node.description}" if node.description else ""
    return Tool(
        ask,
        takes_ctx=True,
        name=name or tool_name(re.sub(r"\W", "_", f"ask_{node.name}")),
        description=description or f"Ask {node.display_name} to do something and get the answer.{purpose}",
        metadata={"node": node.name},
    )


def _lent_deps(node: Any, ctx: RunContext[Any]) -> Any:
    """Return the dependencies of the calling run; None if a node has its own, or a journal, which can hold none."""
    parts = (node, *node.leaves())
    has_own = any(
        part.durable is not None or getattr(part.definition.settings, "deps", None) is not None for part in parts
    )
    return None if has_own else ctx.deps


def _chain() -> tuple[list[str], list[Runnable]]:
    """Return the nodes that wait for the current run, and its own, outermost first; of those elsewhere the names."""
    nodes: list[Runnable] = []
    before: list[str] = []
    envelope = current.get()
    while envelope is not None:
        if isinstance(envelope.message, RunRequest):
            nodes.insert(0, envelope.message.node)
            before = names_in(envelope.message.chain)
        envelope = envelope.parent
    return before, nodes


def _before(ctx: RunContext[Any]) -> list[ModelMessage]:
    """Return the conversation up to the request of this call. A history must not end with an unanswered call."""
    messages = list(ctx.messages)
    while messages and isinstance(messages[-1], ModelResponse):
        messages.pop()
    return messages


def joint_limits(outer: UsageLimits | None, used: RunUsage, own: UsageLimits | None) -> UsageLimits | None:
    """Return limits that keep both runs within their own: the outer limits hold for both runs together.

    Args:
        outer: limits of the outer run.
        used: usage of the outer run, to which the inner run adds. The result holds only for this moment.
        own: limits of the inner run alone.
    """
    if outer is None or own is None:
        return outer if own is None else _beyond(used, own)
    ahead = _beyond(used, own)
    names = (*_COUNTED, "per_request_input_tokens_limit")
    both = {name: (getattr(outer, name), getattr(ahead, name)) for name in names}
    least: dict[str, Any] = {
        name: min((one for one in pair if one is not None), default=None) for name, pair in both.items()
    }
    counts_first = outer.count_tokens_before_request or own.count_tokens_before_request
    return replace(ahead, **least, count_tokens_before_request=counts_first)


def limits_left(limits: UsageLimits | None, used: RunUsage | None) -> UsageLimits | None:
    """Return what is left of limits for a run that counts by itself."""
    return limits if limits is None or used is None else _beyond(used, limits, -1)


def _beyond(used: RunUsage, own: UsageLimits, sign: int = 1) -> UsageLimits:
    """Return the limits of the inner run, counted from the usage of the outer run."""
    moved: dict[str, Any] = {}
    for name, counted in _COUNTED.items():
        limit = getattr(own, name)
        if limit is not None:
            moved[name] = max(0, limit + sign * (getattr(used, counted) or 0))
    return replace(own, **moved)
