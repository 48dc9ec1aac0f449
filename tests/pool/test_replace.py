"""Nodes that go and come while runs are in flight: nothing that was accepted is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actors.agents.agent import Agent
from actors.pool.pool import AgentPool
from actors.runtime.errors import WrongLoopError
from actors.runtime.system import ActorSystem
from actors.testing.settle import settle
from protocols.errors import NodeError, NodeNameError, NodeStartError, NodeStoppedError


class Slot:
    """What runs wait for, and what has come."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.entered = asyncio.Event()
        self.done: list[str] = []

    def agent(self, name: str = "a") -> Agent[Any, Any]:
        """Make an agent that answers when the gate is open."""

        async def answer(text: str) -> str:
            self.entered.set()
            await self.gate.wait()
            self.done.append(text)
            return f"{name}: {text}"

        return Agent.from_callback(answer, name=name)


def quick(name: str, seen: list[str] | None = None) -> Agent[Any, Any]:
    def answer(text: str) -> str:
        if seen is not None:
            seen.append(text)
        return text

    return Agent.from_callback(answer, name=name)


class Broken(Agent[Any, Any]):
    """An agent that cannot be opened."""

    def resources(self) -> Any:
        """Fail."""
        raise ConnectionError


async def test_runs_that_the_old_node_has_accepted_end_and_new_ones_go_to_the_new_node(no_leaked_actors: None) -> None:
    old = Slot()
    async with AgentPool[None]() as pool:
        await pool.add_node(old.agent())
        early = [asyncio.ensure_future(pool["a"].run(str(number))) for number in range(5)]
        await old.entered.wait()
        new = quick("a")
        replacing = asyncio.ensure_future(pool.replace_node("a", new))
        await settle()

        assert pool["a"] is new
        assert (await pool["a"].run("late")).content == "late"
        old.gate.set()
        gone = await replacing
        assert [(await one).content for one in early] == [f"a: {number}" for number in range(5)]
        with pytest.raises(NodeStoppedError):
            await gone.run("too late")


async def test_connections_lead_to_the_new_node(no_leaked_actors: None) -> None:
    seen_before: list[str] = []
    seen_after: list[str] = []
    async with AgentPool[None]() as pool:
        for node in (quick("source"), quick("target", seen_before)):
            await pool.add_node(node)
        source = pool["source"]
        source.connect_to(pool["target"], priority=5)
        queued: Any = source.connect_to(pool["target"], queued=True, queue_strategy="buffer")
        await source.run("one", wait_for_connections=True)
        await pool.replace_node("target", quick("target", seen_after))
        await source.run("two", wait_for_connections=True)
        await queued.trigger()

    assert seen_before == ["one"]
    assert seen_after == ["two", "one", "two"]


async def test_connections_to_a_node_that_is_removed_end_and_others_go_on(no_leaked_actors: None) -> None:
    seen: list[str] = []
    async with AgentPool[None]() as pool:
        for node in (quick("source"), quick("a"), quick("b", seen)):
            await pool.add_node(node)
        source = pool["source"]
        only, queued = source.connect_to(pool["a"]), source.connect_to(pool["a"], queued=True)
        source.connect_to(pool["b"])
        await source.run("one", wait_for_connections=True)
        await pool.remove_node("a")
        await source.run("two", wait_for_connections=True)

        assert (only.active, queued.active) == (False, False)
        assert [talk.target.name for talk in pool.connection_registry.values()] == ["b"]
        assert next(iter(pool.connection_registry.values())).stats.errors == []
    assert seen == ["one", "two"]


async def test_a_new_node_that_cannot_start_leaves_the_old_one_where_it_was(no_leaked_actors: None) -> None:
    async with AgentPool[None]() as pool:
        await pool.add_node(quick("a"))
        with pytest.raises(NodeStartError):
            await pool.replace_node("a", Broken("a"))

        assert (await pool["a"].run("still here")).content == "still here"


async def test_the_place_in_the_order_is_kept_and_the_name_may_change(no_leaked_actors: None) -> None:
    async with AgentPool[None]() as pool:
        for name in ("a", "b", "c"):
            await pool.add_node(quick(name))
        await pool.replace_node("b", quick("x"))

        assert list(pool) == ["a", "x", "c"]
        with pytest.raises(NodeNameError):
            await pool.replace_node("x", quick("c"))
        with pytest.raises(NodeError, match="cannot take its own place"):
            await pool.replace_node("x", pool["x"])


@pytest.mark.parametrize("role", ["picker", "validator"])
async def test_who_picks_or_validates_for_a_team_is_not_removed(role: str, no_leaked_actors: None) -> None:
    chosen: dict[str, Any] = {role: "b"}
    async with AgentPool[None]() as pool:
        for name in ("a", "b"):
            await pool.add_node(quick(name))
        pool.create_team_run(["a"], name="t", **chosen)

        with pytest.raises(NodeError, match="is a member of 't'"):
            await pool.remove_node("b")


async def test_what_is_accepted_is_answered_however_often_the_node_is_replaced() -> None:
    async with ActorSystem() as system:
        async with AgentPool[None](system=system) as pool:
            await pool.add_node(quick("a"))
            runs: list[asyncio.Future[Any]] = []
            for turn in range(20):
                runs += [asyncio.ensure_future(pool["a"].run(f"{turn}.{number}")) for number in range(10)]
                await asyncio.sleep(0)
                await pool.replace_node("a", quick("a"))
            answers = await asyncio.gather(*runs)

        assert [one.content for one in answers] == [f"{turn}.{number}" for turn in range(20) for number in range(10)]
        assert len(system.dead_letters) == 0


async def test_a_running_pool_is_not_entered_from_another_loop(no_leaked_actors: None) -> None:
    async def enter(pool: AgentPool[None]) -> None:
        async with pool:
            pytest.fail("entered")

    async with AgentPool[None]() as pool:
        with pytest.raises(WrongLoopError, match="lives on another event loop"):
            await asyncio.to_thread(asyncio.run, enter(pool))

        assert pool.is_running
