"""Members for tests of teams."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from actors.agents.agent import Agent
from actors.talk.talk import Talk


async def until(condition: Callable[[], object]) -> None:
    """Let other things run until a condition is true; fails instead of hanging when it never is."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0)


Member = Agent[object, Any]


def rec(name: str) -> Member:
    """Make an agent that answers ``name(input)``."""

    def answer(text: str) -> str:
        return f"{name}({text})"

    return Agent.from_callback(answer, name=name)


def failing(name: str, error: Exception | None = None) -> Member:
    """Make an agent whose runs fail."""

    def answer(text: str) -> str:
        raise error or ValueError(f"{name} cannot do {text}")

    return Agent.from_callback(answer, name=name)


class Gate:
    """Agents that wait until they are let go, in the order in which the test wants."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.finished: list[str] = []
        self.cancelled: list[str] = []
        self._doors: dict[str, asyncio.Event] = {}
        self._news = asyncio.Event()

    def member(self, name: str) -> Member:
        """Make an agent that works until `open` is called with its name."""
        door = self._doors[name] = asyncio.Event()

        async def answer(text: str) -> str:
            self.started.append(name)
            self._news.set()
            try:
                await door.wait()
            except asyncio.CancelledError:
                self.cancelled.append(name)
                raise
            self.finished.append(name)
            return f"{name}({text})"

        return Agent.from_callback(answer, name=name)

    def open(self, *names: str) -> None:
        """Let members finish."""
        for name in names:
            self._doors[name].set()

    async def until_started(self, number: int) -> None:
        """Wait until so many have begun."""
        while len(self.started) < number:
            self._news.clear()
            await self._news.wait()


async def steps_of(
    steps: AsyncIterator[Any], seen: list[Any], change: Callable[[Talk], object] = lambda _: None
) -> None:
    """Collect the steps of a run, changing each connection before it is used."""
    async for step in steps:
        if isinstance(step, Talk):
            change(step)
        seen.append(step)
