"""`pool.agent(name, Deps, Out)`: an agent of the types that its user says it has."""

from typing import Any

import pytest
from pydantic import BaseModel

from actors import Agent, AgentPool
from protocols.errors import ConfigError, NodeNameError, NodeNotFoundError


class City(BaseModel):
    name: str


class Town(City):
    pass


class Login:
    pass


class Guest(Login):
    pass


def length(text: str) -> int:
    return len(text)


def anything(text: str) -> Any:
    return text


@pytest.fixture
async def pool() -> AgentPool[None]:
    made = AgentPool[None](model="test")
    await made.add_agent("plain")
    await made.add_agent("town", output_type=Town, deps_type=Login)
    await made.add_agent("guest", deps=Guest())
    await made.add_node(Agent.from_callback(length))
    await made.add_node(Agent.from_callback(anything))
    return made


@pytest.mark.parametrize(
    ("name", "types"),
    [
        ("plain", ()),
        ("plain", (object, str)),
        ("plain", (Login,)),  # nothing is known against it
        ("town", (Login, Town)),
        ("town", (Login, City)),
        ("town", (object, BaseModel)),
        ("town", (None, City)),
        ("guest", (Login, str)),
        ("length", (object, int)),
        ("anything", (object, City)),
    ],
)
async def test_an_agent_is_given_when_its_types_are_those_asked_for(
    pool: AgentPool[None], name: str, types: tuple[Any, ...]
) -> None:
    assert pool.agent(name, *types) is pool[name]


@pytest.mark.parametrize(
    ("name", "types", "text"),
    [
        ("plain", (object, City), "'plain' answers str, not City.*return_type=City"),
        ("town", (Login, str), "'town' answers Town, not str.*return_type=str"),
        ("length", (object, str), "'length' answers int, not str"),
        ("town", (City, Town), "'town' has dependencies of type Login, not City.*deps=City"),
        ("guest", (City,), "'guest' has dependencies of type Guest, not City"),
    ],
)
async def test_an_agent_of_other_types_is_refused_and_says_what_to_do(
    pool: AgentPool[None], name: str, types: tuple[Any, ...], text: str
) -> None:
    with pytest.raises(ConfigError, match=text) as refused:
        pool.agent(name, *types)

    assert refused.value.node == name


async def test_a_name_that_there_is_not_is_offered_the_nearest(pool: AgentPool[None]) -> None:
    with pytest.raises(NodeNotFoundError, match=r"'plian'.*'plain'"):
        pool.agent("plian", object, str)


async def test_the_type_of_a_variant_may_be_named_as_agents_name_it(pool: AgentPool[None]) -> None:
    made = pool.get_agent("plain", output_type=City)

    assert (await made.run("x")).content == City(name="a")
    assert made is not pool["plain"]


async def test_an_agent_that_exists_is_led_to_the_method_that_takes_it(pool: AgentPool[None]) -> None:
    with pytest.raises(NodeNameError, match=r"add_agent makes an agent.*Agent 'mine'.*await pool\.add_node\(agent\)"):
        await pool.add_agent(Agent("mine"))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


async def test_a_running_pool_tells_its_actor_system(pool: AgentPool[None]) -> None:
    systems: list[object] = [pool.system]
    async with pool:
        systems += [pool.system, pool["plain"].ref().system]
    systems.append(pool.system)

    assert systems[0] is systems[3] is None
    assert systems[1] is systems[2] is not None
