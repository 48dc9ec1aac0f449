"""One agent talks with very many people: memory stays at its limit, and no text of one is in a request of another."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from actors.agents.agent import Agent

AT_ONCE = 50
MOST = 100
"""Sessions that the agent keeps."""
_CANARY = re.compile(r"canary-\d+")


class Listener:
    """A model that counts its requests, and those that hold the text of more than one person."""

    def __init__(self) -> None:
        self.requests = self.mixed = 0
        self.longest = 0

    async def answer(self, messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        said = [str(getattr(part, "content", "")) for message in messages for part in message.parts]
        people = set(_CANARY.findall(" ".join(said)))
        self.requests += 1
        self.mixed += len(people) != 1
        self.longest = max(self.longest, len(messages))
        return ModelResponse([TextPart(f"I hear {people}")])


def turns(people: range, most: int) -> Iterator[tuple[str, str]]:
    """Yield all turns: each person has said something before anybody says something again."""
    return ((f"s{one}", f"canary-{one} says {turn}") for turn in range(most) for one in people)


async def talk(agent: Agent[Any, Any], left: Iterator[tuple[str, str]]) -> None:
    async def client() -> None:
        for session, text in left:
            await agent.run(text, session=session)

    await asyncio.gather(*(client() for _ in range(AT_ONCE)))


@pytest.mark.parametrize(("sessions", "each"), [(200, 3), pytest.param(10_000, 20, marks=pytest.mark.soak, id="many")])
@pytest.mark.usefixtures("no_leaked_actors")
async def test_memory_is_flat_and_nobody_hears_another_one(sessions: int, each: int) -> None:
    model, process = Listener(), psutil.Process()
    async with Agent("a", model=FunctionModel(model.answer), max_sessions=MOST) as agent:
        await talk(agent, turns(range(MOST), each))
        before = process.memory_info().rss
        await talk(agent, turns(range(MOST, sessions), each))
        grown = process.memory_info().rss - before

        assert len(agent.sessions.names()) == MOST
    assert (model.requests, model.mixed) == (sessions * each, 0)
    assert model.longest == 2 * each - 1
    assert grown < 64 << 20
