"""`AgentDefinition`: what an agent is made with, from keywords or from a manifest."""

from collections.abc import Callable, Sequence
from typing import Any, Self, Unpack

from pydantic_ai.models import Model

from actors.agents.callback import Callback, callback_name
from actors.agents.execution import Execution
from actors.agents.model_run import ModelRun
from actors.agents.settings import AgentKeywords, AgentSettings, check_settings
from actors.mcp.server import mcp_servers
from actors.mcp.toolset import McpTools
from actors.runs.definition import Definition
from actors.runs.request import AnyTool
from protocols.checks import FUNCTION
from protocols.errors import ConfigError


class AgentDefinition(Definition, frozen=True, kw_only=True, eq=False):
    """What an agent is made with. `Agent.from_definition` makes an agent of it."""

    name: str
    """Name of the agent."""
    settings: AgentSettings
    """The settings that the user gave."""
    execution: Execution
    """How the agent answers."""

    @classmethod
    def of_model(
        cls,
        name: str,
        *,
        model: Model | str | None = None,
        output_type: Any = str,
        deps_type: Any = object,
        system_prompt: str | Sequence[str] = (),
        tools: Sequence[AnyTool] = (),
        **keywords: Unpack[AgentKeywords],
    ) -> Self:
        """Return the definition of an agent that answers by a model; see `Agent`."""
        settings = AgentSettings.of(name, keywords)
        servers = mcp_servers(settings.mcp_servers, name)
        own = [McpTools(servers, timeout=settings.tool_timeout)] if servers else []
        given = {"system_prompt": system_prompt, "tools": tools, "output_type": output_type}
        check_settings(name, {"model": model, "deps_type": deps_type, **given})
        execution = ModelRun.of(name, settings, model=model, toolsets=[*settings.toolsets, *own], **given)
        return cls(name=name, settings=settings, execution=execution)

    @classmethod
    def of_function(
        cls,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        blocking: bool = False,
        **keywords: Unpack[AgentKeywords],
    ) -> Self:
        """Return the definition of an agent that answers by a function; see `Agent.from_callback`."""
        if not FUNCTION.accepts(function):
            message = f"agent {name or 'processor'!r}: {function!r} is no function"
            raise ConfigError(message, node=name)
        name = name or callback_name(function)
        settings = AgentSettings.of(name, keywords)
        return cls(name=name, settings=settings, execution=Callback(function, blocking=blocking))
