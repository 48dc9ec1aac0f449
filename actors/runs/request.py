"""`RunRequest`: the one message that asks a node to run, with the options of that run."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypedDict

import msgspec
from msgspec import UNSET, UnsetType
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse
from pydantic_ai.models import Model
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import Tool
from pydantic_ai.toolsets import AbstractToolset
from pydantic_ai.usage import RunUsage, UsageLimits

from actors.runs.delivery_tracker import DeliveryTracker
from actors.runs.keywords import MODEL, OUTPUT, TOOLS
from actors.runs.run_stats import RunStats
from actors.runtime.actor import AsyncioActor
from actors.runtime.loop_refs import LoopRefs
from actors.talk.signal import Signal
from protocols.checks import FLAG, TEXT, Check, Checks, check_keywords, check_values, instance_of, is_number, list_of
from protocols.messages import ChatMessage

DEFAULT_TIMEOUT = 300.0
"""Seconds that a run may take when nobody says otherwise."""

AnyTool = Tool[Any] | Callable[..., Any]
"""A function, or a tool of pydantic_ai."""


class RunKeywords(TypedDict, total=False):
    """Keywords that every method of the run family takes; see `RunOptions` for what they mean."""

    model: Model | str | None
    store_history: bool | None
    deps: Any
    usage_limits: UsageLimits | None
    usage: RunUsage | None
    timeout: float | None
    message_history: Sequence[ModelMessage] | None
    conversation_id: str | None
    message_id: str | None
    instructions: str | Sequence[str] | None
    tools: Sequence[AnyTool] | None
    toolsets: Sequence[AbstractToolset[Any]] | None
    include_agent_tools: bool
    model_settings: ModelSettings | None
    metadata: Mapping[str, Any] | None
    wait_for_connections: bool | None
    require_all: bool | None


class RunOptions(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """How one run differs from what its node does by default. None means the node's own."""

    model: Model | str | None = None
    """Model for this run only."""
    store_history: bool | None = None
    """Whether the exchange is kept in the node's history."""
    output_type: Any = None
    """What the answer of a model must be, for this run only; in a chain that of the last member. A function answers
    what it always does."""
    deps: Any = None
    """Dependencies that tools and instructions get."""
    usage_limits: UsageLimits | None = None
    """Most requests, tool calls and tokens of this run."""
    usage: RunUsage | None = None
    """Counts of a run that this one is a part of; they are added to, and limits look at the sum."""
    timeout: float | UnsetType | None = UNSET
    """Seconds until the run ends with RunTimeoutError, waiting in the mailbox included; None never."""
    message_history: Sequence[ModelMessage] | None = None
    """Used in place of the node's own history."""
    conversation_id: str | None = None
    """Flow of messages the run belongs to."""
    message_id: str | None = None
    """Id of the answer."""
    instructions: str | Sequence[str] | None = None
    """Added to the node's instructions."""
    tools: Sequence[AnyTool] | None = None
    """Added to the node's tools."""
    toolsets: Sequence[AbstractToolset[Any]] | None = None
    """Added to the node's tools."""
    include_agent_tools: bool = True
    """Whether the agent's own tools can be used."""
    model_settings: ModelSettings | None = None
    """Added to the node's model settings."""
    metadata: Mapping[str, Any] | None = None
    """Put into the metadata of the answer."""
    wait_for_connections: bool | None = None
    """Whether the call returns only after everything that the run caused through connections has finished."""
    require_all: bool | None = None
    """Teams: whether a failing member fails the run."""

    @classmethod
    def of(cls, node: str, keywords: Mapping[str, Any]) -> "RunOptions":
        """Take the keywords of a run method.

        Raises:
            TypeError: for an unknown keyword, which offers the nearest, and for a value of the wrong type.
            ValueError: for a timeout below 0.
        """
        if not keywords:
            return NO_OPTIONS
        if not keywords.keys() <= _FIELDS:
            check_keywords(f"node {node!r}: run methods take no keyword", keywords, _FIELDS)

        def refused(name: str, problem: str) -> Exception:
            return (ValueError if name == "timeout" else TypeError)(f"node {node!r}: {problem}")

        check_values(_CHECKS, keywords, refused, never_none=("include_agent_tools",))
        return cls(**keywords)


