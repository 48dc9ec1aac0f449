"""A model that answers when it is told to: what runs in flight wait for."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from benchmarks.measure import resident_bytes

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

WARM = 20
"""Runs that wait before the memory of the others is measured."""
TEXT = "a line of text"


class SlowModel:
    """Counts who waits."""

    def __init__(self) -> None:
        self._waiting = 0
        self._changed = asyncio.Event()
        self._answer = asyncio.Event()
        self._runs: list[asyncio.Future[Any]] = []

    def model(self) -> Any:
        """The model of pydantic-ai."""
        from pydantic_ai.messages import ModelResponse, TextPart
        from pydantic_ai.models.function import FunctionModel

        async def wait(*_: object) -> ModelResponse:
            self._waiting += 1
            self._changed.set()
            await self._answer.wait()
            return ModelResponse(parts=[TextPart("at last")])

        return FunctionModel(wait)

    async def wait(self, agent: Any, count: int) -> None:
        """Begin so many runs and return when the model has been asked by all of them."""
        self._runs += [asyncio.ensure_future(agent.run(TEXT)) for _ in range(count)]
        while self._waiting < len(self._runs):
            self._changed.clear()
            await self._changed.wait()

    async def answer(self) -> None:
        """Answer all of them."""
        self._answer.set()
        await asyncio.gather(*self._runs)


@asynccontextmanager
async def slow_agent() -> AsyncGenerator[tuple[SlowModel, Any]]:
    """The model and an agent of ours without memory that uses it."""
    from actors import Agent

    slow = SlowModel()
    async with Agent("slow", model=slow.model(), session=False) as agent:
        yield slow, agent


async def in_flight(slow: SlowModel, agent: Any, count: int) -> float:
    """Return the growth of the resident memory by so many runs that wait."""
    await slow.wait(agent, WARM)
    before = resident_bytes()
    await slow.wait(agent, count)
    grown = resident_bytes() - before
    await slow.answer()
    return grown
