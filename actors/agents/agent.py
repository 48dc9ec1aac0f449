"""`Agent`: one node that answers by a model, or by a function."""

from collections.abc import Awaitable, Callable, Hashable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import count
from pathlib import Path, PurePath
from typing import Any, Self, Unpack, cast, overload

from msgspec.structs import replace
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import Model
from pydantic_ai.output import OutputSpec
from pydantic_ai.toolsets import FunctionToolset

from actors.agents import manifest
from actors.agents.approvals import Approval
from actors.agents.callback import callback_name
from actors.agents.decorator import Decorator
from actors.agents.definition import AgentDefinition
from actors.agents.execution import Execution
from actors.agents.named_tools import named_tools
from actors.agents.session_mailbox import mailbox_of
from actors.agents.sessions import DEFAULT_CONCURRENCY, Sessions
from actors.agents.settings import AgentKeywords, AgentSettings, check_settings
from actors.mcp.toolset import McpTools
from actors.models.resolve import default_model_name
from actors.nodes.as_tool import tool_of
from actors.nodes.node import MessageNode
from actors.prompts.knowledge import sources_in
from actors.runs.handle import Deps, NodeHandle, Other, Out
from actors.runs.job import Job
from actors.runs.node_actor import UNLIMITED
from actors.runs.request import Answer, AnyTool, RunRequest
from actors.runtime.cell import Mailbox
from actors.runtime.envelope import Envelope
from actors.runtime.mailbox import MailboxConfig
from protocols.checks import is_a
from protocols.errors import ConfigError, NodeNameError
from protocols.keywords import spelled_out
from protocols.messages import ChatMessage
from protocols.tool_name import free_name

_FILES = (".yml", ".yaml")