_CHECKS: Checks = {
    "model": MODEL,
    "store_history": FLAG,
    "output_type": OUTPUT,
    "usage_limits": instance_of("UsageLimits", UsageLimits),
    "usage": instance_of("RunUsage", RunUsage),
    "timeout": Check(
        "seconds >= 0, or None for no limit", lambda value: value is UNSET or (is_number(value) and value >= 0)
    ),
    "message_history": list_of(
        "a list of messages of pydantic_ai", lambda value: isinstance(value, ModelRequest | ModelResponse)
    ),
    "conversation_id": TEXT,
    "message_id": TEXT,
    "instructions": Check("text, or a list of texts", lambda value: isinstance(value, str | list | tuple)),
    "tools": TOOLS,
    "toolsets": list_of("a list of toolsets", lambda value: isinstance(value, AbstractToolset)),
    "include_agent_tools": FLAG,
    "model_settings": instance_of("a dict of settings", Mapping),
    "metadata": instance_of("a dict", Mapping),
    "wait_for_connections": FLAG,
    "require_all": FLAG,
}


_FIELDS = frozenset(RunOptions.__struct_fields__)
NO_OPTIONS = RunOptions()


class EventSink(Protocol):
    """Where the events of a streamed run go."""

    async def put(self, event: Any) -> None:
        """Take an event, waiting until there is room for it."""
        ...

    def put_now(self, event: Any) -> None:
        """Take the last event of a node: when it comes, the node has stored and passed on its answer."""
        ...


class Route(Protocol):
    """What becomes of a stage's outcome when the run is one step of a chain. Called inside the stage's handler.

    Exactly one of the two is called. It has to take the reply (`AsyncioActor.take_reply`) and hand it on.
    """

    def passed(self, actor: AsyncioActor, request: "RunRequest", answer: ChatMessage[Any]) -> None:
        """The stage answered."""
        ...

    def failed(self, actor: AsyncioActor, request: "RunRequest", error: Exception) -> None:
        """The stage failed."""
        ...


class Runnable(Protocol):
    """A node as its actor sees it."""

    @property
    def name(self) -> str:
        """Name of the node and of its actor."""
        ...

    @property
    def timeout(self) -> float | None:
        """Seconds that a run may take by default. None for no limit."""
        ...

    @property
    def crash_on(self) -> tuple[type[Exception], ...]:
        """Exceptions of a run that crash the actor."""
        ...

    @property
    def home(self) -> LoopRefs:
        """The actors of the node."""
        ...

    @property
    def message_received(self) -> Signal[ChatMessage[Any]]:
        """Called with every input message."""
        ...

    def perform(self, request: "RunRequest", asked: ChatMessage[Any]) -> Awaitable[ChatMessage[Any]]:
        """Do the work of one run and return the answer."""
        ...

    def send(self, answer: ChatMessage[Any], request: "RunRequest") -> None:
        """Give an answer to the subscribers and the connections."""
        ...

    def fail(self, error: Exception, request: "RunRequest") -> None:
        """Report a failed run."""
        ...

    def keep_context(self, text: str) -> None:
        """Keep text for the next run."""
        ...

    def take_context(self) -> list[str]:
        """Take the texts of `keep_context`."""
        ...


class RunObserver(Protocol):
    """Follows the members of one run of a team."""

    def passed(self, name: str, answer: ChatMessage[Any], seconds: float) -> object:
        """Note the answer of a member."""
        ...

    def failed(self, name: str, error: Exception) -> None:
        """Note the failure of a member."""
        ...

    def finish(self, answer: ChatMessage[Any] | None, error: Exception | None) -> None:
        """Note the end of the run."""
        ...


class RunRequest(msgspec.Struct, frozen=True, eq=False):
    """Ask a node to run. Every run method makes the same request; they differ in how they wait."""

    node: Runnable
    """The node to run. The request holds it, so a node lives at least as long as its requests."""
    prompts: tuple[Any, ...]
    run_id: str
    conversation_id: str
    downstream: DeliveryTracker
    """Deliveries that the run causes through connections."""
    options: RunOptions = NO_OPTIONS
    parent_run_id: str = ""
    """Run this one is a part of; empty for a run that a user started."""
    hops: int = 0
    """How many connections led to the run."""
    route: Route | None = None
    """The rest of the chain that this run is a step of."""
    sink: EventSink | None = None
    """Where the events of the run go while it goes on; None when nobody listens."""
    observer: RunObserver | None = None
    """Follows the members of a team, for a caller that wants each answer."""
    stats: RunStats | None = None
    """Where the answers and failures of a team's members are counted; None for a run of its own (see `RunStats`)."""

    @property
    def wait_for_connections(self) -> bool | None:
        """Whether the caller waits for the deliveries; None when the connections decide."""
        return self.options.wait_for_connections


class AddContext(msgspec.Struct, frozen=True, eq=False):
    """Text that a node reads before the prompt of its next run."""

    node: Runnable
    text: str


class Settle(msgspec.Struct, frozen=True):
    """Is answered when every run that was accepted before has ended."""
