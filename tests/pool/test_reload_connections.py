"""Connections of a manifest that is applied to a running pool."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from actors.pool.pool import AgentPool
from actors.testing.settle import settle
from protocols.control import DeadLetterReason
from protocols.errors import ManifestError, NodeStoppedError
from tests.pool.reload_functions import AGENTS, GATE, manifest_of, second_version

if TYPE_CHECKING:
    from actors.config.manifest import Manifest
    from actors.runtime.system import ActorSystem

pytestmark = pytest.mark.usefixtures("no_leaked_actors", "fresh_gate")


def wired(*connections: str, agents: str = AGENTS) -> Manifest:
    """Return the crew with connections that begin at c."""
    return manifest_of(agents.replace("c: {}", f"c: {{connections: [{', '.join(connections)}]}}"))


TO_B = "{type: node, name: b}"
QUEUED = "{type: node, name: b, queued: true, queue_strategy: buffer}"


async def test_connections_come_and_go_without_their_nodes_noticing() -> None:
    async with AgentPool[None](manifest_of()) as pool:
        ref = pool["c"].ref()

        done = await pool.reload(wired(TO_B))
        assert (done.changed, done.connections_added, done.connections_removed) == ((), 1, 0)
        await pool["c"].run("Hello there.", wait_for_connections=True)
        assert GATE.calls == ["old:Hello there."]

        done = await pool.reload(manifest_of())
        assert (done.changed, done.connections_added, done.connections_removed) == ((), 0, 1)
        await pool["c"].run("Hello again.", wait_for_connections=True)
        assert GATE.calls == ["old:Hello there."]
        assert pool["c"].ref() == ref
        assert not pool.connection_registry


async def test_a_connection_that_has_not_changed_keeps_its_numbers_and_what_waits() -> None:
    async with AgentPool[None](wired(QUEUED)) as pool:
        (talk,) = pool["c"].connections
        await pool["c"].run("First thing.")

        done = await pool.reload(wired(QUEUED, "{type: node, name: a}", agents=second_version()))

        assert (done.connections_added, done.connections_removed) == (1, 0)
        assert talk in pool["c"].connections
        assert [answer.content for answer in await talk.trigger()] == ["new:First thing."]


async def test_what_waits_in_a_connection_that_goes_is_a_dead_letter(actor_system: ActorSystem) -> None:
    async with AgentPool[None](wired(QUEUED), system=actor_system) as pool:
        await pool["c"].run("First thing.")

        await pool.reload(manifest_of())

        (letter,) = actor_system.dead_letters
        assert letter.message.content == "First thing."
        assert letter.reason is DeadLetterReason.STOPPED


async def test_every_message_takes_the_old_way_or_the_new_one_never_both_or_none() -> None:
    ways = [wired(TO_B), wired(TO_B.replace("}", ", priority: 1}"))]
    async with AgentPool[None](ways[0]) as pool:
        runs: list[asyncio.Future[Any]] = []

        async def keep_asking() -> None:
            while len(runs) < 200:
                runs.append(
                    asyncio.ensure_future(pool["c"].run(f"Text number {len(runs)}.", wait_for_connections=True))
                )
                await asyncio.sleep(0)

        asking = asyncio.ensure_future(keep_asking())
        for number in range(10):
            await pool.reload(ways[(number + 1) % 2])
        await asking
        await asyncio.gather(*runs)

        assert sorted(GATE.calls) == sorted(f"old:Text number {number}." for number in range(200))


async def test_the_node_behind_a_function_ends_with_its_connection() -> None:
    call = '{type: callable, callable: "tests.pool.reload_functions:old"}'
    async with AgentPool[None](wired(call)) as pool:
        (talk,) = pool["c"].connections
        opened = GATE.shut()
        run = asyncio.ensure_future(pool["c"].run("Hello there.", wait_for_connections=True))
        await settle()

        reload = asyncio.ensure_future(pool.reload(manifest_of()))
        await settle()
        assert not reload.done()
        opened.set()
        await reload

        await run
        assert GATE.calls == ["old:Hello there."]
        with pytest.raises(NodeStoppedError):
            await talk.target.post(("x",))
        await pool.reload(wired(call))
        await pool["c"].run("Hello again.", wait_for_connections=True)
        assert GATE.calls[1:] == ["old:Hello again."]


async def test_a_connection_leads_to_the_node_that_has_taken_the_place_of_another() -> None:
    rest = "teams: {t: {mode: parallel, members: [b]}}"
    agents = AGENTS.replace("c: {}", "c: {connections: [{type: node, name: t}]}")
    async with AgentPool[None](manifest_of(agents, rest)) as pool:
        await pool.reload(manifest_of(agents, rest.replace("parallel", "sequential")))
        await pool["c"].run("Hello there.", wait_for_connections=True)

        assert GATE.calls == ["old:Hello there."]
        assert [talk.target for talk in pool["c"].connections] == [pool["t"]]


async def test_a_name_that_a_connection_made_at_run_time_has_is_refused() -> None:
    async with AgentPool[None](manifest_of()) as pool:
        pool["a"].connect_to(pool["b"], name="x")

        with pytest.raises(ManifestError, match="a connection named 'x' is in the pool already"):
            await pool.reload(wired("{type: node, name: b, label: x}"))

        assert list(pool["c"].connections) == []
