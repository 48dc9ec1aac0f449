"""What each host of a cluster shows of all of them: the tree, metrics, and whether it is ready."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from actors.app.journal_service import JournalService
from actors.cli.tree_view import document, view
from actors.dashboard.pool_rows import PoolRows
from actors.telemetry.snapshot import PoolMetrics
from actors.testing.clock import ManualClock
from actors.web.health import readiness
from protocols.journal import JournalError
from tests.cluster.process import SHARDS, TTL, Process, clerk, shared

if TYPE_CHECKING:
    from actors.cli.feed_client import Tables

pytestmark = pytest.mark.usefixtures("no_leaked_actors")

NAMES = ("a", "b", "c", "d", "e", "f")


def desk() -> list[Any]:
    async def work(prompt: str) -> str:
        return prompt

    return [clerk(name, work) for name in NAMES]


def tables(process: Process) -> Tables:
    """Return what the viewers of a process are told."""
    rows, system = PoolRows(process.pool, can_act=False), process.system
    found = {"nodes": rows.nodes(), "pool": rows.pool(system, 0), "actors": rows.actors(system)}
    return {name: {key: dict(row) for key, row in part} for name, part in found.items()}


def name_of(process: Process) -> str:
    name: str = process.service.host.about.name
    return name


def rename(process: Process, name: str) -> None:
    """Call a host differently: all of a test have the same process."""
    host = process.service.host
    host.about = replace(host.about, name=name)


async def test_each_host_shows_its_own_tree_and_the_nodes_of_the_others() -> None:
    clock = ManualClock()
    database = shared(clock)
    async with Process(database, clock, desk) as one, Process(database, clock, desk) as two:
        rename(one, "web-1")
        rename(two, "web-2")
        await clock.advance(2 * TTL)
        asked = [asyncio.ensure_future(one[name].run("hello")) for name in NAMES]
        await clock.advance(TTL)
        await asyncio.gather(*asked)
        for here, there in ((one, two), (two, one)):
            found = tables(here)
            own = [row for row in found["actors"].values() if row["host"] == name_of(here)]
            others = [row for row in found["actors"].values() if row["host"] == name_of(there)]
            assert sorted(row["name"] for row in own) == sorted(row.name for row in here.system.rows())
            assert {row["name"] for row in others} == {name for name in NAMES if there.is_home(name)}
            assert {(row["state"], row["depth"], row["handled"], row["failed"]) for row in others} == {
                ("running", 0, 1, 0)
            }
            text = view(found)
            assert text.splitlines()[1].split()[:3] == ["actor", "host", "state"]
            assert len(text.splitlines()) == 2 + len(own) + len(others)
            assert view(found, 8).splitlines()[1].split() == ["actor"]
            assert {row["host"] for row in document(found)["actors"]} == {"web-1", "web-2"}


async def test_numbers_of_all_hosts_add_up() -> None:
    clock = ManualClock()
    database = shared(clock)
    async with Process(database, clock, desk) as one, Process(database, clock, desk) as two:
        rename(one, "web-1")
        rename(two, "web-2")
        await clock.advance(3 * TTL)
        first, second = [(await PoolMetrics(each.pool).read()).values for each in (one, two)]

    assert first["understage.cluster.hosts"] == {"web-1": 2}
    assert second["understage.cluster.hosts"] == {"web-2": 2}
    assert first["understage.cluster.shards"] == {"web-1": SHARDS // 2}
    assert second["understage.cluster.shards"] == {"web-2": SHARDS // 2}
    assert sorted([*first["understage.durable.open"], *second["understage.durable.open"]]) == [*NAMES]


async def test_a_host_that_drains_or_has_lost_the_database_is_not_ready() -> None:
    clock, is_away = ManualClock(), False

    async def gate(name: str) -> None:
        if is_away:
            raise JournalError("is away")

    database = shared(clock)
    async with Process(database, clock, desk, gate=gate) as one:
        await clock.advance(TTL)
        states = [readiness(one.pool)]
        is_away = True
        await clock.advance(TTL / 2)
        states.append(readiness(one.pool))
        await clock.advance(TTL)
        states.append(readiness(one.pool))
        is_away = False
        await clock.advance(TTL)
        states.append(readiness(one.pool))
        assert await one.store.drain(one.store.host)
        await clock.advance(TTL)
        states.append(readiness(one.pool))

    service = JournalService.__name__
    assert [(state["status"], state.get("services")) for state in states] == [
        ("ready", None),
        ("degraded", {service: "degraded"}),
        ("unavailable", {service: "disconnected"}),
        ("ready", None),
        ("unavailable", {service: "draining"}),
    ]
