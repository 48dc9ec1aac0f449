"""A pool that asks for it has statistics, as one of the command line has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from actors.agents.agent import Agent
from actors.app import AgentPool, StatsService
from actors.runtime.errors import ActorStoppingError

if TYPE_CHECKING:
    from actors.runtime.system import ActorSystem


def counted(system: ActorSystem) -> AgentPool[Any]:
    return AgentPool[Any](system=system, services=[*AgentPool.default_services, StatsService])


def service_of(pool: AgentPool[Any]) -> StatsService:
    found = pool.service(StatsService)
    assert found is not None
    return found


async def test_a_pool_counts_what_its_nodes_do_until_it_is_left(actor_system: ActorSystem) -> None:
    def fail(text: str) -> str:
        raise ValueError(text)

    pool = counted(actor_system)
    await pool.add_node(Agent.from_callback(str.upper, name="good"))
    await pool.add_node(Agent.from_callback(fail, name="bad"))
    async with pool:
        service = service_of(pool)
        await pool["good"].run("one")
        with pytest.raises(ValueError, match="two"):
            await pool["bad"].run("two")
        snapshot = await service.read_stats()
    numbers = {node.name: (node.counters.completed, node.counters.errors) for node in snapshot.nodes}
    assert numbers == {"good": (1, 0), "bad": (0, 1)}
    assert (pool.service(StatsService), actor_system.actors()) == (None, [])
    with pytest.raises(ActorStoppingError):
        await service.read_stats()


async def test_two_pools_of_a_system_have_statistics_of_their_own(actor_system: ActorSystem) -> None:
    async with counted(actor_system) as first:
        async with counted(actor_system) as second:
            await second.add_node(Agent.from_callback(str.upper, name="late"))
            await second["late"].run("one")
        assert (await service_of(first).read_stats()).total.completed == 1


async def test_a_pool_that_does_not_ask_for_statistics_has_no_cost_of_them(actor_system: ActorSystem) -> None:
    async with AgentPool[Any](system=actor_system) as pool:
        assert pool.service(StatsService) is None
        assert not actor_system.events.is_heard
        assert actor_system.events.count is None
