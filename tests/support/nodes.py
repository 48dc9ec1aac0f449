"""Agents for tests: agents that echo, fail or block, and what a system said about them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from actors.agents.agent import Agent
from actors.runtime.system import ActorSystem
from actors.talk.talk import Talk
from actors.testing.models import echo_model, failing_model

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from protocols.events import StampedEvent
    from protocols.messages import ChatMessage

AnyAgent = Agent[Any, Any]


def echo_agent(name: str, seen: list[str] | None = None) -> AnyAgent:
    """Make an agent that answers ``name(input)``. It records its inputs in `seen`."""

    def answer(text: str) -> str:
        if seen is not None:
            seen.append(text)
        return f"{name}({text})"

    return Agent.from_callback(answer, name=name)


def failing_agent(name: str, error: Exception | None = None) -> AnyAgent:
    """Make an agent whose runs fail."""

    def answer(text: str) -> str:
        raise error or ValueError(f"{name} cannot do {text}")

    return Agent.from_callback(answer, name=name)


def blocked_agent(name: str, release: asyncio.Event, seen: list[str]) -> AnyAgent:
    """Make an agent that works on one message at a time, after the event is set."""

    async def answer(text: str) -> str:
        seen.append(text)
        await release.wait()
        return text

    return Agent.from_callback(answer, name=name, max_concurrency=1)


def echo_model_agent(name: str) -> AnyAgent:
    """Make an agent with a model that answers ``name(prompt)``, and without a memory."""
    return Agent(name, model=echo_model(name + "({prompt})"), session=False)


def failing_model_agent(name: str, error: Exception | None = None) -> AnyAgent:
    """Make an agent whose model fails."""
    return Agent(name, model=failing_model(error or LookupError("no luck")), session=False)


class BlockedAgents:
    """Agents that block until the test opens them, in the order the test wants."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.finished: list[str] = []
        self.cancelled: list[str] = []
        self._doors: dict[str, asyncio.Event] = {}
        self._changed = asyncio.Event()

    def agent(self, name: str) -> AnyAgent:
        """Make an agent that works until `open` is called with its name."""
        door = self._doors[name] = asyncio.Event()

        async def answer(text: str) -> str:
            self.started.append(name)
            self._changed.set()
            try:
                await door.wait()
            except asyncio.CancelledError:
                self.cancelled.append(name)
                raise
            self.finished.append(name)
            return f"{name}({text})"

        return Agent.from_callback(answer, name=name)

    def open(self, *names: str) -> None:
        """Let agents finish."""
        for name in names:
            self._doors[name].set()

    async def until_started(self, number: int) -> None:
        """Wait until so many runs have begun."""
        while len(self.started) < number:
            self._changed.clear()
            await self._changed.wait()


async def collect_steps(
    steps: AsyncIterator[Any], seen: list[Any], change: Callable[[Talk], object] = lambda _: None
) -> None:
    """Collect the steps of a run. Each connection is changed before it is used."""
    async for step in steps:
        if isinstance(step, Talk):
            change(step)
        seen.append(step)


def record_events(system: ActorSystem, *kinds: type[StampedEvent]) -> list[Any]:
    """Return a list that receives the events of a system from now on."""
    events: list[Any] = []
    system.events.subscribe(events.append, kinds)
    return events


def current_system() -> ActorSystem:
    """Return the system in which the nodes of this test live."""
    return ActorSystem.of(asyncio.get_running_loop())


def contents(messages: Sequence[ChatMessage[Any]]) -> list[Any]:
    """Return the contents of messages."""
    return [message.content for message in messages]
