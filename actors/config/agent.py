"""Agents of the manifest."""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, ValidatorFunctionWrapHandler, WrapValidator

from actors.config.duration import PositiveSeconds
from actors.config.import_path import ImportText
from actors.config.knowledge import KnowledgeSpec
from actors.config.model import ModelSpec
from actors.config.node import NodeSpec
from actors.config.policy import PolicySpec
from actors.config.prompt import Prompts
from actors.config.reference import AgentName, OutputName
from actors.config.response import ResponseSpec
from actors.config.section import Section
from actors.config.session import SessionSpec, SessionsSpec
from actors.config.supervision import NodeSupervision
from actors.config.tool import ToolSpec, WorkerSpec
from actors.config.value import BY_SHAPE, MAP, TEXT, Count, Flag, Positive, Text, ToolName

Output = Annotated[Annotated[OutputName, TEXT] | Annotated[ResponseSpec, MAP], BY_SHAPE]
"""Type of an answer: the name of one, or a response written in place."""


def _console_or_import(value: str, check: ValidatorFunctionWrapHandler) -> str:
    return value if value == "console" else str(check(value))


InputProvider = Annotated[ImportText, WrapValidator(_console_or_import)]
"""Who is asked: the word `console`, or the import string of a function."""

_OF_FUNCTIONS = frozenset(NodeSpec.model_fields.keys() - {"mcp_servers", "limits", "budget"}) | {
    *("inherits", "type", "callback", "provider", "parallel_init", "supervision", "replicas", "routing")
}
"""Keys that mean something to an agent that is a function."""


class ProviderSpec(Section):
    """What answers: a model, or a function; a plain text is its `type`."""

    shorthand = "type"

    type: Literal["pydantic_ai", "callback"] = "pydantic_ai"
    """`pydantic_ai` is a model with tools, `callback` a function."""
    callback: ImportText | None = None
    """Import string of the function, for `type: callback`."""

    def _mismatches(self) -> Iterator[tuple[str, str]]:
        if (self.type == "callback") != (self.callback is not None):
            yield "callback", "goes with 'type: callback', and only with it"


class AgentSpec(NodeSpec):
    """One agent: a model with instructions and tools, or a function (`type: callback`)."""

    spellings: ClassVar[Mapping[str, str]] = {
        "result_type": "output_type",
        "system_prompts": "system_prompt",
        "callable": "callback",
    }
    retired: ClassVar[Mapping[str, str]] = {
        **NodeSpec.retired,
        "environment": "use 'knowledge' and 'tools'",
        "capabilities": "use 'tools' and 'toolsets'",
        "library_system_prompts": "use 'system_prompt' with '{file: ...}'",
    }

    inherits: AgentName | None = None
    """Agent whose keys this one takes over; its own keys win."""
    type: Literal["agent", "callback"] = "agent"
    """`agent` asks a model, `callback` calls a function."""
    callback: ImportText | None = None
    """Import string of the function, for `type: callback`."""
    provider: ProviderSpec | None = None
    """Older way to write `type` and `callback`."""
    model: ModelSpec | None = None
    """The model; by default that of `defaults`, of the pool, or `offline`."""
    policy: PolicySpec | None = None
    """What happens when the model is slow, broken or unavailable."""
    system_prompt: Prompts = ()
    """What the model is told before each request, whatever the history says."""
    instructions: Prompts = ()
    """The same, behind `system_prompt`; a function here is called for each request."""
    user_prompts: Prompts = ()
    """What a run is asked that is given no prompt; a function must not be asynchronous."""
    output_type: Output | None = None
    """Type of the answer: a response of this manifest, `str`, an import string, or a response written in place."""
    result_tool_name: ToolName | None = None
    """Name of the tool with which the model gives a structured answer."""
    result_tool_description: Text | None = None
    """Its description."""
    retries: Count | None = None
    """How often the model may try again after a faulty tool call; 1 by default."""
    output_retries: Count | None = None
    """The same for faulty answers; `retries` by default."""
    end_strategy: Literal["early", "graceful", "exhaustive"] = "early"
    """What happens to tool calls that come together with the final answer."""
    tools: tuple[ToolSpec, ...] = ()
    """Functions that the model may call."""
    toolsets: tuple[ToolSpec, ...] = ()
    """Objects that bring several tools."""
    workers: tuple[WorkerSpec, ...] = ()
    """Other nodes that the model may ask."""
    requires_tool_confirmation: Literal["per_tool", "always", "never"] = "per_tool"
    """Whether a person is asked before a tool call: for the tools that demand it, for all tools, or for none."""
    input_provider: InputProvider | None = None
    """Who is asked: `console`, or the import string of a function that takes the name of the tool and a map of its
    arguments and returns whether it may be called. By default the run waits for `understage approve` or `deny`."""
    approval_timeout: Annotated[PositiveSeconds, Field(le=2_592_000)] = 3_600.0
    """How long it waits for them, at most 30 days, before the call is denied; an hour by default."""
    knowledge: KnowledgeSpec | None = None
    """What it knows from the start."""
    session: SessionSpec | None = None
    """What it remembers; by default a new conversation with history."""
    sessions: SessionsSpec | None = None
    """How much it remembers, and of how many sessions."""
    replicas: Positive = 1
    """How many actors share its runs; `max_concurrency` is for each. One that crashes takes only its own runs along."""
    routing: Literal["least_busy", "round_robin"] = "least_busy"
    """Which replica gets a run: the one with the fewest, or the next one in turn that has a place."""
    parallel_init: Flag = True
    """Open tools, servers and knowledge at the same time."""
    supervision: NodeSupervision | None = None
    """How it is restarted and stopped."""

    @property
    def lasts(self) -> bool:
        """True if one run depends on those before it."""
        remembers = self.function is None and (self.session is None or self.session.enabled)
        return remembers or (super().lasts and self.replicas == 1)

    @property
    def function(self) -> str | None:
        """Import string of the function that answers; None for an agent with a model."""
        return self.callback or (self.provider.callback if self.provider else None)

    def _idle_keys(self) -> Iterator[tuple[str, str]]:
        if "routing" in self.model_fields_set and self.replicas == 1:
            yield "routing", "has no effect without 'replicas'"
        if "approval_timeout" in self.model_fields_set and self.input_provider is not None:
            yield "approval_timeout", "has no effect: 'input_provider' is asked"
        for toolset in self.toolsets:
            for key in sorted(toolset.model_fields_set & {"name", "description", "retries", "timeout"}):
                yield "toolsets", f"{key!r} has no effect on a toolset ({toolset.import_path!r}): it goes with 'tools'"

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the nodes that work for the agent."""
        return tuple(worker.node for worker in self.workers)

    def _mismatches(self) -> Iterator[tuple[str, str]]:
        yield from super()._mismatches()
        yield from self._idle_keys()
        if (self.type == "callback") != (self.callback is not None):
            yield "callback", "goes with 'type: callback', and only with it"
        if self.function is not None:
            for key in sorted(self.model_fields_set - _OF_FUNCTIONS):
                if getattr(self, key):
                    yield key, "has no effect: this agent is a function"
        elif self.output_type is None:
            for key in ("result_tool_name", "result_tool_description"):
                if getattr(self, key):
                    yield key, "has no effect without 'output_type'"
