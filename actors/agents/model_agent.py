"""From the settings of an agent to the agent of pydantic_ai that does its work."""

from collections.abc import Sequence
from typing import Any, cast

import pydantic_ai
from pydantic_ai.toolsets import AbstractToolset, FunctionToolset

from actors.agents.settings import AgentSettings
from actors.agents.tool_approval import confirmation
from actors.runs.request import AnyTool


def model_agent(
    name: str,
    settings: AgentSettings,
    *,
    output_type: Any,
    system_prompt: str | Sequence[str],
    tools: Sequence[AnyTool],
    toolsets: Sequence[AbstractToolset[Any]],
) -> pydantic_ai.Agent[Any, Any]:
    """Make it, without a model.

    System prompts become instructions: those hold for every request, whoever wrote the history before it.
    """
    output_retries = settings.retries if settings.output_retries is None else settings.output_retries
    return pydantic_ai.Agent(
        output_type=output_type,
        instructions=[*_several(system_prompt), *_several(settings.instructions)],
        name=name,
        description=settings.description,
        model_settings=settings.model_settings,
        retries={"tools": settings.retries, "output": output_retries},
        tools=tools,
        toolsets=toolsets or None,
        end_strategy=settings.end_strategy,
        tool_timeout=settings.tool_timeout,
        capabilities=[*settings.capabilities, *_confirmation(name, settings)] or None,
    )


def _confirmation(name: str, settings: AgentSettings) -> Sequence[Any]:
    """Return what asks before calls; without a provider that is left to the user's own capabilities and output."""
    provider, mode = settings.input_provider, settings.requires_tool_confirmation
    if provider is None and mode != "never":
        return ()
    return confirmation(name, None if isinstance(provider, str) else provider, mode)


def tools_of(agent: pydantic_ai.Agent[Any, Any]) -> FunctionToolset[Any]:
    """Return the collection of an agent's own tools, which pydantic_ai puts first."""
    return next(toolset for toolset in agent.toolsets if isinstance(toolset, FunctionToolset))


def _several(instructions: Any) -> list[Any]:
    if instructions is None or instructions == "":
        return []
    return list(cast("list[Any]", instructions)) if isinstance(instructions, list | tuple) else [instructions]
