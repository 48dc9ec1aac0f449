"""Names of tools: what every provider accepts, stable and unique, or a ConfigError with agent and remedy."""

import functools
import re
from collections.abc import Callable
from typing import Any

import pytest
from pydantic_ai.tools import Tool

from actors.agents.agent import Agent
from protocols.errors import ConfigError
from protocols.tool_name import tool_name

ACCEPTED = re.compile(r"[a-zA-Z0-9_-]{1,64}")
NAMES = [
    "a",
    "größe",
    "助手",
    "😀",
    "\u0430",
    "my tool",
    "<lambda>",
    "a.b/c",
    "x" * 100,
    "x" * 100 + "y",
    "é" * 70,
    "",
    "\ud83d",
]


def add(a: int = 0) -> int:
    """Add one."""
    return a + 1


def größe(a: int = 0) -> int:
    """Measure."""
    return a


class Adder:
    def __call__(self, a: int) -> int:
        return a


@pytest.mark.parametrize("name", NAMES)
def test_every_text_has_one_name_that_providers_accept(name: str) -> None:
    assert ACCEPTED.fullmatch(tool_name(name))
    assert tool_name(name) == tool_name(name)


def test_texts_that_differ_have_names_that_differ() -> None:
    assert len({tool_name(name) for name in NAMES}) == len(NAMES)
    assert tool_name("größe") == "grosse"


@pytest.mark.parametrize("tool", [größe, lambda q="": q, Tool(add, name="my tool"), Tool(add, name="x" * 80)])
async def test_a_tool_with_any_name_is_called(tool: Any) -> None:
    answer = await Agent("a", model="test", tools=[tool]).run("hi")
    assert [ACCEPTED.fullmatch(made.tool_name) is not None and made.error for made in answer.tool_calls] == [None]


@pytest.mark.parametrize(
    "tools",
    [
        [functools.partial(add, 1)],
        [Adder()],
        [Adder],
        [max],
        [str.upper],
        [add, add],
        [add, Tool(add)],
        [Tool(add, name="a b"), Tool(add, name="a_b")],
    ],
)
async def test_what_cannot_be_a_tool_is_refused_with_agent_and_remedy(tools: list[Any]) -> None:
    def added() -> None:
        Agent("a", model="test").take_tools(tools)

    def made() -> object:
        return Agent("a", model="test", tools=tools)

    ways: list[Callable[[], object]] = [made, added]
    for way in ways:
        with pytest.raises(ConfigError, match=r"agent 'a': .*('def'|name=)") as caught:
            way()
        assert caught.value.node == "a"
    with pytest.raises(ConfigError, match=r"agent 'a': .*('def'|name=)"):
        await Agent("a", model="test").run("hi", tools=tools)


async def test_a_tool_of_one_run_may_replace_those_of_the_agent_and_not_double_them() -> None:
    agent = Agent("a", model="test", tools=[add])
    with pytest.raises(ConfigError, match="two tools"):
        await agent.run("hi", tools=[add])
    assert (await agent.run("hi", tools=[add], include_agent_tools=False)).tool_calls[0].tool_name == "add"


def test_workers_whose_names_are_alike_are_told_apart() -> None:
    boss = Agent("boss", model="test")
    for name in ("a b", "a_b", "助手", "助理"):
        boss.register_worker(Agent(name, model="test"))

    names = list(boss.tools.tools)

    assert names[:2] == ["ask_a_b", "ask_a_b_2"]
    assert len(set(names)) == 4
    assert all(ACCEPTED.fullmatch(name) for name in names)


def test_one_worker_twice_is_refused_unless_it_is_given_a_name() -> None:
    boss, worker = Agent("boss", model="test"), Agent("w", model="test")
    boss.register_worker(worker)
    with pytest.raises(ConfigError, match=r"boss.*'ask_w'.*name="):
        boss.register_worker(worker)
    boss.register_worker(worker, name="again")
    with pytest.raises(ConfigError, match="'again'"):
        boss.register_worker(Agent("other", model="test"), name="again")


async def test_a_variant_may_have_a_name_of_its_own() -> None:
    one = Agent("one", model="test", tools=[add])
    two = one.variant(name="two")
    assert [(await node.run("hi")).name for node in (one, two)] == ["one", "two"]
    assert Agent.from_callback(str.upper).variant(name="loud").name == "loud"
