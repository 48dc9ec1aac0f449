"""A run of a model that follows a script, and a process that dies when the script says so."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pydantic_ai
from pydantic_ai import RunContext
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    TextPart,
    ToolCallPart,
)
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from pydantic_ai.tools import Tool
from pydantic_ai.usage import RequestUsage

from actors.agents.approvals import RECORDER
from actors.durable.step_journal import StepJournal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

PRICE = Decimal("0.25")


@dataclass
class Store:
    """Keeps steps in a dict. The process dies when it has kept so many, or a certain one."""

    steps: dict[str, tuple[bytes, bytes]] = field(default_factory=dict[str, tuple[bytes, bytes]])
    lives_until: int = 1_000
    dies_at: str = ""
    victim: asyncio.Task[Any] | None = None

    async def keep(self, key: str, digest: bytes, payload: bytes) -> None:
        """Keep a step, and die if it is the last one."""
        if len(self.steps) < self.lives_until:
            self.steps[key] = (digest, payload)
        if (len(self.steps) >= self.lives_until or key == self.dies_at) and self.victim is not None:
            self.victim.cancel()
            await asyncio.Event().wait()

    def recorded(self, key: str, digest: bytes) -> bytes | None:
        """Return a step."""
        known = self.steps.get(key)
        return known[1] if known is not None and known[0] == digest else None


Answers = list[list[ToolCallPart] | str]


@dataclass
class Play:
    """An agent whose model follows a script, and what was asked and called in all lives of its run."""

    answers: Answers
    tools: dict[str, Callable[..., Any]] = field(default_factory=dict[str, "Callable[..., Any]"])
    prompt: str = "book order 17"
    capabilities: tuple[Any, ...] = ()
    needs_approval: bool = False
    asked: int = 0
    called: list[str] = field(default_factory=list[str])

    def _tool(self, name: str, function: Callable[..., Any]) -> Tool[Any]:
        def call(ctx: RunContext[Any], value: int = 0) -> Any:
            self.called.append(name)
            return function(value)

        return Tool(call, name=name, requires_approval=self.needs_approval)

    def answer(self, messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
        """Answer as the script says."""
        self.asked += 1
        step = sum(isinstance(one, ModelResponse) for one in messages)
        answer = self.answers[step]
        parts = [TextPart(answer)] if isinstance(answer, str) else answer
        usage = RequestUsage(input_tokens=10, output_tokens=5, cost=PRICE)
        return ModelResponse(parts, usage=usage)

    async def _stream(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        for place, part in enumerate(self.answer(messages, info).parts):
            if isinstance(part, ToolCallPart):
                yield {place: DeltaToolCall(part.tool_name, part.args_as_json_str(), tool_call_id=part.tool_call_id)}
            elif isinstance(part, TextPart):
                yield part.content

    async def live(self, store: Any, **options: Any) -> Any:
        """Run until the end; a life that ends before returns None."""
        agent = pydantic_ai.Agent(
            FunctionModel(self.answer, stream_function=self._stream),
            tools=[self._tool(name, function) for name, function in self.tools.items()],
            capabilities=self.capabilities,
            retries=3,
        )
        steps = (*RECORDER, StepJournal(store))
        run = asyncio.ensure_future(agent.run(self.prompt, capabilities=steps, infer_name=False, **options))
        if isinstance(store, Store):
            store.victim = run
        with suppress(asyncio.CancelledError):
            return await run
        return None


def call(name: str, call_id: str, value: int = 0) -> ToolCallPart:
    """Return the call of a tool."""
    return ToolCallPart(name, {"value": value}, call_id)
