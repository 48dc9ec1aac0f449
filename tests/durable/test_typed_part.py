"""Parts of a kept run give the next part the same types, before and after a death."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from actors.agents.agent import Agent
from actors.testing.settle import settle
from tests.durable.life import Life

if TYPE_CHECKING:
    from actors.storage.journal_memory import MemoryJournal

pytestmark = pytest.mark.usefixtures("no_leaked_actors")


@dataclass(frozen=True)
class Point:
    x: int


class Order(BaseModel):
    amount: int


@pytest.mark.parametrize(
    ("value", "runs"),
    [
        ("text", 1),
        ({"a": [1, 2.5, None]}, 1),
        ([], 1),
        (Point(3), 2),
        (Order(amount=3), 2),
        ({"p": Point(1)}, 2),
        ((1, 2), 2),
    ],
)
async def test_a_part_that_is_delivered_again_gives_the_value_of_the_first_delivery(
    journal: MemoryJournal, value: object, runs: int
) -> None:
    made: list[str] = []
    seen: list[object] = []
    gate = asyncio.Event()

    def make(prompt: str) -> Any:
        made.append(prompt)
        return value

    async def use(given: Any) -> str:
        seen.append(given)
        await gate.wait()
        return "used"

    def chain() -> Any:
        return Agent.from_callback(make, name="make") | Agent.from_callback(use, name="use")

    node: Any
    for _ in range(2):
        node = chain()
        node.name = "chain"
        async with Life(journal, node):
            ticket = await node.submit("go", request_id="go")
            await settle()
            if len(seen) == 2:
                gate.set()
                assert (await ticket.answer()).content == "used"
    assert seen == [value, value]
    assert [type(one) for one in seen] == [type(value)] * 2
    assert len(made) == runs


async def test_the_typed_answer_of_an_agent_is_made_again_without_a_request(journal: MemoryJournal) -> None:
    requests: list[int] = []
    seen: list[object] = []
    gate = asyncio.Event()

    async def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        requests.append(len(messages))
        return ModelResponse([ToolCallPart(info.output_tools[0].name, {"amount": 7})])

    async def use(given: Any) -> str:
        seen.append(given)
        await gate.wait()
        return "used"

    for _ in range(2):
        node: Any = Agent("order", model=FunctionModel(model), output_type=Order) | Agent.from_callback(use, name="use")
        node.name = "chain"
        async with Life(journal, node):
            ticket = await node.submit("go", request_id="go")
            await settle()
            if len(seen) == 2:
                gate.set()
                await ticket.answer()
    assert seen == [Order(amount=7)] * 2
    assert requests == [1]
