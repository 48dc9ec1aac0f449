"""What an agent is made of, beside its name, model, output, tools and system prompt."""

from collections.abc import Mapping, Sequence
from inspect import iscoroutinefunction
from typing import Any, TypedDict

from pydantic_ai.agent import EndStrategy
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.settings import ModelSettings
from pydantic_ai.toolsets import AbstractToolset
from pydantic_ai.usage import UsageLimits

from actors.agents.memory import DEFAULT_LIMIT, Summary
from actors.agents.tool_approval import Confirmation, InputProvider
from actors.prompts.knowledge import with_sources
from actors.runs.definition import NodeSettings
from actors.runs.keywords import MODEL, OUTPUT, TOOLS
from protocols.checks import (
    FAILURES,
    FLAG,
    TEXT,
    TIME_LIMIT,
    Check,
    Checks,
    check_keywords,
    check_values,
    choice,
    instance_of,
    list_of,
    whole,
)
from protocols.errors import ConfigError
from protocols.session import Session, SessionQuery


class AgentKeywords(TypedDict, total=False):
    """Keywords of `Agent`; see `AgentSettings` for what they mean."""

    description: str | None
    display_name: str | None
    instructions: Any
    toolsets: Sequence[AbstractToolset[Any]]
    mcp_servers: Sequence[Any]
    knowledge: Sequence[object]
    user_prompts: Sequence[object]
    deps: Any
    retries: int
    output_retries: int | None
    tool_timeout: float | None
    end_strategy: EndStrategy
    session: Session
    history_limit: int
    summary: Summary | None
    model_settings: ModelSettings | None
    usage_limits: UsageLimits | None
    capabilities: Sequence[AbstractCapability[Any]]
    input_provider: InputProvider | None
    requires_tool_confirmation: Confirmation
    max_concurrency: int | None
    timeout: float | None
    parallel_init: bool
    crash_on: tuple[type[Exception], ...]


class AgentSettings(NodeSettings, frozen=True, kw_only=True, eq=False):
    """Settings of an agent; `NodeSettings` holds those of every node. `of` checks them, so that no run fails later."""

    instructions: Any = None
    """More instructions: a text, a function of the run context, or a sequence of them."""
    toolsets: Sequence[AbstractToolset[Any]] = ()
    """Collections of tools."""
    mcp_servers: Sequence[Any] = ()
    """Servers of tools: URL, path of a script, or a toolset of pydantic_ai; needs the extra ``mcp``."""
    knowledge: Sequence[object] = ()
    """Texts, paths of files, objects, and functions (plain or async) whose text is made when the agent is opened; the
    model is given them before the first prompt."""
    user_prompts: Sequence[object] = ()
    """What a run is asked that is given no prompt."""
    deps: Any = None
    """Dependencies of tools and instructions, unless a run names its own."""
    retries: int = 1
    """How often the model may correct a call of a tool."""
    output_retries: int | None = None
    """How often the model may correct its output; None as `retries`."""
    tool_timeout: float | None = None
    """Seconds that one call of a tool may take."""
    end_strategy: EndStrategy = "early"
    """What becomes of calls of tools that come together with the output: ``early`` leaves them out."""
    session: Session = None
    """Whether it remembers, and what from (see `protocols.session`); False for a stateless agent."""
    history_limit: int = DEFAULT_LIMIT
    """Most messages of the model that it remembers, cut at whole turns."""
    summary: Summary | None = None
    """Makes of the messages that are cut those that take their place."""
    model_settings: ModelSettings | None = None
    """Temperature, most tokens and the like."""
    usage_limits: UsageLimits | None = None
    """Most requests, calls of tools and tokens of one run."""
    capabilities: Sequence[AbstractCapability[Any]] = ()
    """Extensions of pydantic_ai."""
    input_provider: InputProvider | None = None
    """Who is asked before a call of a tool that has to be confirmed: ``console``, or a function that is given the name
    of the tool and its arguments, and returns, or awaits, whether it may be called."""
    requires_tool_confirmation: Confirmation = "per_tool"
    """Which calls are confirmed: those of tools that demand it (``requires_approval``), ``always``, or ``never``."""
    max_concurrency: int | None = None
    """Runs that go on at the same time; None is 1 for an agent that remembers, and no limit for others."""
    parallel_init: bool = True
    """Whether what the agent needs is opened all at once, not one after the other."""

    @property
    def query(self) -> SessionQuery:
        """What `session` means."""
        return SessionQuery.parse(self.session)

    @classmethod
    def of(cls, agent: str, keywords: Mapping[str, Any]) -> "AgentSettings":
        """Take the keywords of `Agent`.

        Raises:
            TypeError: for an unknown keyword; offers the nearest.
            ConfigError: for an impossible value.
        """
        check_keywords(f"agent {agent!r}: there is no keyword", keywords, cls.__struct_fields__)
        check_settings(agent, keywords)
        if keywords.get("requires_tool_confirmation") == "always" and keywords.get("input_provider") is None:
            msg = f"agent {agent!r}: requires_tool_confirmation='always' needs an input_provider, which is asked"
            raise ConfigError(msg, node=agent)
        if keywords.get("knowledge"):
            keywords = {**keywords, "knowledge": with_sources(keywords["knowledge"])}
        settings = cls(**keywords)
        SessionQuery.parse(settings.session)
        return settings


def check_settings(agent: str, given: Mapping[str, Any]) -> None:
    """Refuse an impossible setting of an agent with a `ConfigError`."""
    check_values(_CHECKS, given, lambda _, problem: ConfigError(f"agent {agent!r}: {problem}", node=agent))


_INSTRUCTIONS = Check(
    "text, a function, or a list of them", lambda value: isinstance(value, str | list | tuple) or callable(value)
)
_CONTENT = list_of("a list of texts, paths and objects", lambda _: True)
_CHECKS: Checks = {
    "model": MODEL,
    "output_type": OUTPUT,
    "deps_type": Check("a type", lambda value: not isinstance(value, str | bytes | int | float)),
    "system_prompt": _INSTRUCTIONS,
    "tools": TOOLS,
    "description": TEXT,
    "display_name": TEXT,
    "instructions": _INSTRUCTIONS,
    "toolsets": list_of("a list of toolsets", lambda value: isinstance(value, AbstractToolset)),
    "mcp_servers": list_of("a list of servers", lambda _: True),
    "knowledge": _CONTENT,
    "user_prompts": _CONTENT,
    "retries": whole(0),
    "output_retries": whole(0),
    "tool_timeout": TIME_LIMIT,
    "end_strategy": choice("early", "graceful", "exhaustive"),
    "history_limit": whole(1),
    "summary": Check("a plain function", lambda value: callable(value) and not iscoroutinefunction(value)),
    "model_settings": instance_of("a dict of settings", Mapping),
    "usage_limits": instance_of("UsageLimits", UsageLimits),
    "capabilities": list_of("a list of capabilities", lambda value: isinstance(value, AbstractCapability)),
    "input_provider": Check("'console' or a function", lambda value: value == "console" or callable(value)),
    "requires_tool_confirmation": choice("per_tool", "always", "never"),
    "max_concurrency": whole(1),
    "timeout": TIME_LIMIT,
    "parallel_init": FLAG,
    "crash_on": FAILURES,
}
