"""What a host says of itself to the others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actors.cluster import host_snapshot
from actors.cluster.host_snapshot import MOST_BYTES, HostSnapshot, NodeSnapshot, read_snapshot
from actors.testing.clock import ManualClock
from tests.cluster.process import TTL, Process, clerk, shared

pytestmark = pytest.mark.usefixtures("no_leaked_actors")

NAMES = ("a", "b", "c", "d", "e", "f")


def desk() -> list[Any]:
    async def work(prompt: str) -> str:
        if prompt == "wait":
            await asyncio.Event().wait()
        if prompt == "fail":
            raise ValueError(prompt)
        return prompt

    return [clerk(name, work) for name in NAMES]


async def said(process: Process) -> dict[str, HostSnapshot]:
    """Return what the hosts have said, by id."""
    return {one.id: read_snapshot(one.snapshot) for one in await process.store.hosts()}


async def test_each_host_tells_of_the_nodes_that_live_there() -> None:
    clock = ManualClock()
    database = shared(clock)
    async with Process(database, clock, desk) as one, Process(database, clock, desk) as two:
        await clock.advance(2 * TTL)
        home = {name: one if one.is_home(name) else two for name in NAMES}
        asked = [asyncio.ensure_future(one[name].run(text)) for name in NAMES for text in ("hello", "fail", "wait")]
        await clock.advance(TTL)
        hosts = await said(two)
        for process in (one, two):
            own = hosts[process.store.host]
            here = {name for name in NAMES if home[name] is process}
            rows = [row for row in process.system.rows() if row.name in here]
            assert own.nodes == tuple(
                NodeSnapshot(row.name, row.state, row.depth, 1, 1, row.handled, row.failed) for row in rows
            )
            assert [row.handled for row in rows] == [2] * len(here)
            assert (own.in_flight, own.handled) == (len(here), 2 * len(here))
            assert (own.omitted, own.dead_letters) == (0, process.system.dead_letters.total)
        for reply in asked:
            reply.cancel()
        await asyncio.gather(*asked, return_exceptions=True)


async def test_what_a_host_says_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    monkeypatch.setattr(host_snapshot, "MOST_BYTES", 450)
    async with Process(shared(clock), clock, desk) as one:
        await clock.advance(TTL)
        ((record),) = await one.store.hosts()
        found = read_snapshot(record.snapshot)

    assert len(record.snapshot) <= 450 < MOST_BYTES
    assert (len(found.nodes) > 0, len(found.nodes) + found.omitted) == (True, len(NAMES))


@pytest.mark.parametrize("written", [b"", b"nothing", b"[]", b'{"nodes": 3}', b'{"nodes": [{"name": "a"}]}'])
def test_what_another_version_says_is_left_out(written: bytes) -> None:
    assert read_snapshot(written) == HostSnapshot()
