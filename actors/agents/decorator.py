"""What `Agent` has under the names of pydantic_ai: its decorators, and a way in for its agents."""

from collections.abc import Callable
from typing import Any, Generic, Literal, Self, TypedDict, Unpack, cast, overload

import pydantic_ai
from pydantic.json_schema import GenerateJsonSchema
from pydantic_ai import RunContext
from pydantic_ai.tools import (
    DocstringFormat,
    GenerateToolJsonSchema,
    ToolFuncContext,
    ToolFuncPlain,
    ToolParams,
    ToolPrepareFunc,
)

from actors.agents.definition import AgentDefinition
from actors.agents.settings import AgentKeywords, AgentSettings
from actors.runs.handle import Deps
from protocols.errors import ConfigError
from protocols.keywords import spelled_out


class ToolKeywords(TypedDict, Generic[Deps], total=False):
    """Keywords of `Agent.tool`: those of ``pydantic_ai.Agent.tool``, which explains them."""

    name: str | None
    description: str | None
    retries: int | None
    prepare: ToolPrepareFunc[Deps] | None
    args_validator: Callable[..., Any] | None
    docstring_format: DocstringFormat
    require_parameter_descriptions: bool
    schema_generator: type[GenerateJsonSchema]
    strict: bool | None
    sequential: bool
    requires_approval: bool
    metadata: dict[str, Any] | None
    tool_kind: Any
    timeout: float | None
    defer_loading: bool
    include_return_schema: bool | None


class PromptKeywords(TypedDict, total=False):
    """Keywords of `Agent.instructions`: those of ``pydantic_ai.Agent.instructions``, which explains them."""

    name: str | None
    on_change: Literal["rewrite", "append"]


_ToolContext = Callable[[ToolFuncContext[Deps, ToolParams]], ToolFuncContext[Deps, ToolParams]]
_ToolPlain = Callable[[ToolFuncPlain[ToolParams]], ToolFuncPlain[ToolParams]]


class _Defaults:
    docstring_format = "auto"
    schema_generator = GenerateToolJsonSchema
    require_parameter_descriptions = sequential = requires_approval = defer_loading = False
    on_change = "rewrite"


class Decorator(Generic[Deps]):
    """The part of `Agent` that speaks as ``pydantic_ai.Agent`` does."""

    name: str
    definition: AgentDefinition

    @classmethod
    def from_definition(cls, definition: AgentDefinition) -> Self:
        """Make an agent of its definition."""
        raise NotImplementedError

    @classmethod
    @spelled_out(AgentKeywords, AgentSettings())
    def from_pydantic_ai(
        cls, agent: "pydantic_ai.Agent[Any, Any]", *, name: str | None = None, **settings: Unpack[AgentKeywords[Any]]
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

    @overload
    def tool(self, function: ToolFuncContext[Deps, ToolParams], /) -> ToolFuncContext[Deps, ToolParams]: ...
    @overload
    def tool(
        self, function: None = None, /, **options: Unpack[ToolKeywords[Deps]]
    ) -> _ToolContext[Deps, ToolParams]: ...

    @spelled_out(ToolKeywords, _Defaults)
    def tool(self, function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Let the model call a function whose first parameter is a ``RunContext``. A decorator.

        Args:
            function: plain or async; its docstring tells the model what it is for.
            **options: those of ``pydantic_ai.Agent.tool``, such as ``name`` or ``requires_approval``.

        Raises:
            ConfigError: the agent answers by a function.
        """
        return self._made("tool").tool(function, **options)

    @overload
    def tool_plain(self, function: ToolFuncPlain[ToolParams], /) -> ToolFuncPlain[ToolParams]: ...
    @overload
    def tool_plain(self, function: None = None, /, **options: Unpack[ToolKeywords[Deps]]) -> _ToolPlain[ToolParams]: ...

    @spelled_out(ToolKeywords, _Defaults)
    def tool_plain(self, function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Let the model call a function without a ``RunContext``; see `tool`."""
        return self._made("tool_plain").tool_plain(function, **options)

    @overload
    def instructions(self, function: Callable[[RunContext[Deps]], Any], /) -> Callable[[RunContext[Deps]], Any]: ...
    @overload
    def instructions(self, function: Callable[[], Any], /) -> Callable[[], Any]: ...
    @overload
    def instructions(
        self, function: None = None, /, **options: Unpack[PromptKeywords]
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]: ...

    @spelled_out(PromptKeywords, _Defaults)
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
