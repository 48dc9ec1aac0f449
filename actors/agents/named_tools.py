"""The tools of an agent, under names that every provider of models accepts."""

import copy
from collections.abc import Container, Sequence
from typing import Any, cast

from pydantic_ai.tools import Tool

from actors.runs.request import AnyTool
from protocols.errors import ConfigError, safe_repr
from protocols.plain_text import one_line
from protocols.tool_name import tool_name


def named_tools(agent: str, tools: Sequence[AnyTool], taken: Container[str] = ()) -> list[Tool[Any]]:
    """Return functions and tools as tools.

    Args:
        agent: name of the agent, for errors.
        tools: functions and tools.
        taken: names of the tools that the agent has already.

    Raises:
        ConfigError: a function has no name or no usable signature, or two tools have the same name.
    """
    made: dict[str, Tool[Any]] = {}
    for one in tools:
        tool = cast("Tool[object]", one) if isinstance(one, Tool) else _of_function(agent, one)
        name = tool_name(tool.name)
        if name in made or name in taken:
            remedy = "give one of them another: Tool(function, name=...) or register_worker(node, name=...)"
            raise ConfigError(f"agent {agent!r}: two tools have the name {name!r}; {remedy}", node=agent)
        if name != tool.name:
            tool = copy.copy(tool)
            tool.name = name
        made[name] = tool
    return list(made.values())


def _of_function(agent: str, function: Any) -> Tool[Any]:
    name = getattr(function, "__name__", None)
    if not isinstance(name, str) or isinstance(function, type):
        remedy = (
            "a partial, a class and an object with __call__ have no name: write a function with 'def' that calls it"
        )
        raise ConfigError(f"agent {agent!r}: {safe_repr(function)} cannot be a tool; {remedy}", node=agent)
    try:
        return Tool(function, name=tool_name(name))
    except Exception as error:
        remedy = "annotate its parameters, or write a function with 'def' that calls it"
        text = f"agent {agent!r}: the function {name!r} cannot be a tool: {one_line(str(error))}; {remedy}"
        raise ConfigError(text, node=agent) from error
