"""`AgentDefinition`: what an agent is made with, from keywords or from a manifest."""

from collections.abc import Callable, Sequence
from typing import Any, Self, Unpack, cast

import pydantic_ai
from pydantic_ai.capabilities import PrepareTools
from pydantic_ai.models import Model

from actors.agents.callback import Callback, callback_name
from actors.agents.execution import Execution
from actors.agents.model_run import ModelRun
from actors.agents.named_tools import named_tools
from actors.agents.settings import AgentKeywords, AgentSettings, check_settings
from actors.agents.tool_approval import approval, marked
from actors.mcp.server import mcp_servers
from actors.mcp.toolset import McpTools
from actors.models.resolve import is_model_name
from actors.runs.lifecycle import Definition
from actors.runs.request import AnyTool
from actors.runtime.log import warn_once
from protocols.checks import FUNCTION, is_a
from protocols.context import carry_overrides
from protocols.errors import ConfigError

_OF_MODELS = frozenset({
    "instructions", "toolsets", "mcp_servers", "retries", "output_retries", "tool_timeout", "history_limit", "summary",
    "model_settings", "usage_limits", "policy", "budget", "session_budget", "capabilities", "input_provider",
    "approval_timeout",
})  # fmt: skip
_OURS = frozenset({
    "history_limit", "summary", "usage_limits", "policy", "budget", "session_budget", "approval_timeout",
})  # fmt: skip


_PARTS = frozenset({"model", "output_type", "deps_type", "system_prompt", "tools"})
_OF_PYDANTIC_AI = _PARTS | _OF_MODELS - _OURS | {"end_strategy", "requires_tool_confirmation"}


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
        **keywords: Unpack[AgentKeywords[Any]],
    ) -> Self:
        """Return the definition of an agent that answers by a model; see `Agent`."""
        if model is None and is_model_name(name):
            text = f"agent {name!r}: this is the name of a model; use Agent('a name', model={name!r})"
            raise ConfigError(text, node=name)
        settings = AgentSettings.of(name, keywords)
        servers = mcp_servers(settings.mcp_servers, name)
        own = [McpTools(servers, timeout=settings.tool_timeout)] if servers else []
        given = {"output_type": output_type, "system_prompt": system_prompt, "tools": tools}
        check_settings(name, {"model": model, "deps_type": deps_type, **given})
        toolsets = [*settings.toolsets, *own]
        provider, mode, asking = settings.input_provider, settings.requires_tool_confirmation, list[Any]()
        if provider is None and mode == "always":
            asking = [PrepareTools(marked)]
        elif provider is not None or mode == "never":  # else the user's own capabilities and output decide
            asking = [*approval(name, None if isinstance(provider, str) else provider, mode)]
        agent: pydantic_ai.Agent[Any, Any] = pydantic_ai.Agent(
            output_type=output_type,
            deps_type=deps_type,
            # Instructions, not system prompts: they hold for every request, whatever the history says.
            instructions=[*_several(system_prompt), *_several(settings.instructions)],
            name=name,
            description=settings.description,
            model_settings=settings.model_settings,
            retries={
                "tools": settings.retries,
                "output": settings.retries if settings.output_retries is None else settings.output_retries,
            },
            tools=named_tools(name, tools),
            toolsets=toolsets or None,
            end_strategy=settings.end_strategy,
            tool_timeout=settings.tool_timeout,
            capabilities=[*settings.capabilities, *asking] or None,
        )
        execution = ModelRun(agent, settings, model=model, toolsets=toolsets)
        return cls(name=name, settings=settings, execution=execution)

    @classmethod
    def of_pydantic_ai(cls, agent: Any, name: str | None, keywords: AgentKeywords[Any]) -> Self:
        """Return the definition of an agent that exists; see `Agent.from_pydantic_ai`."""
        if not is_a(agent, pydantic_ai.Agent):
            raise ConfigError(f"from_pydantic_ai takes a pydantic_ai.Agent, not {agent!r}")
        made = cast("pydantic_ai.Agent[Any, Any]", agent)
        name = name or made.name or "agent"
        if refused := sorted(_OF_PYDANTIC_AI & keywords.keys()):
            text = f"agent {name!r}: give {', '.join(refused)} to the pydantic_ai.Agent that it is made of"
            raise ConfigError(text, node=name)
        settings = AgentSettings.of(name, keywords)
        carry_overrides(made)
        return cls(
            name=name,
            settings=settings,
            execution=ModelRun(made, settings, model=made.model, toolsets=made.toolsets[1:]),
        )

    @classmethod
    def of_function(
        cls,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        blocking: bool = False,
        **keywords: Unpack[AgentKeywords[Any]],
    ) -> Self:
        """Return the definition of an agent that answers by a function; see `Agent.from_callback`."""
        if not FUNCTION.accepts(function):
            raise ConfigError(f"agent {name or 'processor'!r}: {function!r} is no function", node=name)
        name = name or callback_name(function)
        if parts := sorted(_PARTS & keywords.keys()):
            text = f"agent {name!r} answers by a function, so it takes no {', '.join(parts)}; Agent(...) has a model"
            raise ConfigError(text, node=name)
        settings = AgentSettings.of(name, keywords)
        if idle := sorted(_OF_MODELS & {key for key, value in keywords.items() if value not in (None, ())}):
            warn_once(f"agent {name!r} answers by a function, so these have no effect: {', '.join(idle)}")
        return cls(name=name, settings=settings, execution=Callback(function, blocking=blocking))


def _several(instructions: Any) -> list[Any]:
    if instructions is None or instructions == "":
        return []
    return list(cast("list[Any]", instructions)) if isinstance(instructions, list | tuple) else [instructions]
