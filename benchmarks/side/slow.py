"""A model that answers when it is told to: what runs in flight wait for."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from actors import Agent


class SlowModel:
    """Counts who waits."""

    def __init__(self) -> None:
        self._waiting = 0
        self._changed = asyncio.Event()
        self._answer = asyncio.Event()

    @asynccontextmanager
    async def agent(self) -> AsyncGenerator[tuple[SlowModel, Agent[Any, Any]]]:
        """Itself, and an agent without memory that uses it."""
        from pydantic_ai.messages import ModelResponse, TextPart
        from pydantic_ai.models.function import FunctionModel

        from actors import Agent

        async def wait(*_: object) -> ModelResponse:
            self._waiting += 1
            self._changed.set()
            await self._answer.wait()
            return ModelResponse(parts=[TextPart("at last")])

        async with Agent("slow", model=FunctionModel(wait), session=False) as agent:
            yield self, agent

    async def all_wait(self, count: int) -> None:
        """Return when so many runs wait."""
        while self._waiting < count:
            self._changed.clear()
            await self._changed.wait()

    def answer(self) -> None:
        """Answer all of them."""
        self._answer.set()
