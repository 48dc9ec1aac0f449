"""The settings of an agent: all keywords but name, model, output, tools and system prompt."""

from collections.abc import Mapping, Sequence
from inspect import iscoroutinefunction
from typing import Annotated, Any, Final, Generic, Literal, TypedDict, get_args

from pydantic_ai.agent import EndStrategy
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.output import OutputSpec as OutputSpec
from pydantic_ai.settings import ModelSettings
from pydantic_ai.toolsets import AbstractToolset
from pydantic_ai.usage import UsageLimits

from actors.agents.memory import DEFAULT_BYTES, DEFAULT_LIMIT, Memory, Summary
from actors.agents.sessions import DEFAULT_SESSIONS
from actors.agents.tool_approval import ApprovalMode, InputProvider
from actors.models.policy import POLICY, ModelPolicy
from actors.prompts.knowledge import with_sources
from actors.runs.lifecycle import NodeSettings
from actors.runs.request import MODEL, MODEL_SETTINGS, OUTPUT, SETTINGS, TOOLS, TOOLSETS, USAGE_LIMITS, Deps
from actors.supervision.replicas import Routing
from actors.supervision.retry import Retry
from protocols.budget import BUDGET, Budget
from protocols.checks import (
    FLAG,
    POSITIVE,
    TIME_LIMIT,
    Check,
    Checks,
    check_keywords,
    check_values,
    choice,
    declared_checks,
    list_of,
    whole,
)
from protocols.durable import Durable, Placement
from protocols.errors import ConfigError
from protocols.session import Session, SessionQuery


class AgentKeywords(TypedDict, Generic[Deps], total=False):
    """Keywords of `Agent`; see `AgentSettings`."""

    description: str | None
    display_name: str | None
    instructions: Any
    toolsets: Sequence[AbstractToolset[Any]]
    mcp_servers: Sequence[Any]
    knowledge: Sequence[object]
    user_prompts: Sequence[object]
    deps: Deps | None
    retries: int
    output_retries: int | None
    tool_timeout: float | None
    end_strategy: EndStrategy
    session: Session
    history_limit: int
    history_bytes: int
    history_turns: int | None
    history_tokens: int | None
    summary: Summary | None
    max_sessions: int
    session_ttl: float | None
    session_budget: Budget | None
    model_settings: ModelSettings | None
    usage_limits: UsageLimits | None
    budget: Budget | None
    policy: ModelPolicy | Literal[False] | None
    capabilities: Sequence[AbstractCapability[Any]]
    input_provider: InputProvider | None
    requires_tool_confirmation: ApprovalMode
    approval_timeout: float
    max_concurrency: int | None
    replicas: int
    routing: Routing
    timeout: float | None
    parallel_init: bool
    crash_on: tuple[type[Exception], ...]
    redeliver: bool
    placement: Placement | None
    durable: bool | Durable | None
    retry: Retry | None


_MOST_WAIT: Final = 30 * 86_400
_INSTRUCTIONS = Check(
    "text, a function, or a list of them", lambda value: isinstance(value, str | list | tuple) or callable(value)
)
_CONTENT = list_of("a list of texts, paths and objects", lambda _: True)
_CAPABILITIES = list_of("a list of capabilities", lambda value: isinstance(value, AbstractCapability))
_SUMMARY = Check("a plain function", lambda value: callable(value) and not iscoroutinefunction(value))
_WAIT = Check("seconds > 0, at most 30 days", lambda value: POSITIVE.accepts(value) and value <= _MOST_WAIT)
_PROVIDER = Check("'console' or a function", lambda value: value == "console" or callable(value))


