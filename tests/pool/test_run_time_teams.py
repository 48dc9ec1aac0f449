"""What a running pool makes beside its nodes, such as teams, lives and ends with it."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest

from actors.agents.agent import Agent
from actors.pool.pool import AgentPool
from actors.testing.settle import settle
from tests.pool.test_life import pool_with

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.system import ActorSystem

MADE_AT_RUN_TIME: dict[str, Callable[[AgentPool[Any]], Any]] = {
    "team": lambda pool: pool.create_team(["a", "b"]),
    "named team": lambda pool: pool.create_team(["a", "b"], name="both"),
    "chain": lambda pool: pool.create_team_run(["a", "b"]),
    "with a member of its own": lambda pool: pool.create_team(["a", Agent.from_callback(str.title, name="own")]),
    "team in a team": lambda pool: pool.create_team_run([pool.create_team(["a"]), "b"]),
    "operators": lambda pool: (pool["a"] & pool["b"]) | str.title,
}


@pytest.mark.parametrize("make", MADE_AT_RUN_TIME.values(), ids=MADE_AT_RUN_TIME)
async def test_what_a_running_pool_makes_lives_under_its_supervisor_and_ends_with_it(
    make: Callable[[AgentPool[Any]], Any], actor_system: ActorSystem
) -> None:
    upper, lower = Agent.from_callback(str.upper, name="a"), Agent.from_callback(str.lower, name="b")
    async with await pool_with(upper, lower, system=actor_system) as pool:
        made = make(pool)
        for _ in range(2):
            await made.run("hi")
            assert [ref.name for ref in actor_system.orphans()] == [pool.name]
        ref = made.ref()
    assert (actor_system.actors(), ref.is_alive()) == ([], False)


async def test_a_team_of_a_pool_that_was_killed_runs_again_under_the_pool(actor_system: ActorSystem) -> None:
    async with await pool_with(Agent.from_callback(str.upper, name="a"), system=actor_system) as pool:
        team = pool.create_team(["a"])
        await team.run("hi")
        first = team.ref()
        await first.kill()
        assert (await team.run("hi")).text == "[a]: HI"
        assert team.ref() != first
        assert [ref.name for ref in actor_system.orphans()] == [pool.name]
        del team, first
        gc.collect()
        await settle()
        assert [row.name for row in actor_system.rows()] == [pool.name, "a"]


async def test_an_open_run_of_a_team_ends_before_its_members_at_the_end_of_the_pool(actor_system: ActorSystem) -> None:
    gate = asyncio.Event()

    async def wait(prompt: str) -> str:
        await gate.wait()
        return prompt.upper()

    first, second = Agent.from_callback(wait, name="a"), Agent.from_callback(str.title, name="b")
    async with await pool_with(first, second, system=actor_system) as pool:
        run = asyncio.ensure_future(pool.create_team_run(["a", "b"]).run("hi"))
        await settle()
        asyncio.get_running_loop().call_soon(gate.set)
    assert (await run).text == "Hi"
