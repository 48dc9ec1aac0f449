"""Agents of the manifest."""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from actors.config.import_path import ImportText
from actors.config.knowledge import KnowledgeSpec
from actors.config.model import ModelSpec
from actors.config.node import NodeSpec
from actors.config.prompt import Prompts
from actors.config.reference import AgentName, OutputName
from actors.config.response import ResponseSpec
from actors.config.section import Section
from actors.config.session import SessionSpec
from actors.config.shape import BY_SHAPE, MAP, TEXT
from actors.config.supervision import NodeSupervision
from actors.config.tool import ToolSpec, WorkerSpec
from actors.config.value import Count, Flag, Text

Output = Annotated[Annotated[OutputName, TEXT] | Annotated[ResponseSpec, MAP], BY_SHAPE]
"""Type of an answer: the name of one, or a response written in place."""


class ProviderSpec(Section):
    """What answers: a model, or a function; a plain text is its `type`."""

    shorthand = "type"

    type: Literal["pydantic_ai", "callback"] = "pydantic_ai"
    """`pydantic_ai` is a model with tools, `callback` a function."""
    callback: ImportText | None = None
    """Import string of the function, for `type: callback`."""

    def mismatches(self) -> Iterator[tuple[str, str]]:
        """Yield what does not fit together."""
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
    system_prompt: Prompts = ()
    """What the model is told before each conversation."""
    instructions: Prompts = ()
    """What the model is told before each request; not kept in the history."""
    user_prompts: Prompts = ()
    """Prompts for a run that is started without any."""
    output_type: Output | None = None
    """Type of the answer: a response of this manifest, `str`, an import string, or a response written in place."""
    result_tool_name: Text | None = None
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
    """Whether a person is asked before a tool call."""
    knowledge: KnowledgeSpec | None = None
    """What it knows from the start."""
    session: SessionSpec | None = None
    """What it remembers; by default a new conversation with history."""
    parallel_init: Flag = True
    """Open tools, servers and knowledge at the same time."""
    supervision: NodeSupervision | None = None
    """How it is restarted and stopped."""

    @property
    def function(self) -> str | None:
        """Import string of the function that answers; None for an agent with a model."""
        return self.callback or (self.provider.callback if self.provider else None)

    def mismatches(self) -> Iterator[tuple[str, str]]:
        """Yield what does not fit together."""
        yield from super().mismatches()
        if (self.type == "callback") != (self.callback is not None):
            yield "callback", "goes with 'type: callback', and only with it"
        if self.function is not None:
            for key in ("model", "tools", "toolsets", "workers", "system_prompt", "instructions"):
                if getattr(self, key):
                    yield key, "has no effect: this agent is a function"
