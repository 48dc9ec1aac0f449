"""Ask a person for approval before a model's tool is called."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal

from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability, HandleDeferredToolCalls, PrepareTools
from pydantic_ai.tools import DeferredToolRequests, DeferredToolResults, ToolDefinition, ToolDenied

from actors.runtime.daemon_thread import in_daemon_thread
from protocols.plain_text import printable

ApprovalMode = Literal["per_tool", "always", "never"]
"""Which calls need approval: those of tools that demand it, all, or none."""
InputProvider = Callable[[str, Mapping[str, Any]], bool | Awaitable[bool]] | Literal["console"]
"""What approves a call: a function of the tool's name and arguments, or the person at the console."""

_LONGEST: Final = 200
_console = asyncio.Lock()


def approval(agent: str, ask: Callable[[str, Mapping[str, Any]], object] | None, mode: ApprovalMode) -> Sequence[Any]:
    """Return the capabilities that ask for approval before a tool call; see `Agent(capabilities=)`.

    A call without approval is not made, and the model is told so. What `ask` raises fails the run.

    Args:
        agent: name of the agent, for the question.
        ask: gets the name of a tool and its arguments, and returns, or awaits, True if the tool may be called. None
            asks on the console.
        mode: ``per_tool`` for the tools that demand it, ``always`` for all tools, ``never`` for none.
    """
    decide = ask or ConsoleQuestion(agent)

    async def approve(_ctx: RunContext[Any], requests: DeferredToolRequests) -> DeferredToolResults:
        answers: dict[str, Any] = {}
        for call in requests.approvals:
            allowed = decide(call.tool_name, call.args_as_dict())
            is_allowed = bool(await allowed if inspect.isawaitable(allowed) else allowed)
            answers[call.tool_call_id] = is_allowed or denied(call.tool_name)
        return requests.build_results(approvals=answers)

    handling: list[AbstractCapability[Any]] = [HandleDeferredToolCalls(approve)]
    if mode != "per_tool":
        handling.insert(0, PrepareTools(marked if mode == "always" else _unmarked))
    return handling


def denied(tool: str, reason: str = "") -> ToolDenied:
    """Return what the model is told of a call without approval."""
    return ToolDenied(f"The call of {tool} was not allowed{f': {reason}' if reason else '.'}")


async def marked(_ctx: RunContext[Any], tools: list[ToolDefinition]) -> list[ToolDefinition]:
    """Return the tools, so that every call needs approval."""
    return [replace(tool, kind="unapproved") if tool.kind == "function" else tool for tool in tools]


async def _unmarked(_ctx: RunContext[Any], tools: list[ToolDefinition]) -> list[ToolDefinition]:
    return [replace(tool, kind="function") if tool.kind == "unapproved" else tool for tool in tools]


class ConsoleQuestion:
    """Asks on the terminal, one question at a time. Only a yes approves. `read` returns the line that is typed."""

    def __init__(self, agent: str, read: Callable[[str], str] = input) -> None:
        self._agent = agent
        self._read = read

    async def __call__(self, tool: str, arguments: Mapping[str, Any]) -> bool:
        """Return True if the person approves the call."""
        given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        shown = printable(given)[:_LONGEST]
        async with _console:
            try:
                line = await in_daemon_thread(self._read, f"{self._agent} wants to call {tool}({shown}). Allow? [y/N] ")
            except EOFError:
                return False
        return str(line).strip().lower() in ("y", "yes")
