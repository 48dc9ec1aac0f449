"""Tool calls: timed, published as events, and stored for the message of the run."""

import asyncio
import json
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any, ParamSpec, TypeVar, cast

from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability, ValidatedToolArgs, WrapRunHandler, WrapToolExecuteHandler
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart, ToolReturnPart, tool_return_ta
from pydantic_ai.models import ModelRequestContext
from pydantic_ai.run import AgentRunResult
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets import AbstractToolset, ToolsetTool, WrapperToolset
from pydantic_ai.usage import RunUsage

from actors.runs.correlation import begin_step
from actors.runs.request import RunRequest
from actors.runtime.daemon_thread import CALLS
from actors.runtime.envelope import current
from actors.runtime.log import warn_once
from protocols.delivery import tool_call_id
from protocols.errors import add_note, error_text, say_where, type_name
from protocols.events import ToolCalled
from protocols.ids import new_id
from protocols.json_value import as_json
from protocols.model_events import ToolAbandoned, ToolStarted
from protocols.tool_call import ToolCallInfo

P = ParamSpec("P")
T = TypeVar("T")


class ToolCallLog:
    """The tool calls of one run, in the order of their ends. Made inside the actor, whose system publishes them."""

    __slots__ = ("_system", "attempts", "calls", "done", "hooks", "lost", "message_id", "request")

    def __init__(self, request: RunRequest) -> None:
        scope = current.get()
        self.request = request
        self._system = None if scope is None else scope.cell.system
        self.message_id = request.options.message_id or new_id()
        """Id of the answer that the calls belong to."""
        self.attempts: set[str | None] = set()
        """Ids, as pydantic-ai gives them, of the attempts that have failed."""
        self.done: list[ModelMessage] = []
        """What the next attempt continues, the messages before included; empty if it begins anew."""
        self.lost = RunUsage()
        """Counts the requests of this attempt whose usage is not known."""
        self.calls: list[ToolCallInfo] = []
        self.hooks: asyncio.Task[Any] | None = None
        """The task of the hooks of this attempt; None for one without tools."""

    @contextmanager
    def ending_hooks(self) -> Generator[None]:
        """Leave no task of hooks behind."""
        try:
            yield
        finally:
            if self.hooks is not None:
                self.hooks.cancel()

    def begin(self, call: ToolCallPart) -> None:
        """Publish the start of a call."""
        if self._system is not None and (events := self._system.events).wants(ToolStarted):
            name, run = self.agent_name, self.request.run_id
            events.publish(
                ToolStarted, actor=name, run_id=run, tool_name=call.tool_name, tool_call_id=call.tool_call_id
            )

    def add(self, call: ToolCallInfo) -> None:
        """Store and publish one finished call."""
        self.calls.append(call)
        if self._system is not None and self._system.events.wants(ToolCalled):
            self._system.events.publish(
                ToolCalled,
                actor=call.agent_name,
                run_id=self.request.run_id,
                tool_name=call.tool_name,
                tool_call_id=call.tool_call_id,
                duration=call.timing or 0.0,
                error=call.error,
            )

    def abandon(self, tool: str, seconds: float) -> None:
        """Report a call whose thread still works, though its run waits no more: Python cannot end it."""
        system, agent, run = self._system, self.agent_name, self.request.run_id
        if system is not None:
            text = "a tool does not stop; its thread is left behind"
            system.log_limited(text, actor=agent, tool=tool, run_id=run, seconds=round(seconds, 3))
            if system.events.wants(ToolAbandoned):
                system.events.publish(ToolAbandoned, actor=agent, run_id=run, tool=tool, seconds=seconds)

    def refuse(self, call: ToolCallPart, why: str) -> None:
        """Store a call that was not made."""
        args = call.args if isinstance(call.args, Mapping) else {}
        self.add(
            ToolCallInfo(
                call.tool_name, args, None, self.agent_name, call.tool_call_id, message_id=self.message_id, error=why
            )
        )

    @property
    def agent_name(self) -> str:
        """Name of the agent."""
        return self.request.node.name


call_log: ContextVar[ToolCallLog | None] = ContextVar("understage_tools", default=None)
"""The log of the current run. Every handler has its own context, so runs never mix."""


def log_of(request: RunRequest) -> ToolCallLog:
    """Return a log for a run: that of the attempt before if this one continues it, else a new one."""
    log = call_log.get()
    if log is None or log.request is not request or not log.done:
        log = ToolCallLog(request)
        call_log.set(log)
    return log