class AgentSettings(NodeSettings, frozen=True, kw_only=True, eq=False):
    """Settings of an agent; `NodeSettings` holds those of every node. `of` checks them, so that no run fails later."""

    instructions: Annotated[Any, _INSTRUCTIONS] = None
    """More instructions: a text, a function of the run context, or a sequence of them."""
    toolsets: Annotated[Sequence[AbstractToolset[Any]], TOOLSETS] = ()
    """Collections of tools."""
    mcp_servers: Annotated[Sequence[Any], list_of("a list of servers", lambda _: True)] = ()
    """Servers of tools: URL, path of a script, or a toolset of pydantic_ai; needs the extra ``mcp``."""
    knowledge: Annotated[Sequence[object], _CONTENT] = ()
    """Texts, paths of files, objects, and functions (plain or async), which are called when the agent opens. The model
    reads the knowledge before the first prompt."""
    user_prompts: Annotated[Sequence[object], _CONTENT] = ()
    """Prompts of a run without a prompt."""
    deps: Any = None
    """Dependencies of tools and instructions, unless a run names its own."""
    retries: Annotated[int, whole(0)] = 1
    """Number of times that the model may correct a tool call."""
    output_retries: Annotated[int | None, whole(0)] = None
    """Number of times that the model may correct its output; None for `retries`."""
    tool_timeout: Annotated[float | None, TIME_LIMIT] = None
    """Seconds that one tool call may take."""
    end_strategy: Annotated[EndStrategy, choice("early", "graceful", "exhaustive")] = "early"
    """What happens to tool calls in the same response as the output: ``early`` skips them."""
    session: Session = None
    """The memory to begin with (see `protocols.session`); False for an agent without memory."""
    history_limit: Annotated[int, whole(1)] = DEFAULT_LIMIT
    """Largest number of model messages in the memory, cut at whole turns."""
    history_bytes: Annotated[int, whole(1)] = DEFAULT_BYTES
    """Most bytes of text, pictures and other data in them; the last turn stays, whatever its size."""
    history_turns: Annotated[int | None, whole(1)] = None
    """Most prompts in the memory, each with what followed."""
    history_tokens: Annotated[int | None, whole(1)] = None
    """Most tokens in the memory, estimated at 4 bytes each; the last turn stays, whatever its size."""
    summary: Annotated[Summary | None, _SUMMARY] = None
    """Returns the messages that replace those that are cut."""
    max_sessions: Annotated[int, whole(1)] = DEFAULT_SESSIONS
    """Sessions that are kept in memory. The four limits of the history hold for each; the one that was not used for
    the longest time goes first."""
    session_ttl: Annotated[float | None, TIME_LIMIT] = None
    """Seconds after its last run in which a session is remembered. None for no limit."""
    session_budget: Annotated[Budget | None, BUDGET] = None
    """What models may be asked for by all runs of one session together."""
    model_settings: Annotated[ModelSettings | None, SETTINGS] = None
    """Temperature, largest number of tokens and the like."""
    usage_limits: Annotated[UsageLimits | None, USAGE_LIMITS] = None
    """Largest number of requests, tool calls and tokens of one run."""
    policy: Annotated[ModelPolicy | Literal[False] | None, POLICY] = None
    """Deadline and repetition of requests to the model; None for the usual, False to leave them to the model."""
    capabilities: Annotated[Sequence[AbstractCapability[Any]], _CAPABILITIES] = ()
    """Extensions of pydantic_ai."""
    input_provider: Annotated[InputProvider | None, _PROVIDER] = None
    """What approves tool calls: ``console``, or a function. The function gets the tool's name and its arguments, and
    returns, or awaits, True if the tool may be called. None parks the run until `Agent.approve` or `deny` is called."""
    requires_tool_confirmation: Annotated[ApprovalMode, choice("per_tool", "always", "never")] = "per_tool"
    """Which calls need approval: those of tools that demand it (``requires_approval``), ``always``, or ``never``."""
    approval_timeout: Annotated[float, _WAIT] = 3_600.0
    """Seconds that a run without an `input_provider` waits for `Agent.approve` or `deny`; then the call is denied."""
    max_concurrency: Annotated[int | None, whole(1)] = None
    """Number of runs at the same time. None is 100 for an agent with memory, and no limit for others. Runs that use the
    same memory (of one session, or that of the agent itself) go on one after the other all the same."""
    replicas: Annotated[int, whole(1)] = 1
    """Actors that share the runs of the agent. `max_concurrency` is for each of them, and 100 if nothing limits it. One
    that crashes takes only its own runs along, and restarts alone."""
    routing: Annotated[Routing, choice(*get_args(Routing))] = "least_busy"
    """Which replica gets a run: the one with the fewest, or the next one in turn that has a place."""
    parallel_init: Annotated[bool, FLAG] = True
    """True if the resources of the agent open at the same time, not one after the other."""

    @property
    def query(self) -> SessionQuery:
        """The meaning of `session`."""
        return SessionQuery.parse(self.session)

    def memory(self) -> Memory:
        """Make an empty memory with the limits of the settings."""
        return Memory(
            self.history_limit,
            most_bytes=self.history_bytes,
            most_turns=self.history_turns,
            most_tokens=self.history_tokens,
            summary=self.summary,
        )

    @classmethod
    def of(cls, agent: str, keywords: Mapping[str, Any]) -> "AgentSettings":
        """Return the settings of the keywords of `Agent`.

        Raises:
            TypeError: for an unknown keyword; offers the nearest.
            ConfigError: for an impossible value.
        """
        others = ("name", "model", "output_type", "deps_type", "system_prompt", "tools")
        who = f"agent {agent!r}: there is no keyword"
        check_keywords(who, keywords, cls.__struct_fields__, MODEL_SETTINGS, others=others)
        check_settings(agent, keywords)
        if keywords.get("knowledge"):
            keywords = {**keywords, "knowledge": with_sources(keywords["knowledge"])}
        settings = cls(**keywords)
        SessionQuery.parse(settings.session)
        return settings


def check_settings(agent: str, given: Mapping[str, Any]) -> None:
    """Refuse an impossible setting of an agent with a `ConfigError`."""

    def refused(_: str, problem: str) -> Exception:
        return ConfigError(f"agent {agent!r}: {problem}", node=agent)

    check_values(_CHECKS, given, refused, never_none=("approval_timeout",))


_CHECKS: Checks = {
    **declared_checks(AgentSettings),
    "model": MODEL,
    "output_type": OUTPUT,
    "deps_type": Check("a type", lambda value: not isinstance(value, str | bytes | int | float)),
    "system_prompt": _INSTRUCTIONS,
    "tools": TOOLS,
}
