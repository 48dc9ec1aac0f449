"""What a node remembers and has not read yet moves with it, and what its connections pass on reaches other hosts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actors.agents.agent import Agent
from actors.testing.clock import ManualClock
from actors.testing.models import scripted_model
from protocols.errors import NodeStoppedError
from protocols.mailbox import MailboxFullError
from tests.cluster.process import TTL, Process, asked, clerk, shared

pytestmark = pytest.mark.usefixtures("no_leaked_actors")

NAMES = ("a", "b", "c", "d", "e", "f")


def agents() -> list[Any]:
    return [Agent(name, model=scripted_model(["yes"] * 20), durable=True) for name in NAMES]


def texts(agent: Any) -> list[str]:
    """Return what an agent remembers of its users."""
    return [str(part.content) for message in agent.history for part in message.parts if part.part_kind == "user-prompt"]


async def test_an_agent_remembers_at_one_host_at_a_time() -> None:
    clock = ManualClock()
    database = shared(clock)
    async with Process(database, clock, agents) as one:
        await clock.advance(1)
        for name in NAMES:
            assert await asked(clock, one[name], "first") == "yes"
            assert texts(one[name]) == ["first"]
        async with Process(database, clock, agents) as two:
            await clock.advance(2 * TTL)
            moved = [name for name in NAMES if two.is_home(name)]
            assert moved
            for name in moved:
                assert texts(one[name]) == []
                assert texts(two[name]) == ["first"]
                await asked(clock, one[name], "second")
                assert texts(two[name]) == ["first", "second"]
                assert texts(one[name]) == []
            await two.die()
            await clock.advance(TTL + 1)
        for name in moved:
            assert one.is_home(name)
            assert texts(one[name]) == ["first", "second"]


async def test_a_session_is_forgotten_wherever_its_node_lives() -> None:
    clock = ManualClock()
    database = shared(clock)
    async with Process(database, clock, agents) as one, Process(database, clock, agents) as two:
        await clock.advance(2 * TTL)
        far = next(name for name in NAMES if two.is_home(name))
        for _ in range(2):
            await asked(clock, two[far], "hello", session="alice")
            assert two[far].sessions.get("alice")
            forgetting = asyncio.ensure_future(one.pool.forget_session("alice"))
            await clock.advance(0.2)
            await forgetting
            assert two[far].sessions.get("alice") == ()
            assert await one.store.counts() == {}


class Desk:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []

    def nodes(self, host: str) -> Any:
        def work_of(name: str) -> Any:
            async def work(prompt: str) -> str:
                self.seen.append((host, name, prompt))
                return f"{prompt}>{name}"

            return work

        return lambda: [clerk(name, work_of(name)) for name in NAMES]


async def test_context_and_what_is_passed_on_reach_a_node_elsewhere() -> None:
    clock, desk = ManualClock(), Desk()
    database = shared(clock)
    async with (
        Process(database, clock, desk.nodes("one")) as one,
        Process(database, clock, desk.nodes("two")) as two,
    ):
        await clock.advance(2 * TTL)
        near = next(name for name in NAMES if one.is_home(name))
        far = next(name for name in NAMES if two.is_home(name))
        for process in (one, two):
            process[near].connect_to(process[far])
        one[far].add_context("mind the gap")
        await clock.advance(0.1)
        reply = asyncio.ensure_future(two[near].run("x", wait_for_connections=True))
        await clock.advance(0.5)
        assert (await reply).content == f"x>{near}"
        (first, second) = desk.seen
        assert first == ("one", near, "x")
        assert second[:2] == ("two", far)
        assert "mind the gap" in second[2]
        assert f"x>{near}" in second[2]
        await asked(clock, one[far], "y")
        assert desk.seen[-1] == ("two", far, "y")


async def test_a_queued_connection_is_triggered_where_its_target_lives() -> None:
    clock, desk = ManualClock(), Desk()
    database = shared(clock)
    async with (
        Process(database, clock, desk.nodes("one")) as one,
        Process(database, clock, desk.nodes("two")) as two,
    ):
        await clock.advance(2 * TTL)
        near = next(name for name in NAMES if one.is_home(name))
        far = next(name for name in NAMES if two.is_home(name))
        talks = [process[near].connect_to(process[far], queued=True, name="later") for process in (one, two)]
        await asked(clock, one[near], "x")
        with pytest.raises(NodeStoppedError, match="lives at another host"):
            await talks[0].trigger()
        triggered = asyncio.ensure_future(talks[1].trigger())
        await clock.advance(0.5)
        await triggered
        assert desk.seen == [("one", near, "x"), ("two", far, f"x>{near}")]


async def test_a_full_mailbox_refuses_at_every_host() -> None:
    clock, gate = ManualClock(), asyncio.Event()
    database = shared(clock)

    async def work(prompt: str) -> str:
        await gate.wait()
        return prompt

    def nodes() -> list[Any]:
        return [clerk(name, work) for name in NAMES]

    async with Process(database, clock, nodes) as one, Process(database, clock, nodes) as two:
        await clock.advance(2 * TTL)
        name = next(name for name in NAMES if two.is_home(name))
        for process in (one, two):
            process[name].ref().actor_inbox.capacity = 3
        for process in (one, two, one):
            await process[name].submit("x")
        await clock.advance(1)
        for process in (one, two):
            with pytest.raises(MailboxFullError):
                await process[name].submit("y")
        gate.set()
        await clock.advance(1)
        await one[name].submit("z")