class ToolCallRecorder(AbstractCapability[Any]):
    """Writes every tool call into the log of its run, refused calls included. It holds nothing of any run."""

    def get_wrapper_toolset(self, toolset: AbstractToolset[Any]) -> AbstractToolset[Any]:
        """Let the tools know when the run must be over."""
        return _DeadlineToolset(toolset)

    async def wrap_run(self, ctx: RunContext[Any], *, handler: WrapRunHandler) -> AgentRunResult[Any]:
        """Note the task that pydantic_ai makes for this: it waits forever if the run is cancelled as it begins."""
        if (log := call_log.get()) is not None:
            log.hooks = asyncio.current_task()
        return await handler()

    async def after_model_request(
        self, ctx: RunContext[Any], *, request_context: ModelRequestContext, response: ModelResponse
    ) -> ModelResponse:
        """Log calls of tools that the agent does not have. pydantic_ai refuses them."""
        log = call_log.get()
        calls = response.tool_calls
        if log is not None and calls:
            parameters = request_context.model_request_parameters
            names = {tool.name for tool in (*parameters.function_tools, *parameters.output_tools)}
            for call in calls:
                if call.tool_name not in names:
                    log.refuse(call, f"the agent has no tool {call.tool_name!r}")
        return response

    async def before_model_request(
        self, ctx: RunContext[Any], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """Log calls without approval. This request tells the model about them."""
        begin_step()
        log, messages = call_log.get(), request_context.messages
        parts = messages[-1].parts if log is not None and messages else ()
        denied = [part for part in parts if isinstance(part, ToolReturnPart) and part.outcome == "denied"]
        if log is not None and denied:
            answered = (message for message in reversed(messages) if isinstance(message, ModelResponse))
            calls = {call.tool_call_id: call for response in answered for call in response.tool_calls}
            for part in denied:
                call = calls.get(part.tool_call_id) or ToolCallPart(part.tool_name, tool_call_id=part.tool_call_id)
                log.refuse(call, part.model_response_str())
        return request_context

    async def wrap_tool_execute(
        self,
        ctx: RunContext[Any],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: ValidatedToolArgs,
        handler: WrapToolExecuteHandler,
    ) -> Any:
        """Time and log one call."""
        begin_step()
        tool_call_id.set(call.tool_call_id)
        log = call_log.get()
        if log is None:
            return await _without_exit(handler, args)
        began, started, earlier = datetime.now(UTC), perf_counter(), _thread.get()
        result, failure = None, None
        log.begin(call)
        try:
            result = _writable(await _without_exit(handler, args), log.agent_name, call.tool_name)
        except Exception as error:
            failure = error_text(error)
            where = f"tool {call.tool_name!r} of agent {log.agent_name!r}"
            add_note(error, f"raised in {where}")
            say_where(error, where, log.agent_name)
            raise
        finally:
            tool_call_id.set("")
            seconds, thread = perf_counter() - started, _thread.get()
            if thread is not None and thread is not earlier and thread.running():
                log.abandon(call.tool_name, seconds)
            log.add(
                ToolCallInfo(
                    call.tool_name, args, result, log.agent_name, call.tool_call_id, began, seconds, log.message_id,
                    failure,
                )
            )  # fmt: skip
        return result


class _DeadlineToolset(WrapperToolset[Any]):
    """Tells each tool when its run must be over, by the wall clock."""

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> Any:
        scope = current.get()
        if scope is not None and scope.deadline is not None:
            ctx.deadline = datetime.now(UTC) + timedelta(seconds=scope.deadline - scope.cell.now())
        return await self.wrapped.call_tool(name, tool_args, ctx, tool)


_thread: ContextVar[Future[Any] | None] = ContextVar("understage_tool_thread", default=None)
"""What the thread of the current call, or of one before it, gives."""


class ToolThreads(Executor):
    """Calls plain tools in threads, and notes the thread of each call."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call a function in a thread."""
        future = CALLS.submit(fn, *args, **kwargs)
        _thread.set(future)
        return future


TOOL_THREADS = ToolThreads()


class ToolExit(Exception):  # noqa: N818 - it carries a SystemExit or KeyboardInterrupt out of a task
    """A tool ended with an exit. The run raises that exit, so the system ends in order."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(f"the tool ended with {type(error).__name__}")
        self.exit = error


async def _without_exit(handler: WrapToolExecuteHandler, args: ValidatedToolArgs) -> Any:
    """Call a tool in its task, in which an exit would end the event loop."""
    try:
        return await handler(args)
    except (SystemExit, KeyboardInterrupt) as error:
        raise ToolExit(error) from error


def _writable(result: object, agent: str, tool: str) -> object:
    """Return a result that JSON can hold, for the model and the history: if need be, the text of it."""
    if isinstance(result, Iterator):
        result = list(cast("Iterator[object]", result))  # it can be read only once
    try:
        tool_return_ta.dump_json(result)
    except Exception as error:  # of pydantic, or of the user's type
        kind = type_name(result)
        warn_once(f"agent {agent!r}: tool {tool!r} returned what JSON cannot hold ({kind}: {error}); it becomes text")
        plain = as_json(result)
        text = plain if isinstance(plain, str) else json.dumps(plain)
        return text.encode("utf-8", "backslashreplace").decode()  # a lone surrogate has no bytes
    return result
