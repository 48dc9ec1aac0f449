"""`ModelRun`: an agent that answers by a model."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterable, Awaitable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from time import perf_counter
from typing import Any, cast
from weakref import WeakKeyDictionary

import pydantic_ai
from msgspec import UNSET
from pydantic_ai.messages import ModelMessage, UserContent
from pydantic_ai.models import Model
from pydantic_ai.run import AgentRunResult
from pydantic_ai.toolsets import AbstractToolset, FunctionToolset
from pydantic_ai.usage import RunUsage, UsageLimits

from actors.agents.approvals import RECORDER
from actors.agents.execution import Execution
from actors.agents.memory import Memory
from actors.agents.model_answer import cost_up_to_now, message_of, responses_of_run
from actors.agents.named_tools import named_tools
from actors.agents.run_messages import (
    cancelled_inside,
    captured_messages,
    finished,
    messages_of_run,
    note_messages,
)
from actors.agents.sessions import Sessions
from actors.agents.settings import AgentSettings
from actors.agents.tool_calls import TOOL_THREADS, ToolCallLog, ToolExit, log_of
from actors.models.budget import draw, lost
from actors.models.policy import DEFAULT_POLICY
from actors.models.resolve import advise, default_model_name, guarded, resolve_model
from actors.prompts.content import load_user_content
from actors.runs.job import Job
from actors.runs.request import RunOptions, RunRequest
from actors.runs.stream import text_of
from protocols.errors import ConfigError, ModelError, RunCancelledError
from protocols.messages import ChatMessage
from protocols.model_errors import BudgetExceededError
from protocols.session import OWN

Prompt = str | Sequence[UserContent]

_Resolved = OrderedDict[str | int, tuple[Model | str, Model]]
"""Models by name or identity: what was given, and what came of it."""
_MOST_MODELS = 32

_NO_LIMITS = UsageLimits(request_limit=None)  # pydantic_ai's own 50 would end long conversations


class ModelRun(Execution):
    """Answers by a model of pydantic_ai, and remembers the conversation."""

    has_model = True

    def __init__(
        self,
        agent: pydantic_ai.Agent[Any, Any],
        settings: AgentSettings,
        *,
        model: Model | str | None = None,
        output_type: Any = None,
        toolsets: Sequence[AbstractToolset[Any]] = (),
    ) -> None:
        self.agent = agent
        self.settings = settings
        self.model = model
        self.output_type = output_type
        self.deps_type = agent.deps_type
        self.tools = self._own = next(one for one in agent.toolsets if isinstance(one, FunctionToolset))
        """The agent's own tools, which pydantic_ai puts first. More may be added at any time."""
        self.toolsets = tuple(toolsets)
        if settings.query.is_enabled:
            self.sessions = Sessions(settings.memory, settings.max_sessions, settings.session_ttl)
        self._resolved: WeakKeyDictionary[asyncio.AbstractEventLoop, _Resolved] = WeakKeyDictionary()

    async def answer(self, request: RunRequest, asked: ChatMessage[Any]) -> ChatMessage[Any]:
        """Run the model once. A successful exchange joins the memory, unless the run says otherwise."""
        started = perf_counter()
        tools = log_of(request)
        settings, node = self.settings, cast("Any", request.node)
        pool = getattr(node.directory, "ledger", None)
        if pool or request.options.budget or settings.budget or settings.session_budget:
            self._draw(request)
        session = None if self.sessions is None else request.options.memory
        memory = None if self.sessions is None or session is None else await self.sessions.open(session)
        prompt: Prompt | None = await self._prompt(request, asked, memory)
        keywords = self._keywords(request, memory)
        if tools.done:
            prompt, keywords["message_history"] = None, tools.done
        result = await self._result(request, prompt, keywords, tools)
        made = messages_of_run(result, tools.attempts)
        if memory is not None and self.sessions is not None:
            if request.options.store_history is not False:
                memory.add(made, is_primed=bool(self.settings.knowledge))
            self.sessions.keep(session or OWN, memory)
        return message_of(result, made, request, asked, tools, perf_counter() - started)

    async def _result(
        self, request: RunRequest, prompt: Prompt | None, keywords: dict[str, Any], tools: ToolCallLog
    ) -> AgentRunResult[Any]:
        """Run the model. A failure notes what there is."""
        tools.lost = usage = RunUsage()
        lost.set(usage)
        with self.agent.using_thread_executor(TOOL_THREADS), tools.ending_hooks(), captured_messages() as messages:
            request.node.follow_cost(request, partial(cost_up_to_now, messages, tools.attempts.copy(), usage))
            try:
                if request.sink is None and request.options.include_agent_tools:
                    return await self._run(request, prompt, keywords)
                run = self._run if request.sink is None else self._streamed
                with self._tools_of(request.options, keywords):
                    return await run(request, prompt, keywords)
            except ToolExit as error:
                raise error.exit from None
            except Exception as raised:
                failure = cancelled_inside(raised, messages, request.node.name)
                advise(failure, keywords["model"])
                if isinstance(failure, BudgetExceededError | RunCancelledError):
                    failure.partial = "\n\n".join(one.text for one in responses_of_run(messages) if one.text)
                note_messages(failure, messages)
                if self.settings.retry is not None:
                    tools.attempts.update(one.run_id for one in messages[-1:])
                    tools.done = finished(messages, tools.attempts)
                if failure is raised:
                    raise
                raise failure from raised

    def _draw(self, request: RunRequest) -> None:
        """Let the requests of this run draw from its budget, that of the agent, and those around it."""
        if self.settings.policy is False:
            name = request.node.name
            raise ConfigError(f"agent {name!r} has policy=False, so nothing would count its budget", node=name)
        draw(request)

    async def _prompt(self, request: RunRequest, asked: ChatMessage[Any], memory: Memory | None) -> Prompt:
        is_known = memory is not None and memory.is_primed
        notes = request.node.take_context(request)
        before = [*(() if is_known else self.settings.knowledge), *notes]
        content: object = asked.content
        if isinstance(content, str) and not before and content.strip():
            return content
        return await load_user_content([*before, asked])

    def _run(
        self, request: RunRequest, prompt: Prompt | None, keywords: dict[str, Any], **more: Any
    ) -> Awaitable[AgentRunResult[Any]]:
        if (tracing := request.node.tracing) is not None:
            keywords["capabilities"] = (*(keywords["capabilities"] or ()), *tracing.capabilities)
        return self.agent.run(prompt, **keywords, **more)

    async def _streamed(
        self, request: RunRequest, prompt: Prompt | None, keywords: dict[str, Any]
    ) -> AgentRunResult[Any]:
        sink = request.sink
        assert sink is not None
        is_voice = sink.is_voice(request.node)
        # Text before the call of a tool is no answer; neither need be that of a structured output, or of an attempt.
        is_text = (keywords["output_type"] or self.agent.output_type) is str
        is_sure = keywords["capabilities"] is None and is_text and self.settings.retry is None

        # A handler, because `run_stream_events` has a task and a channel of its own: 50 us for every event.
        async def follow(_: object, events: AsyncIterable[object]) -> None:
            async for event in events:
                await sink.put(event, text_of(event) if is_voice else "", is_sure=is_sure)

        return await self._run(request, prompt, keywords, event_stream_handler=follow)

    def _tools_of(self, options: RunOptions, keywords: dict[str, Any]) -> AbstractContextManager[None]:
        """Hide the agent's own tools from a run that does not want them. The override ends with the run."""
        if options.include_agent_tools:
            return nullcontext()
        return self.agent.override(tools=(), toolsets=keywords.pop("toolsets") or ())

    def _keywords(self, request: RunRequest, memory: Memory | None) -> dict[str, Any]:
        options, settings = request.options, self.settings
        toolsets = list(options.toolsets or ())
        history: Sequence[ModelMessage] | None = None if memory is None else memory.messages
        if options.message_history is not UNSET:
            history = options.message_history or ()
        if options.tools:
            taken = self._own.tools if options.include_agent_tools else ()
            toolsets.append(FunctionToolset(named_tools(request.node.name, options.tools, taken)))
        has_tools = bool(toolsets or self.toolsets or self._own.tools or settings.capabilities)
        return {
            "model": self.resolve(self.model if options.model is None else options.model, request.node.name),
            "message_history": history,
            "output_type": self.output_type if options.output_type is None else options.output_type,
            "deps": settings.deps if options.deps is None else options.deps,
            "usage_limits": options.usage_limits or settings.usage_limits or _NO_LIMITS,
            "usage": options.usage,
            "instructions": options.instructions,
            "toolsets": toolsets or None,
            "capabilities": _capabilities(request, has_tools=has_tools),
            "model_settings": options.model_settings,
            "conversation_id": request.conversation_id,
            "metadata": None if options.metadata is None else dict(options.metadata),
            "infer_name": False,
        }

    @property
    def answer_type(self) -> Any:
        """The type of the output, or its specification."""
        return self.agent.output_type if self.output_type is None else self.output_type

    def variant(self, settings: AgentSettings, model: Model | str | None, output_type: Any) -> "ModelRun":
        """Return an execution with the same instructions and tools, and with a memory of its own."""
        return ModelRun(
            self.agent,
            settings,
            model=self.model if model is None else model,
            output_type=self.output_type if output_type is None else output_type,
            toolsets=self.toolsets,
        )

    def job_problem(self, job: Job[Any], agent: str, model: Model | str | None) -> str | None:
        """Return why the model cannot do a job. A model that cannot be made is left to the run, which says why."""
        if not job.requires_vision and job.min_context_tokens is None:
            return None
        try:
            found = self.resolve(self.model if model is None else model, agent)
        except ModelError:
            return None
        if job.requires_vision and found.profile.get("supports_image_input") is False:
            return f"it needs a model that sees images, but {found.model_name!r} of agent {agent!r} does not"
        needed, window = job.min_context_tokens, found.context_window
        if needed is not None and window is not None and window < needed:
            return (
                f"it needs {needed} tokens of context, but model {found.model_name!r} of agent {agent!r} reads {window}"
            )
        return None

    def models(self) -> Sequence[Model]:
        """Return the models that runs on the running event loop have used."""
        known = self._resolved.get(asyncio.get_running_loop()) or OrderedDict()
        return [made for _, made in known.values()]

    def resolve(self, model: Model | str | None, node: str) -> Model:
        """Return the model for a name on the running loop, under the policy of the agent.

        All runs on that loop share its client. Of the models that runs bring along, the latest are kept.
        """
        given = default_model_name() if model is None else model
        known = self._resolved.setdefault(asyncio.get_running_loop(), OrderedDict())
        key = given if isinstance(given, str) else id(given)
        if key not in known:
            policy, found = self.settings.policy, resolve_model(given, node=node)
            known[key] = (given, found if policy is False else guarded(found, policy or DEFAULT_POLICY))
            if len(known) > _MOST_MODELS:
                known.popitem(last=False)
        return known[key][1]


def _capabilities(request: RunRequest, *, has_tools: bool) -> Sequence[Any] | None:
    recorder = RECORDER if has_tools else None
    return recorder if request.kept is None else (*(recorder or ()), *request.kept.capabilities()) or None
