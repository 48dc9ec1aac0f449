"""`Agent`: one node that answers by a model, or by a function."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from pathlib import Path, PurePath
from typing import Any, Self, Unpack, cast, overload

import msgspec
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import Model
from pydantic_ai.output import OutputSpec
from pydantic_ai.tools import Tool
from pydantic_ai.toolsets import FunctionToolset

from actors.agents.callback import Callback, callback_name
from actors.agents.execution import Execution
from actors.agents.job_fit import answer_problem, model_problem
from actors.agents.model_agent import model_agent
from actors.agents.model_run import ModelRun
from actors.agents.settings import AgentKeywords, AgentSettings, check_settings
from actors.mcp.server import mcp_servers
from actors.mcp.toolset import McpTools
from actors.models.resolve import default_model_name
from actors.nodes.node import MessageNode
from actors.prompts.knowledge import sources_in
from actors.runs.as_tool import tool_of
from actors.runs.handle import Deps, NodeHandle, Other, Out
from actors.runs.job import Job
from actors.runs.node_actor import UNLIMITED
from actors.runs.request import AnyTool, RunRequest
from protocols.checks import is_a
from protocols.errors import ConfigError, NodeNameError
from protocols.messages import ChatMessage

_FILES = (".yml", ".yaml")


class Agent(MessageNode[Deps, Out], makes="function"):
    """One worker: it answers by a model, or by a function (`Agent.from_callback`).

    An agent remembers what was said, unless it is made with ``session=False``; its memory changes only when a run has
    succeeded. Runs of an agent that remembers go on one after the other.

    Example:
        >>> agent = Agent("greeter", model="offline", system_prompt="One sentence.")
        >>> agent.run_sync("Cats sleep for many hours of every single day. Good.").content
        'Cats sleep for many hours of every single day.'
    """

    made_of = (*MessageNode.made_of, "settings", "execution")

    def __init__(
        self,
        name: str | PurePath = "agent",
        *,
        model: Model | str | None = None,
        output_type: OutputSpec[Out] = str,  # type: ignore[assignment] # the default of Out
        deps_type: type[Deps] = object,  # type: ignore[assignment] # the default of Deps
        system_prompt: str | Sequence[str] = (),
        tools: Sequence[AnyTool] = (),
        **settings: Unpack[AgentKeywords],
    ) -> None:
        """Make an agent with a model. Nothing is started and nothing is connected before the first run.

        Args:
            name: what others call it; a path that ends in ``.yml`` or ``.yaml`` is the file of one agent.
            model: ``offline``, ``test``, ``provider:name``, or a model of pydantic_ai. None is the default of the
                environment (``UNDERSTUDY_MODEL``), else ``offline``.
            output_type: what an answer is: a type, several, or any output specification of pydantic_ai.
            deps_type: type of the dependencies that tools and instructions get.
            system_prompt: what the model is told before anything else.
            tools: functions that the model may call.
            **settings: see `AgentSettings`.

        Raises:
            NodeNameError: the name is empty.
            ConfigError: a setting cannot be used.
            TypeError: there is no such setting.
        """
        if not is_a(name, str, PurePath):
            msg = f"an agent needs a name, got {name!r}"
            raise NodeNameError(msg)
        if str(name).endswith(_FILES):
            self._take(name, model, _named(output_type=output_type, system_prompt=system_prompt, tools=tools), settings)
            return
        name = str(name)
        made = AgentSettings.of(name, settings)
        toolsets = [*made.toolsets, *_server_tools(name, made)]
        given = {"output_type": output_type, "system_prompt": system_prompt, "tools": tools}
        check_settings(name, {"model": model, "deps_type": deps_type, **given})
        inner = model_agent(
            name, made, output_type=output_type, system_prompt=system_prompt, tools=tools, toolsets=toolsets
        )
        self._make(name, ModelRun(inner, made, model=model, toolsets=toolsets), made)

    def _take(
        self, path: str | PurePath, model: Model | str | None, given: Mapping[str, object], settings: AgentKeywords
    ) -> None:
        """Become the agent of a file."""
        refused = [*given, *(key for key in settings if key != "parallel_init")]
        if refused:
            text = f"agent: {str(path)!r} is the file of an agent, so {refused[0]!r} belongs into the file"
            raise ConfigError(text)
        build: Any = import_module("actors.agents.manifest.agent")  # reads YAML, which few agents need
        made: Agent[Any, Any] = build.agent_from_file(path)
        changed = {} if "parallel_init" not in settings else {"parallel_init": settings["parallel_init"]}
        self._make(made.name, made.execution, msgspec.structs.replace(made.settings, **changed))
        if model is not None:
            self.set_model(model)

    def _make(self, name: str, execution: Execution, settings: AgentSettings) -> None:
        super().__init__(
            name,
            description=settings.description,
            display_name=settings.display_name,
            timeout=settings.timeout,
            crash_on=settings.crash_on,
        )
        self.settings = settings
        """What it was made with."""
        self.execution = execution
        """How it answers."""

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
    def from_callback(
        cls,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        blocking: bool = False,
        **settings: Unpack[AgentKeywords],
    ) -> "Agent[object, Any]":
        """Make an agent that answers with what a function returns; see `actors.agents.callback` for what it is given.

        Any number of its runs go on at the same time. A plain function runs on the event loop, which is quick, but it
        must not block; with `blocking` it runs in a thread.

        Args:
            function: plain or async.
            name: by default that of the function, ``processor`` if it has none.
            blocking: whether the function blocks.
            **settings: see `AgentSettings`; those about models have no meaning here.

        Raises:
            ConfigError: it is no function, or a setting cannot be used.
        """
        if not callable(function):
            msg = f"agent {name or 'processor'!r}: {function!r} is no function"
            raise ConfigError(msg, node=name)
        agent = cls.__new__(cls)
        name = name or callback_name(function)
        agent._make(name, Callback(function, blocking=blocking), AgentSettings.of(name, settings))
        return cast("Agent[object, Any]", agent)

    @classmethod
    def of_function(cls, function: Callable[..., Any], taken: frozenset[str]) -> "Agent[object, Any]":
        """Return an agent for a function among the operands of ``&``, ``|`` and ``>>``, with a name that is free."""
        return cls.from_callback(function, name=_unique(callback_name(function), taken))

    @classmethod
    def from_config(cls, path: str | Path) -> Self:
        """Make the agent that a file describes, whatever the file is called; see `actors.config.load.load_agent`.

        Raises:
            ManifestError: the file cannot be read or is wrong; lists every problem.
            ConfigError: something that it names cannot be imported or used.
        """
        agent = cls.__new__(cls)
        agent._take(path, None, {}, {})  # noqa: SLF001 - this very class
        return agent

    # -- model ----------------------------------------------------------------------------------------------------

    @property
    def model(self) -> Model | str | None:
        """The model, or its name; None for an agent that answers by a function."""
        if not isinstance(self.execution, ModelRun):
            return None
        return default_model_name() if self.execution.model is None else self.execution.model

    def set_model(self, model: Model | str | None) -> None:
        """Use another model from the next run on; None for the default.

        Raises:
            ConfigError: the agent answers by a function, or it is no model.
        """
        check_settings(self.name, {"model": model})
        self._model_run("set_model").model = model

    @overload
    def variant(
        self,
        *,
        output_type: type[Other],
        model: Model | str | None = None,
        deps: Any = None,
        session: bool | None = None,
    ) -> "Agent[Deps, Other]": ...
    @overload
    def variant(
        self,
        *,
        output_type: None = None,
        model: Model | str | None = None,
        deps: Any = None,
        session: bool | None = None,
    ) -> "Agent[Deps, Out]": ...
    def variant(
        self,
        *,
        output_type: Any = None,
        model: Model | str | None = None,
        deps: Any = None,
        session: bool | None = None,
    ) -> "Agent[Any, Any]":
        """Return another agent of the same name that works as this one does, but for what is given here.

        It has the same instructions and tools (also those that are added later), and a memory and an actor of its own;
        it has none of the connections. This agent stays as it is.

        Args:
            output_type: what an answer is.
            model: see `Agent`.
            deps: dependencies of tools and instructions.
            session: False for one that does not remember; None for the same as this agent.

        Raises:
            ConfigError: the agent answers by a function, which only takes other dependencies.
        """
        execution = self.execution
        remembers = self.settings.query.is_enabled if session is None else session
        changed = {} if deps is None else {"deps": deps}
        settings = msgspec.structs.replace(self.settings, session=None if remembers else False, **changed)
        if isinstance(execution, ModelRun):
            execution = execution.variant(settings, model, output_type)
        elif (output_type, model, session) != (None, None, None):
            self._model_run("another model, type of output or memory")
        made: Agent[Any, Any] = Agent.__new__(type(self))
        made._make(self.name, execution, settings)
        return made

    @property
    def history(self) -> tuple[ModelMessage, ...]:
        """What it remembers: messages of the model, oldest first. Empty for an agent that does not remember."""
        history = self.execution.history if isinstance(self.execution, ModelRun) else None
        return () if history is None else history.messages

    def reset(self) -> None:
        """Forget everything that was said; a run in progress adds what it says when it has succeeded."""
        if isinstance(self.execution, ModelRun) and self.execution.history is not None:
            self.execution.history.clear()

    def _model_run(self, what: str) -> ModelRun:
        if not isinstance(self.execution, ModelRun):
            msg = f"agent {self.name!r}: {what} needs a model, but it answers by a function"
            raise ConfigError(msg)
        return self.execution

    # -- tools ----------------------------------------------------------------------------------------------------

    @property
    def tools(self) -> FunctionToolset[Any]:
        """The agent's own tools; add to them with ``agent.tools.add_function(fn)``.

        Raises:
            ConfigError: the agent answers by a function.
        """
        return self._model_run("tools").tools

    def register_worker(
        self,
        worker: NodeHandle[Any, Any],
        *,
        name: str | None = None,
        description: str | None = None,
        reset_history: bool = False,
        pass_history: bool = False,
    ) -> None:
        """Let the model ask another node, as a tool; see `to_tool`.

        Args:
            worker: whom to ask.
            name: by default ``ask_<name of the node>``.
            description: by default says whom it asks and what for.
            reset_history: whether each call begins without the node's own history, and leaves none.
            pass_history: whether the node is given the conversation of this agent, in place of its own.

        Raises:
            ConfigError: the agent answers by a function, or the worker is no node.
        """
        if not is_a(worker, NodeHandle):
            msg = f"agent {self.name!r}: worker {worker!r} is no node; pass an Agent, a Team or a TeamRun"
            raise ConfigError(msg, node=self.name)
        tool = tool_of(
            worker, name=name, description=description, reset_history=reset_history, pass_history=pass_history
        )
        self._model_run("register_worker").tools.add_tool(tool)

    def take_tools(self, tools: Sequence[AnyTool]) -> None:
        """Give the model more tools. An agent that answers by a function ignores them."""
        if isinstance(self.execution, ModelRun):
            for tool in tools:
                if isinstance(tool, Tool):
                    self.execution.tools.add_tool(tool)  # pyright: ignore[reportUnknownArgumentType]
                else:
                    self.execution.tools.add_function(tool)

    def iter_agents(self) -> Iterator[Any]:
        """Yield this agent."""
        yield self

    # -- inside the actor -----------------------------------------------------------------------------------------

    @property
    def max_concurrency(self) -> int:
        """How many runs go on at the same time."""
        if self.settings.max_concurrency is not None:
            return self.settings.max_concurrency
        return 1 if isinstance(self.execution, ModelRun) and self.execution.history is not None else UNLIMITED

    async def close(self) -> None:
        """Give back what `open` took, or what runs have started; see `NodeHandle.close`."""
        await super().close()
        if self.is_closed and isinstance(self.execution, ModelRun):
            for tools in self.execution.toolsets:
                if isinstance(tools, McpTools):
                    await tools.let_go()

    def job_problem(self, job: Job[Any], *, deps: object = None, model: Any = None) -> str | None:
        """Return why the agent cannot do a job; see `MessageNode.job_problem`."""
        problem = super().job_problem(job, deps=deps, model=model)
        return model_problem(job, self.name, self.execution, model) if problem is None else problem

    def answer_problem(self, job: Job[Any]) -> str | None:
        """Return why the answers of the agent cannot be what a job requires."""
        return answer_problem(job, self.name, self.execution)

    def default_prompts(self) -> Sequence[object]:
        """Return what a run is asked that is given no prompt."""
        return self.settings.user_prompts

    def resources(self) -> Sequence[AbstractAsyncContextManager[Any]]:
        """What is entered when the agent is opened."""
        toolsets = self.execution.toolsets if isinstance(self.execution, ModelRun) else ()
        own = [one for one in toolsets if not isinstance(one, McpTools)]
        servers = [held for one in toolsets if isinstance(one, McpTools) for held in one.held(self)]
        return (*own, *servers, *sources_in(self.settings.knowledge))

    @property
    def is_opened_in_parallel(self) -> bool:
        """Whether the resources are entered all at once (``parallel_init``)."""
        return self.settings.parallel_init

    def perform(self, request: RunRequest, asked: ChatMessage[Any]) -> Awaitable[ChatMessage[Any]]:
        """Answer one message."""
        return self.execution.answer(request, asked)


def _unique(name: str, taken: frozenset[str]) -> str:
    if name not in taken:
        return name
    return next(f"{name}_{number}" for number in range(2, len(taken) + 3) if f"{name}_{number}" not in taken)


def _server_tools(name: str, settings: AgentSettings) -> list[McpTools]:
    """Return the tools of the agent's servers as one collection; none if it has no servers."""
    servers = mcp_servers(settings.mcp_servers, name)
    return [McpTools(servers, timeout=settings.tool_timeout)] if servers else []


def _named(*, output_type: object, system_prompt: object, tools: object) -> dict[str, object]:
    """Return what was given that is not the default."""
    given = {"output_type": None if output_type is str else output_type, "system_prompt": system_prompt, "tools": tools}
    return {name: value for name, value in given.items() if value}
