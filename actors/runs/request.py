"""`RunRequest`: the one message that asks a node to run, with the options of the run."""

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, Generic, Protocol, TypedDict, cast

import msgspec
from msgspec import UNSET, UnsetType
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse
from pydantic_ai.models import Model
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import Tool
from pydantic_ai.toolsets import AbstractToolset
from pydantic_ai.usage import RunUsage, UsageLimits
from typing_extensions import TypeVar

from actors.prompts.pending_context import PendingContext
from actors.runs.event_channel import StreamSink
from actors.runs.run_cost import Read, RunCost, attempts_joined
from actors.runs.run_stats import RunStats
from actors.runtime.actor import AsyncioActor
from actors.runtime.cell import Mailbox
from actors.runtime.envelope import Envelope
from actors.runtime.loop_refs import LoopRefs
from actors.runtime.mailbox import MailboxConfig
from actors.talk.signal import Signal
from protocols.budget import BUDGET, Budget
from protocols.checks import (
    FLAG,
    TEXT,
    Check,
    check_keywords,
    check_values,
    declared_checks,
    instance_of,
    is_number,
    list_of,
)
from protocols.context import carriers
from protocols.cost import TokenCost
from protocols.delivery import Kept
from protocols.delivery_tracker import DeliveryTracker
from protocols.messages import ChatMessage
from protocols.session import OWN, SESSION
from protocols.tracing import RunTracing

Deps = TypeVar("Deps", default=object)

DEFAULT_TIMEOUT = 300.0
"""Seconds that a run may take by default."""

AnyTool = Tool[Any] | Callable[..., Any]
"""A function, or a tool of pydantic_ai."""

AnyModel = Model | str
"""A model, or its name."""

MODEL = instance_of("the name of a model, or a model", str, Model)
OUTPUT = Check(
    "a type, or an output specification of pydantic_ai",
    lambda value: not hasattr(value.__class__, "model_fields") and not isinstance(value, str | bytes | int | float),
)
MODEL_SETTINGS = ModelSettings.__annotations__
SETTINGS = Check("a dict of known settings, such as temperature", lambda value: not _misspelt(value))
TOOLS = list_of("a list of functions and tools", lambda value: isinstance(value, Tool) or callable(value))
TOOLSETS = list_of("a list of toolsets", lambda value: isinstance(value, AbstractToolset))
USAGE_LIMITS = instance_of("UsageLimits", UsageLimits)
_HISTORY = list_of("a list of messages of pydantic_ai", lambda value: isinstance(value, ModelRequest | ModelResponse))
REQUEST_ID = Check("text that is not empty", lambda value: isinstance(value, str) and bool(value.strip()))
_TIMEOUT = Check(
    "seconds >= 0, or None for no limit", lambda value: value is UNSET or (is_number(value) and value >= 0)
)


def _misspelt(settings: Any) -> bool:
    """Return True for no mapping, or for a name that nearly is that of a setting. Providers have more settings."""
    if not isinstance(settings, Mapping):
        return True
    unknown = [str(name) for name in cast("Mapping[object, object]", settings) if name not in MODEL_SETTINGS]
    return any(get_close_matches(name, MODEL_SETTINGS, 1, 0.85) for name in unknown)


class RunKeywords(TypedDict, Generic[Deps], total=False):
    """Keywords of every run method; `RunOptions` explains them."""

    model: Model | str | None
    store_history: bool | None
    deps: Deps | None
    usage_limits: UsageLimits | None
    budget: Budget | tuple[Any, ...] | None
    usage: RunUsage | None
    timeout: float | None
    message_history: Sequence[ModelMessage] | None
    session: str | None
    fresh: bool
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
    request_id: str | None
    durable: bool | None


class OutputKeywords(RunKeywords[Deps], Generic[Deps], total=False):
    """Keywords of the run methods whose answer may be of another type."""

    output_type: Any


