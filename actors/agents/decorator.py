"""What `Agent` has under the names of pydantic_ai: its decorators, and a way in for its agents."""

from collections.abc import Callable
from typing import Any, Self, Unpack, cast

import pydantic_ai

from actors.agents.definition import AgentDefinition
from actors.agents.settings import AgentKeywords
from protocols.errors import ConfigError


class Decorator:
    """The part of `Agent` that speaks as ``pydantic_ai.Agent`` does."""

    name: str
    definition: AgentDefinition

    @classmethod
    def from_definition(cls, definition: AgentDefinition) -> Self:
        """Make an agent of its definition."""
        raise NotImplementedError

    @classmethod
    def from_pydantic_ai(
        cls, agent: "pydantic_ai.Agent[Any, Any]", *, name: str | None = None, **settings: Unpack[AgentKeywords]
    ) -> Self:
        """Make an agent of one of pydantic_ai, whose model, instructions, tools and type of output it keeps.

        Args:
            agent: the agent. What is added to it later holds here as well.
            name: by default that of `agent`, else ``agent``.
            **settings: see `AgentSettings`; what a pydantic_ai agent is made with belongs there.

        Raises:
            ConfigError: `agent` is not a ``pydantic_ai.Agent``, or a setting cannot be used.
        """
        return cls.from_definition(AgentDefinition.of_pydantic_ai(agent, name, settings))

    def tool(self, function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Let the model call a function whose first parameter is a ``RunContext``. A decorator.

        Args:
            function: plain or async; its docstring tells the model what it is for.
            **options: those of ``pydantic_ai.Agent.tool``, such as ``name`` or ``requires_approval``.

        Raises:
            ConfigError: the agent answers by a function.
        """
        return self._made("tool").tool(function, **options)

    def tool_plain(self, function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Let the model call a function without a ``RunContext``; see `tool`."""
        return self._made("tool_plain").tool_plain(function, **options)

    def instructions(self, function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Add a function that returns instructions for each run, plain or async, with or without a ``RunContext``.

        Raises:
            ConfigError: the agent answers by a function.
        """
        return self._made("instructions").instructions(function, **options)

    def _made(self, what: str) -> Any:
        self._check_model(what)
        return cast("Any", self.definition.execution).agent

    def _check_model(self, what: str) -> None:
        if not self.definition.execution.has_model:
            raise ConfigError(f"agent {self.name!r}: {what} needs a model, but it answers by a function")