class Agent(Approval, Decorator[Deps], MessageNode[Deps, Out], makes="function"):
    """One worker: it answers by a model, or by a function (`Agent.from_callback`).

    An agent remembers its conversation, unless it is made with ``session=False``, and that of each session by itself.
    Only a successful run changes a memory. Runs that use the same one go on one after the other, others meanwhile.

    Example:
        >>> agent = Agent("greeter", model="offline", system_prompt="One sentence.")
        >>> agent.run_sync("Cats sleep for many hours of every single day. Good.").content
        'Cats sleep for many hours of every single day.'
    """

    _of_the_engine = "approvals execution from_definition of_function"
    definition: AgentDefinition  # pyright: ignore[reportIncompatibleVariableOverride] # replaced as a whole only

    @spelled_out(AgentKeywords, AgentSettings())
    def __init__(
        self,
        name: str | PurePath = "agent",
        *,
        model: Model | str | None = None,
        output_type: OutputSpec[Out] = str,  # type: ignore[assignment] # the default of Out
        deps_type: type[Deps] = object,  # type: ignore[assignment] # the default of Deps
        system_prompt: str | Sequence[str] = (),
        tools: Sequence[AnyTool] = (),
        **settings: Unpack[AgentKeywords[Deps]],
    ) -> None:
        """Make an agent with a model. Nothing is started or connected before the first run.

        Args:
            name: name of the agent. A path that ends in ``.yml`` or ``.yaml`` is the file of one agent.
            model: ``offline``, ``test``, ``provider:name``, or a model of pydantic_ai. None is the default of the
                environment (``UNDERSTAGE_MODEL``), else ``offline``.
            output_type: type of an answer: a type, several, or any output specification of pydantic_ai.
            deps_type: type of the dependencies that tools and instructions get.
            system_prompt: instructions that the model reads first.
            tools: functions that the model may call.
            **settings: see `AgentSettings`.

        Raises:
            NodeNameError: the name is empty.
            ConfigError: a setting cannot be used.
            TypeError: a setting is unknown.
        """
        if not is_a(name, str, PurePath):
            raise NodeNameError(f"an agent needs a name, got {name!r}")
        if str(name).endswith(_FILES):
            given = {"output_type": output_type, "system_prompt": system_prompt, "tools": tools}
            self._become(manifest.read_agent_file(name, model, given, settings))
            return
        definition = AgentDefinition.of_model(
            str(name),
            model=model,
            output_type=output_type,
            deps_type=deps_type,
            system_prompt=system_prompt,
            tools=tools,
            **settings,
        )
        self._become(definition)

    def _become(self, definition: AgentDefinition) -> None:
        super().__init__(definition.name)
        self.definition = definition
        self._numbers = count(2)

    @classmethod
    def from_definition(cls, definition: AgentDefinition) -> Self:
        """Make an agent of its definition."""
        agent = cls.__new__(cls)
        agent._become(definition)  # noqa: SLF001 - this very class
        return agent

    @overload
    @classmethod
    def from_callback(
        cls,
        function: Callable[..., Awaitable[Other]],
        *,
        name: str | None = None,
        blocking: bool = False,
        **settings: Unpack[AgentKeywords],
    ) -> "Agent[object, Other]": ...
    @overload
    @classmethod
    def from_callback(
        cls,
        function: Callable[..., Other],
        *,
        name: str | None = None,
        blocking: bool = False,
        **settings: Unpack[AgentKeywords],
    ) -> "Agent[object, Other]": ...
    @classmethod
    @spelled_out(AgentKeywords, AgentSettings())
    def from_callback(
        cls,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        blocking: bool = False,
        **settings: Unpack[AgentKeywords],
    ) -> "Agent[object, Any]":
        """Make an agent that answers with the result of a function; see `actors.agents.callback` for its argument.

        Any number of its runs may be open at the same time. A plain function runs on the event loop, which is fast, but
        must not block.

        Args:
            function: plain or async.
            name: by default that of the function, ``processor`` if it has none.
            blocking: True runs a plain function in a thread.
            **settings: see `AgentSettings`; those about models have no effect.

        Raises:
            ConfigError: `function` cannot be called, or a setting cannot be used.
        """
        definition = AgentDefinition.of_function(function, name=name, blocking=blocking, **settings)
        return cast("Agent[object, Any]", cls.from_definition(definition))

    @classmethod
    def of_function(cls, function: Callable[..., Any], taken: frozenset[str]) -> "Agent[object, Any]":
        """Return an agent for a function among the operands of ``&``, ``|`` and ``>>``, with a name that is free."""
        return cls.from_callback(function, name=free_name(callback_name(function), taken))

    @classmethod
    def from_config(cls, path: str | Path) -> Self:
        """Make the agent of a file with any name; see `actors.config.load.load_agent`.

        Raises:
            ManifestError: the file cannot be read or is wrong; lists every problem.
            ConfigError: a name in the file cannot be imported or used.
        """
        return cls.from_definition(manifest.read_agent(path))

    @property
    def settings(self) -> AgentSettings:
        """The settings that the agent was made with."""
        return self.definition.settings

    @property
    def execution(self) -> Execution:
        """How the agent answers: by a model, or by a function."""
        return self.definition.execution

    # -- model ----------------------------------------------------------------------------------------------------

    @property
    def model(self) -> Model | str | None:
        """The model, or its name; None for an agent that answers by a function."""
        execution = self.execution
        return default_model_name() if execution.has_model and execution.model is None else execution.model

    def set_model(self, model: Model | str | None) -> None:
        """Use another model from the next run on; None for the default.

        Raises:
            ConfigError: the agent answers by a function, or `model` is not a model.
        """
        check_settings(self.name, {"model": model})
        self._check_model("set_model")
        self.execution.model = model

    @overload
    def variant(
        self,
        *,
        name: str | None = None,
        output_type: type[Other],
        model: Model | str | None = None,
        deps: Deps | None = None,
        session: bool | None = None,
    ) -> "Agent[Deps, Other]": ...
    @overload
    def variant(
        self,
        *,
        name: str | None = None,
        output_type: None = None,
        model: Model | str | None = None,
        deps: Deps | None = None,
        session: bool | None = None,
    ) -> "Agent[Deps, Out]": ...
    def variant(
        self,
        *,
        name: str | None = None,
        output_type: Any = None,
        model: Model | str | None = None,
        deps: Deps | None = None,
        session: bool | None = None,
    ) -> "Agent[Any, Any]":
        """Return a copy of this agent that differs in the arguments.

        The copy has the same instructions and tools (later ones included), and its own memory and actor. It has
        no connections. This agent does not change.

        Args:
            name: by default that of this agent with a number, such as ``analyzer-2``.
            output_type: type of an answer.
            model: see `Agent`.
            deps: dependencies of tools and instructions.
            session: False for an agent without memory; None for the same as this agent.

        Raises:
            ConfigError: the agent answers by a function, which only takes other dependencies.
        """
        if (output_type, model, session) != (None, None, None):
            self._check_model("another model, type of output or memory")
        remembers = self.settings.query.is_enabled if session is None else session
        changed = {} if deps is None else {"deps": deps}
        settings = replace(self.settings, session=None if remembers else False, **changed)
        execution = self.execution.variant(settings, model, output_type)
        name = name or f"{self.name}-{next(self._numbers)}"
        return self.from_definition(AgentDefinition(name=name, settings=settings, execution=execution))

    @property
    def history(self) -> tuple[ModelMessage, ...]:
        """What the agent remembers of runs without a session, oldest first. Empty for an agent without memory."""
        sessions = self.execution.sessions
        return () if sessions is None else sessions.own.messages

    def reset(self) -> None:
        """Clear the memory of runs without a session. An open run adds its messages when it succeeds."""
        if (sessions := self.execution.sessions) is not None:
            sessions.own.clear()

    @property
    def sessions(self) -> Sessions:
        """What the agent remembers of each session. A ConfigError if it has no memory, as functions have none."""
        sessions = self.execution.sessions
        if sessions is None:
            raise ConfigError(f"agent {self.name!r} has no memory, so it has no sessions", node=self.name)
        return sessions

    # -- tools ----------------------------------------------------------------------------------------------------

    @property
    def tools(self) -> FunctionToolset[Any]:
        """The agent's own tools. Add one with ``agent.tools.add_function(fn)``.

        Raises:
            ConfigError: the agent answers by a function.
        """
        return self._tools("tools")

    def register_worker(
        self,
        worker: NodeHandle[Any, Any],
        *,
        name: str | None = None,
        description: str | None = None,
        reset_history: bool = True,
        pass_history: bool = False,
    ) -> None:
        """Let the model ask another node, as a tool; see `to_tool`.

        Args:
            worker: the node to ask.
            name: by default ``ask_<name of the node>``.
            description: by default names the node and its purpose.
            reset_history: True if each call begins without a memory; False for a worker that remembers.
            pass_history: True if the worker gets the conversation of this agent in place of a memory.

        Raises:
            ConfigError: the agent answers by a function, or the worker is not a node.
        """
        if not is_a(worker, NodeHandle):
            message = f"agent {self.name!r}: worker {worker!r} is no node; pass an Agent, a Team or a TeamRun"
            raise ConfigError(message, node=self.name)
        own = self._tools("register_worker").tools
        others = [tool.name for tool in own.values() if (tool.metadata or {}).get("node") != worker.name]
        tool = tool_of(
            worker, name=name, description=description, reset_history=reset_history, pass_history=pass_history
        )
        if name is None:
            tool.name = free_name(tool.name, others)
        self.take_tools([tool])

    def _tools(self, what: str) -> FunctionToolset[Any]:
        self._check_model(what)
        return cast("FunctionToolset[Any]", self.execution.tools)

    def take_tools(self, tools: Sequence[AnyTool]) -> None:
        """Give the model more tools. An agent that answers by a function ignores them."""
        own = self.execution.tools
        if own is not None:
            for tool in named_tools(self.name, tools, own.tools):
                own.add_tool(tool)

    def iter_agents(self) -> Iterator[Any]:
        """Yield this agent."""
        yield self

    # -- inside the actor -----------------------------------------------------------------------------------------

    @property
    def max_concurrency(self) -> int:
        """Number of runs that may be open at the same time."""
        limit = self.settings.max_concurrency
        if limit is not None:
            return limit
        return UNLIMITED if self.execution.sessions is None else DEFAULT_CONCURRENCY

    @property
    def is_serial(self) -> bool:
        """True if the agent has memories: the runs that use the same one go on one after the other."""
        return self.execution.sessions is not None

    def make_mailbox(self, who: str, config: MailboxConfig, key: Callable[[object], Hashable]) -> Mailbox[Envelope]:
        """Make a mailbox that keeps the messages of each memory in order."""
        return mailbox_of(who, config, key) if self.is_serial else config.build(who)

    def message_key(self, message: object) -> Hashable:
        """Return whose memory a message uses."""
        return self.execution.message_key(message)

    async def close(self) -> None:
        """Release what `open` or a run has opened; see `NodeHandle.close`."""
        await super().close()
        if self.is_closed:
            for tools in self._server_tools():
                await tools.let_go()

    def job_problem(self, job: Job[Any], *, deps: object = None, model: Any = None) -> str | None:
        """Return why the agent cannot do a job; see `MessageNode.job_problem`."""
        problem = super().job_problem(job, deps=deps, model=model)
        return self.execution.job_problem(job, self.name, model) if problem is None else problem

    def answer_problem(self, job: Job[Any]) -> str | None:
        """Return why the answers of the agent cannot be what a job requires."""
        return self.execution.answer_problem(job, self.name)

    def _default_prompts(self) -> Sequence[object]:
        """Return the prompts of a run that is given none."""
        return self.settings.user_prompts

    def resources(self) -> Sequence[AbstractAsyncContextManager[Any]]:
        """Return what the agent enters when it opens."""
        own = [one for one in self.execution.toolsets if not isinstance(one, McpTools)]
        ref = self.home.find()  # none for an unused agent, whose definition another one takes over
        servers = [held for one in self._server_tools() for held in one.held(None if ref is None else ref.system)]
        return (*own, *servers, *sources_in(self.settings.knowledge))

    def _server_tools(self) -> list[McpTools]:
        return [one for one in self.execution.toolsets if isinstance(one, McpTools)]

    @property
    def is_opened_in_parallel(self) -> bool:
        """True if the resources are entered at the same time (``parallel_init``)."""
        return self.settings.parallel_init

    def perform(self, request: RunRequest, asked: ChatMessage[Any]) -> Answer:
        """Answer one message."""
        return self.definition.execution.answer(request, asked)
