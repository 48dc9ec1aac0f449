"""A pool that has gone from manifest to manifest is the same as one that was made from the last."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.nodes.base_team import BaseTeam
from actors.pool.pool import AgentPool
from tests.pool.reload_functions import GATE, manifest_of

if TYPE_CHECKING:
    from actors.config.manifest import Manifest

TEAMS = "xyz"
CONNECTIONS = ("{type: node, name: a}", "{type: node, name: b, queued: true}")


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    """Draw agents that always have a and b, and teams of them in any nesting."""
    names = ["a", "b", *draw(st.lists(st.sampled_from("cd"), unique=True))]
    lines: list[str] = []
    for name in names:
        version = draw(st.sampled_from(["old", "new"]))
        others = [one for one in CONNECTIONS if f"name: {name}," not in one.replace("}", ",")]
        wires = ", ".join(draw(st.lists(st.sampled_from(others), unique=True)))
        limit = draw(st.integers(1, 3))
        lines.append(
            f'{name}: {{provider: {{type: callback, callback: "tests.pool.reload_functions:{version}"}}, '
            f"max_concurrency: {limit}, mailbox: {{capacity: {limit + 100}}}, connections: [{wires}]}}"
        )
    teams: list[str] = []
    for name in draw(st.lists(st.sampled_from(TEAMS), unique=True)):
        members = draw(st.lists(st.sampled_from(names), unique=True, min_size=1))
        mode = draw(st.sampled_from(["parallel", "sequential"]))
        teams.append(f"  {name}: {{mode: {mode}, members: [{', '.join(members)}]}}")
        names.append(name)
    return manifest_of("\n".join(lines), "\n".join(["teams:", *teams]) if teams else "")


def seen(pool: AgentPool[Any]) -> dict[str, Any]:
    """Return what can be seen of a pool."""
    found: dict[str, Any] = {}
    for name, node in pool.items():
        inside: Any = None
        if isinstance(node, BaseTeam):
            inside = [member.name for member in node.nodes]
            assert all(pool[member.name] is member for member in node.nodes), "a member that is not in the pool"
        wires = sorted((talk.target.name, talk.queued) for talk in node.connections)
        assert all(pool[talk.target.name] is talk.target for talk in node.connections), "a connection that leads out"
        found[name] = type(node), node.max_concurrency, inside, wires, node.ref().actor_inbox.capacity
    return found


async def answers(pool: AgentPool[Any]) -> dict[str, str]:
    """Return what each node answers."""
    nodes = list(pool.values())
    found = await asyncio.gather(*(node.run("q") for node in nodes))
    return {node.name: message.text for node, message in zip(nodes, found, strict=True)}


async def run_through(chosen: list[Manifest]) -> None:
    GATE.reset()
    async with AgentPool[None](chosen[0], exit_timeout=30.0) as pool:
        runs: list[asyncio.Future[Any]] = []
        for manifest in chosen[1:]:
            runs += [asyncio.ensure_future(pool["a"].run(str(number))) for number in range(5)]
            await asyncio.sleep(0)
            await pool.reload(manifest)
        assert [message.text.partition(":")[2] for message in await asyncio.gather(*runs)] == [
            str(number) for _ in chosen[1:] for number in range(5)
        ]
        by_reload = seen(pool), await answers(pool), set(pool.connection_registry)
    async with AgentPool[None](chosen[-1]) as fresh:
        by_start = seen(fresh), await answers(fresh), set(fresh.connection_registry)
    assert by_reload == by_start


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(manifests(), min_size=2, max_size=4))
def test_the_way_to_a_manifest_does_not_matter(chosen: list[Manifest]) -> None:
    asyncio.run(run_through(chosen))


@pytest.fixture(autouse=True)
def open_gate() -> None:
    """Let every test begin with an open gate."""
    GATE.reset()
