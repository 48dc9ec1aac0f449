"""Durable nodes that live at all hosts: each run is done by one of them, and none is lost with a host."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from typing import Any

import pytest

from actors import ActorSystem, Agent, AgentPool
from actors.app.journal_service import JournalService
from actors.cluster.host_snapshot import read_snapshot
from actors.config.load import parse_manifest
from actors.testing.clock import ManualClock
from protocols.errors import ManifestError, NodeStartError
from protocols.journal import NotDurableError
from tests.cluster.process import SHARDS, TTL, MortalStore, Process, asked, shared

pytestmark = pytest.mark.usefixtures("no_leaked_actors")

MOST = 3
TEXT = f"""
name: pool
allow_imports: [tests.cluster]
cluster: {{url: "postgresql://u@h/d", shards: {SHARDS}, ttl: {TTL}}}
agents:
  pump:
    {{durable: true, placement: anywhere, max_concurrency: {MOST}, type: callback,
      callback: "tests.cluster.test_spread_runs:work", connections: [{{type: node, name: tail}}]}}
  tail:
    {{durable: true, placement: anywhere, max_concurrency: {MOST}, type: callback,
      callback: "tests.cluster.test_spread_runs:end"}}
"""


class Desk:
    """What the nodes of all hosts do."""

    def __init__(self) -> None:
        self.begun = Counter[str]()
        self.ended = Counter[str]()
        self.now = 0
        self.peak = 0
        self.gate = asyncio.Event()
        self.gate.set()


desk: Desk


async def work(prompt: str) -> str:
    desk.begun[prompt] += 1
    desk.now += 1
    desk.peak = max(desk.peak, desk.now)
    try:
        if prompt.startswith("!"):
            raise ValueError(prompt)
        await desk.gate.wait()
    finally:
        desk.now -= 1
    return prompt


def end(prompt: str) -> str:
    desk.ended[prompt] += 1
    return prompt


@pytest.fixture(autouse=True)
def _desk() -> None:
    global desk  # noqa: PLW0603 - the manifest names functions
    desk = Desk()


class Spread(Process):
    """A process with the manifest."""

    def __init__(self, database: Any, clock: ManualClock, text: str = TEXT) -> None:
        super().__init__(database, clock, list)
        self.database = database
        self.store = MortalStore(database, shards=SHARDS)
        self.system = ActorSystem("host", clock=clock)
        services: Any = [partial(JournalService, make=lambda _: self.store)]
        self.pool = AgentPool(parse_manifest(text), services=services, system=self.system, exit_timeout=1.0)

    @property
    def handled(self) -> int:
        ref = self["pump"].home.find()
        return 0 if ref is None else int(ref._cell.handled)

    async def outcomes(self) -> Counter[tuple[str, str]]:
        rows = self.database.connection.execute("SELECT mailbox, outcome FROM message").fetchall()
        return Counter((mailbox.partition("@")[0], outcome) for mailbox, outcome in rows)


async def test_each_host_does_some_of_the_runs_and_each_run_is_done_once() -> None:
    clock = ManualClock()
    database = shared(clock)
    texts = [f"x{number}" for number in range(40)]
    async with Spread(database, clock) as one, Spread(database, clock) as two:
        await clock.advance(2 * TTL)
        for text in texts:
            await one["pump"].submit(text)
        await clock.advance(1)
        assert desk.begun == desk.ended == Counter(texts)
        assert one.handled + two.handled == len(texts)
        assert min(one.handled, two.handled) >= len(texts) // 8
        assert await one.outcomes() == {("pool/pump", "handled"): 40, ("pool/tail", "handled"): 40}
        for process in (one, two):
            for number in range(8):
                assert await asked(clock, process["pump"], f"{number}", 1) == f"{number}"
        assert one.service.kept == two.service.kept == {"pump": 0, "tail": 0}
        before = sum(desk.begun.values())
        for process in (one, two, one):
            assert await asked(clock, process["pump"], "named", 1, request_id="same") == "named"
        assert sum(desk.begun.values()) == before + 1


async def test_one_host_handles_at_most_as_many_at_the_same_time_as_the_node_may() -> None:
    clock = ManualClock()
    async with Spread(shared(clock), clock) as one:
        await clock.advance(TTL)
        desk.gate.clear()
        texts = [f"x{number}" for number in range(30)]
        for text in texts:
            await one["pump"].submit(text)
        await clock.advance(1)
        assert desk.now == desk.peak == MOST
        ref = one["pump"].home.find()
        assert ref.statistics().depth == 0
        desk.gate.set()
        await clock.advance(1)
        assert desk.begun == desk.ended == Counter(texts)
        assert desk.peak == MOST


async def test_the_runs_of_a_dead_host_are_done_by_the_others() -> None:
    clock = ManualClock()
    database = shared(clock)
    async with Spread(database, clock) as one, Spread(database, clock) as two:
        await clock.advance(2 * TTL)
        desk.gate.clear()
        texts = [f"x{number}" for number in range(40)]
        for text in texts:
            await one["pump"].submit(text)
        waiting = [asyncio.ensure_future(one["pump"].run(f"y{number}")) for number in range(8)]
        await clock.advance(1)
        await two.die()
        desk.gate.set()
        await clock.advance(2 * TTL)
        assert [(await reply).content for reply in waiting] == [f"y{number}" for number in range(8)]
        assert desk.begun.keys() >= {*texts}
        assert {outcome for _, outcome in await one.outcomes()} == {"handled"}
        assert (await one.outcomes())["pool/pump", "handled"] == 48


async def test_what_needs_no_row_is_done_where_it_is_asked() -> None:
    clock = ManualClock()
    database = shared(clock)
    async with Spread(database, clock) as one, Spread(database, clock) as two:
        await clock.advance(2 * TTL)
        for process in (one, two):
            before = process.handled
            assert await asked(clock, process["pump"], "x", 1, durable=False) == "x"
            async with process["pump"].run_stream("y") as stream:
                assert [text async for text in stream.stream_text()] == ["y"]
            assert process.handled == before + 2
            with pytest.raises(NotDurableError, match="lives in all processes"):
                process["pump"].add_context("z")


async def test_a_node_that_is_added_by_code_says_where_it_lives() -> None:
    clock = ManualClock()
    async with Spread(shared(clock), clock) as one:
        agent = one.pool.add_agent
        with pytest.raises(NodeStartError, match="say where it lives in the cluster, by durable=True"):
            await agent("a", model="offline")
        with pytest.raises(NodeStartError, match="cannot be durable with placement='anywhere'"):
            await agent("a", model="offline", durable=True, placement="anywhere")
        await agent("a", model="offline", session=False)
        await agent("b", model="offline", placement="anywhere")
        await agent("c", model="offline", placement="single")
        await agent("d", model="offline", durable=True)
        await agent("e", model="offline", durable=True, session=False, placement="anywhere")
        await clock.advance(TTL)
        for name in "abcde":
            assert await asked(clock, one[name], "x", 1)
        with pytest.raises(NodeStartError, match="say where it lives"):
            await one.pool.replace_node("a", Agent("a", model="offline"))
        assert await asked(clock, one["a"], "x", 1)


async def test_the_command_line_takes_the_parts_of_a_node_for_one() -> None:
    clock = ManualClock()
    async with Spread(shared(clock), clock) as one:
        await clock.advance(TTL)
        for number in range(20):
            await one["pump"].submit(f"!{number}")
        await clock.advance(1)
        letters = await one.store.dead(mailbox="pool/pump")
        assert len(letters) == len(await one.store.dead()) == 20
        assert len({letter.entry.mailbox for letter in letters}) > 2
        await one.store.replay([letter.entry.id for letter in letters])
        await one.store.move("pool/pump", "pool/tail")
        await clock.advance(1)
        assert sum(desk.ended.values()) == 20


async def test_a_host_says_once_what_the_parts_of_a_node_do() -> None:
    clock = ManualClock()
    database = shared(clock)
    async with Spread(database, clock) as one, Spread(database, clock) as two:
        await clock.advance(2 * TTL)
        desk.gate.clear()
        for number in range(40):
            await one["pump"].submit(f"x{number}")
        await clock.advance(TTL)
        rows = [
            row for host in await one.store.hosts() for row in read_snapshot(host.snapshot).nodes if row.name == "pump"
        ]
        assert len(rows) == 2
        assert [row.in_flight for row in rows] == [MOST, MOST]
        assert sum(row.kept for row in rows) == 40
        assert one.service.kept["pump"] + two.service.kept["pump"] == 40
        with pytest.raises(ManifestError, match="`placement` cannot be taken away while"):
            await one.pool.reload(parse_manifest(TEXT.replace("placement: anywhere, ", "", 1)))
        desk.gate.set()
        await clock.advance(1)
        for process in (one, two):
            await process.pool.reload(parse_manifest(TEXT.replace("placement: anywhere, ", "", 1)))
        await clock.advance(TTL)
        for process in (one, two):
            assert await asked(clock, process["pump"], "single", 1) == "single"
        assert [one.is_home("pump"), two.is_home("pump")].count(True) == 1
