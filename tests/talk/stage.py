"""Nodes that remember what they were asked, and what a system said about connections."""

import asyncio
from collections.abc import Sequence
from typing import Any

from actors.agents.agent import Agent
from actors.runtime.system import ActorSystem
from protocols.messages import ChatMessage
from protocols.stamp import StampedEvent

AnyAgent = Agent[Any, Any]


def rec(name: str, seen: list[str] | None = None) -> AnyAgent:
    """An agent that answers ``name(input)`` and writes its input down."""

    def answer(text: str) -> str:
        if seen is not None:
            seen.append(text)
        return f"{name}({text})"

    return Agent.from_callback(answer, name=name)


def failing(name: str) -> AnyAgent:
    """An agent that always fails."""

    def fail(text: str) -> str:
        raise ValueError(f"{name} cannot do {text}")

    return Agent.from_callback(fail, name=name)


def held(name: str, release: asyncio.Event, seen: list[str]) -> AnyAgent:
    """An agent that works on one message at a time, and only once it may."""

    async def answer(text: str) -> str:
        seen.append(text)
        await release.wait()
        return text

    return Agent.from_callback(answer, name=name, max_concurrency=1)


def heard(system: ActorSystem, *kinds: type[StampedEvent]) -> list[Any]:
    """Events of a system from now on."""
    events: list[Any] = []
    system.events.subscribe(events.append, kinds)
    return events


def here() -> ActorSystem:
    """The system that nodes of this test live in."""
    return ActorSystem.of(asyncio.get_running_loop())


def contents(messages: Sequence[ChatMessage[Any]]) -> list[Any]:
    """What some messages say."""
    return [message.content for message in messages]