class RunOptions(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Options of one run. None stands for the default of the node."""

    model: Annotated[Model | str | None, MODEL] = None
    """Model for this run only."""
    store_history: Annotated[bool | None, FLAG] = None
    """True to keep the exchange in the history of the node."""
    output_type: Annotated[Any, OUTPUT] = None
    """Type of the answer of a model, for this run only; in a chain that of the last member. Functions ignore it."""
    deps: Any = None
    """Dependencies of tools and instructions."""
    usage_limits: Annotated[UsageLimits | None, USAGE_LIMITS] = None
    """Limits of requests, tool calls and tokens of this run."""
    budget: Annotated[Budget | tuple[Any, ...] | None, BUDGET] = None
    """What this run may spend, with all runs inside it."""
    usage: Annotated[RunUsage | None, instance_of("RunUsage", RunUsage)] = None
    """Usage of the outer run. This run adds to it, and the limits hold for the sum."""
    timeout: Annotated[float | UnsetType | None, _TIMEOUT] = UNSET
    """Seconds until the run fails with RunTimeoutError, including the wait in the mailbox. None for no limit."""
    message_history: Annotated[Sequence[ModelMessage] | UnsetType | None, _HISTORY] = UNSET
    """History for this run, which neither reads nor changes the memory of the node. None is an empty history."""
    session: Annotated[str | None, SESSION] = None
    """Whose conversation this is: the node remembers each session by itself; see `actors.agents.sessions`."""
    fresh: Annotated[bool, FLAG] = False
    """True for a run that neither reads nor changes the memory of the node."""
    conversation_id: Annotated[str | None, TEXT] = None
    """Conversation of the run."""
    message_id: Annotated[str | None, TEXT] = None
    """Id of the answer."""
    instructions: Annotated[str | Sequence[str] | None, instance_of("text, or a list of texts", str, list, tuple)] = (
        None
    )
    """Further instructions."""
    tools: Annotated[Sequence[AnyTool] | None, TOOLS] = None
    """Further tools."""
    toolsets: Annotated[Sequence[AbstractToolset[Any]] | None, TOOLSETS] = None
    """Further toolsets."""
    include_agent_tools: Annotated[bool, FLAG] = True
    """True if the model may call the tools of the agent."""
    model_settings: Annotated[ModelSettings | None, SETTINGS] = None
    """Further model settings."""
    metadata: Annotated[Mapping[str, Any] | None, instance_of("a dict", Mapping)] = None
    """Further metadata of the answer."""
    wait_for_connections: Annotated[bool | None, FLAG] = None
    """True to return only after all deliveries that the run causes through connections."""
    require_all: Annotated[bool | None, FLAG] = None
    """For teams: True if a failing member fails the run."""
    request_id: Annotated[str | None, REQUEST_ID] = None
    """Name that the caller gives the run of a durable node; a second run of that name gets the answer of the first."""
    durable: Annotated[bool | None, FLAG] = None
    """False to run a durable node in memory. None keeps the run as the node says."""

    @property
    def memory(self) -> str | None:
        """The session whose memory the run uses, `OWN` for that of the node itself, or None for no memory."""
        if self.fresh or self.message_history is not UNSET:
            return None
        return self.session or OWN

    def inherit(self, session: str | None) -> "RunOptions":
        """Return the options of a run that belongs to another one, whose `RunRequest.session` is given.

        The run belongs to the same session. If the other run has no memory, then this one is fresh, unless it stores
        its exchange on purpose.
        """
        if session == OWN or self.session is not None:
            return self
        if session is not None:
            return msgspec.structs.replace(self, session=session)
        if self is NO_OPTIONS:
            return FRESH_OPTIONS
        return self if self.store_history or self.memory is None else msgspec.structs.replace(self, fresh=True)

    @classmethod
    def of(cls, node: str, keywords: Mapping[str, Any]) -> "RunOptions":
        """Make the options from the keywords of a run method.

        Raises:
            TypeError: a keyword is unknown (the error offers the nearest), or a value has the wrong type.
            ValueError: the timeout is below 0, the session cannot be a name, or two keywords contradict each other.
        """
        if not keywords:
            return NO_OPTIONS
        if not keywords.keys() <= _FIELDS:
            check_keywords(f"node {node!r}: run methods take no keyword", keywords, _FIELDS, MODEL_SETTINGS)

        def refused(name: str, problem: str) -> Exception:
            is_value = isinstance(keywords[name], {"timeout": int | float, "session": str}.get(name, ()))
            return (ValueError if is_value else TypeError)(f"node {node!r}: {problem}")

        check_values(_CHECKS, keywords, refused, never_none=("include_agent_tools", "fresh"))
        options = cls(**keywords)
        if "message_history" in keywords or options.session is not None or options.fresh:
            options = options._of_one_memory(node)
        return options

    def _of_one_memory(self, node: str) -> "RunOptions":
        """Refuse two histories for one run; None on purpose is an empty history."""
        chosen = {
            "session": self.session is not None,
            "fresh=True": self.fresh,
            "message_history": self.message_history is not UNSET,
            "store_history=True": self.store_history is True and self.session is None and self.fresh,
        }
        names = [name for name, is_given in chosen.items() if is_given]
        if len(names) > 1:
            message = f"node {node!r}: {' and '.join(names)} contradict each other; a run has one memory: pass one"
            raise ValueError(message)
        return msgspec.structs.replace(self, message_history=()) if self.message_history is None else self


_CHECKS = declared_checks(RunOptions)
_FIELDS = frozenset(RunOptions.__struct_fields__)
NO_OPTIONS = RunOptions()
FRESH_OPTIONS = RunOptions(fresh=True)


class Route(Protocol):
    """The rest of a chain, when the run is one of its stages. The handler of the stage calls exactly one method.

    That method takes the reply (`AsyncioActor.take_reply`) and passes it on.
    """

    def passed(self, actor: AsyncioActor, request: "RunRequest", answer: ChatMessage[Any]) -> None:
        """Continue after the answer of the stage."""

    def failed(self, actor: AsyncioActor, request: "RunRequest", error: Exception) -> None:
        """Continue after the failure of the stage."""


Answer = ChatMessage[Any] | Awaitable[ChatMessage[Any]]
"""The answer of a run, if it is there at once, or else what gives it when awaited."""


class Runnable:
    """A node as its actor sees it: what the runs of any node need, with what a node does that overrides nothing."""

    name: str
    counts_members: ClassVar[bool] = False
    """True for a team: its members count their answers, failures and costs, and put their last events themselves."""
    durable: Any = None
    """What keeps its runs in a journal; None for a node whose runs are in memory."""
    place: Any = None
    """Where it lives in a cluster, see `actors.cluster.single_place`; None for a node that lives in each process."""

    def __init__(self, definition: Any) -> None:
        self.definition = definition
        """What the node is made with (a `Definition`); replaced as a whole, never changed."""
        self.home = LoopRefs()
        """The actors of the node."""
        self.tracing: RunTracing | None = None
        """Makes the spans of the runs; None without tracing."""
        self.message_received: Signal[ChatMessage[Any]] = Signal("message_received")
        """Called with every message the node takes, before it works on it."""
        self.notes = PendingContext()
        """What `add_context` gave; only the actor changes it."""
        self._costs: dict[str, Read] = {}

    @property
    def is_serial(self) -> bool:
        """True if runs that share a memory go on one after the other, as `message_key` says."""
        return False

    def make_mailbox(self, who: str, config: MailboxConfig, key: Callable[[object], Hashable]) -> Mailbox[Envelope]:
        """Make the mailbox of the actor called `who`; `key` is `message_key`."""
        return config.build(who)

    def message_key(self, message: object) -> Hashable:
        """Return the key of the messages that must be finished before this one; see `make_mailbox`."""
        return None

    def perform(self, request: "RunRequest", asked: ChatMessage[Any]) -> Answer:
        """Do the work of one run, inside the actor, and return the answer, or what gives it when awaited."""
        raise NotImplementedError

    def send(self, answer: ChatMessage[Any], request: "RunRequest") -> None:
        """Give an answer to the subscribers and the connections, inside the actor. Does not wait."""

    def fail(self, error: Exception, request: "RunRequest") -> None:
        """Report a failed run, inside the actor."""

    def cancelled(self, request: "RunRequest") -> None:
        """Note a cancelled run, inside the actor."""

    def at_work(self, run_id: str) -> Sequence[str]:
        """Return the members that work in a run of this node, or in those that are a part of the run."""
        return ()

    def follow_cost(self, request: "RunRequest", read: Read) -> None:
        """Count what a run costs while it works, inside the actor."""
        before = self._costs.get(request.run_id)
        if before is not None:  # of an attempt that has failed
            read = attempts_joined(before, read, request.cost, self.name)
        self._costs[request.run_id] = read
        if request.cost is not None:
            request.cost.open(self.name, read)

    def cost_of(self, request: "RunRequest") -> TokenCost | None:
        """Return what an unfinished run has cost up to now; None if it asks no model."""
        read = self._costs.get(request.run_id)
        return None if read is None else read()

    def keep_context(self, text: str, session: str | None) -> None:
        """Keep text for the next run, or for the next one of a session, inside the actor."""
        self.notes.keep(text, session)

    def take_context(self, request: "RunRequest") -> list[str]:
        """Take the texts of `keep_context` for a run, inside the actor."""
        return self.notes.take(request.options.session, request.kept)


class RunRequest(msgspec.Struct, frozen=True, eq=False):
    """Asks a node to run. All run methods make the same request, and differ in how they wait."""

    node: Runnable
    """The node to run. The request holds it, so a node lives at least as long as its requests."""
    prompts: tuple[Any, ...]
    run_id: str
    conversation_id: str
    downstream: DeliveryTracker
    """Deliveries of the run through connections."""
    options: RunOptions = NO_OPTIONS
    parent_run_id: str = ""
    """The run that contains this one; empty for a run of a user."""
    hops: int = 0
    """Number of connections on the way to the run."""
    route: Route | None = None
    """The rest of the chain, if the run is one of its stages."""
    sink: StreamSink | None = None
    """Takes the events of a streamed run; None for other runs."""
    cost: RunCost | None = None
    """Takes the cost of the run; None outside of a team."""
    follower: object = None
    """Follows the members of a team, for a caller that wants each answer."""
    stats: RunStats | None = None
    """Counts the answers and failures of the members of a team. None for new stats; see `RunStats`."""
    ends_after_step: bool = False
    """True if no further step begins; see `begin_step`."""
    kept: Kept | None = None
    """What the run knows of the journal that keeps it; None for a run in memory."""
    traceparent: str = ""
    """The trace that a kept run continues; empty without tracing."""
    chain: tuple[str, ...] = ()
    """The nodes that wait for the run at other hosts, outermost first."""

    def refused(self, error: Exception) -> None:
        """Take note that a full mailbox does not take the run. One that is kept is delivered later."""
        if self.node.tracing is not None and (self.kept is None or self.kept.is_part):
            self.node.tracing.refused(self, error)

    def continue_trace(self) -> None:
        """Continue the trace that the run was kept with, in the current context."""
        if self.traceparent and self.node.tracing is not None:
            self.node.tracing.continued(((b"traceparent", self.traceparent.encode()),))

    def at_work(self) -> str:
        """Return the names of the members that work on this now; empty for a node without members."""
        return ", ".join(self.node.at_work(self.run_id))

    @property
    def session(self) -> str | None:
        """Whose run it is: a session, `OWN` for the memory of the node itself, or None for a run without memory."""
        return self.options.session or self.options.memory

    @property
    def wait_for_connections(self) -> bool | None:
        """True if the caller waits for the deliveries. None if the connections decide."""
        return self.options.wait_for_connections


carriers.add(RunRequest)


class AddContext(msgspec.Struct, frozen=True, eq=False):
    """Gives a node text that it reads before the prompt of its next run."""

    node: Runnable
    text: str
    session: str | None = None


class Settle(msgspec.Struct, frozen=True):
    """Asks for a reply when all earlier runs are finished."""
