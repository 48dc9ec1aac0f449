"""Agents as users write them, with the types that the checkers must infer."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, assert_type

from pydantic import BaseModel
from pydantic_ai import RunContext, ToolOutput
from pydantic_ai.tools import Tool

from actors.agents.agent import Agent
from protocols.messages import ChatMessage

if TYPE_CHECKING:
    from actors.runs.handle import NodeHandle


class City(BaseModel):
    name: str


class Login:
    user: str = ""


def who(ctx: RunContext[Login]) -> str:
    return ctx.deps.user


def count(text: str) -> int:
    return len(text)


async def shout(text: str) -> str:
    return text.upper()


async def agents_infer_their_output_and_their_dependencies() -> None:
    plain = Agent("plain", model="offline", system_prompt="Be brief.")
    assert_type(plain, Agent[object, str])
    structured = Agent(name="structured", output_type=City)
    assert_type(structured, Agent[object, City])
    with_deps = Agent("deps", deps_type=Login, output_type=City, tools=[who])
    assert_type(with_deps, Agent[Login, City])
    by_tool = Agent("tool", output_type=ToolOutput(City))
    assert_type(by_tool, Agent[object, City])
    declared: Agent[Login, bool] = Agent("declared", deps_type=Login, output_type=bool)
    node: NodeHandle[Login, bool] = declared

    assert_type(await plain.run("x"), ChatMessage[str])
    assert_type((await structured.run("x", model="test", timeout=None)).content, City)
    assert_type(await node.run("x"), ChatMessage[bool])
    assert_type(structured.run_sync("x"), ChatMessage[City])
    assert_type(structured.run_iter("x", ["y", "z"]), AsyncIterator[ChatMessage[City]])


async def one_run_may_answer_something_else() -> None:
    plain = Agent("plain")

    assert_type(await plain.run("x", output_type=City), ChatMessage[City])
    assert_type(plain.run_sync("x", output_type=int, store_history=False), ChatMessage[int])
    assert_type(plain.run_iter("x", output_type=City), AsyncIterator[ChatMessage[City]])


async def callables_give_what_they_return() -> None:
    assert_type(Agent.from_callback(count), Agent[object, int])
    assert_type(Agent.from_callback(shout, name="shout"), Agent[object, str])
    first, second = await asyncio.gather(Agent.from_callback(count).run("x"), Agent.from_callback(shout).run("x"))
    assert_type(first.content, int)
    assert_type(second.content, str)


async def opening_gives_the_agent_itself() -> None:
    async with Agent("structured", output_type=City) as agent:
        assert_type(agent, Agent[object, City])
    assert_type(agent.to_tool().name, str)
    assert isinstance(agent.to_tool(name="ask"), Tool)


async def a_variant_is_of_the_same_types_but_for_what_is_changed() -> None:
    with_deps = Agent("deps", deps_type=Login, output_type=City)

    assert_type(with_deps.variant(session=False), Agent[Login, City])
    assert_type(with_deps.variant(output_type=int, model="test"), Agent[Login, int])


async def what_does_not_fit_is_found() -> None:
    agent = Agent("plain")

    await agent.run("x", modle="test")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    Agent("x", timeuot=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
