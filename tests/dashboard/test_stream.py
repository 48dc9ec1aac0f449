"""The stream: a snapshot, then numbered changes, and nothing without a viewer."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from actors.agents.agent import Agent
from actors.app.pool import AgentPool
from actors.dashboard import feed as feeds
from actors.dashboard import pool_rows
from actors.runtime.actor import AsyncioActor
from actors.runtime.system import ActorSystem
from actors.testing.models import failing_model
from protocols.events import RunFailed, RunStarted, ToolCalled
from tests.dashboard.client import Site, site
from tests.support.waiting import TIMEOUT, wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.usefixtures("no_leaked_actors")

HOSTILE = "<script>alert(1)</script>\u202e'\"\ud800"


@pytest.fixture
async def pool() -> AsyncGenerator[AgentPool[None]]:
    async with AgentPool[None](model="offline") as opened:
        await opened.add_agent("writer")
        yield opened


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "PERIOD", 0.0)


def events_of(pool: AgentPool[None]) -> Any:
    return pool["writer"].ref().system.events


async def at_rest(pool: AgentPool[None], shown: Site) -> None:
    await wait_until(lambda: not shown.feed.viewers)
    await wait_until(lambda: not events_of(pool)._by_target)
    await wait_until(lambda: not [task for task in asyncio.all_tasks() if task.get_name().startswith("dashboard")])


async def test_a_viewer_sees_the_pool_its_actors_and_its_nodes(pool: AgentPool[None]) -> None:
    async with site(pool) as shown, shown.stream() as frames:
        event, data = await frames.next()

    assert (event, data["part"], data["parts"]) == ("snapshot", 0, 1)
    assert frames.tables["pool"]["pool"]["status"] == "ready"
    assert frames.tables["nodes"]["writer"]["kind"] == "agent"
    rows = frames.tables["actors"].values()
    (writer,) = (row for row in rows if row["name"] == "writer")
    assert (writer["node"], writer["state"]) == ("writer", "running")
    assert frames.tables["actors"][writer["parent"]]["type"] == "Supervisor"


async def test_changes_are_numbered_without_gaps_and_add_up_to_a_new_snapshot(pool: AgentPool[None]) -> None:
    async with site(pool) as shown, shown.stream() as frames:
        await frames.next()
        for _ in range(3):
            await pool["writer"].run("a question")
            await frames.next()
        async with shown.stream() as fresh:
            await fresh.next()
        await frames.until(lambda tables: tables["nodes"]["writer"]["runs"] == 3)

    assert frames.seqs == list(range(frames.seqs[0], frames.seqs[-1] + 1))
    assert fresh.tables["nodes"] == frames.tables["nodes"]
    assert {"run_started", "message_sent"} <= {row["kind"] for row in frames.tables["log"].values()}


async def test_a_run_is_shown_from_its_begin_to_its_end_also_if_it_began_before_the_first_viewer(
    pool: AgentPool[None],
) -> None:
    begun, going = asyncio.Event(), asyncio.Event()

    async def wait(_text: str) -> str:
        begun.set()
        await going.wait()
        return "done"

    await pool.add_node(Agent.from_callback(wait, name="slow"))
    running = asyncio.ensure_future(pool["slow"].run("go", conversation_id="c1"))
    await begun.wait()
    async with site(pool) as shown, shown.stream() as frames:
        tables = await frames.until(lambda tables: tables.get("runs"))
        (run,) = tables["runs"].values()
        assert (run["node"], run["kind"], run["state"], run["conversation"]) == ("slow", "agent", "running", "c1")
        going.set()
        await running
        await frames.until(lambda tables: not tables["runs"])


async def test_without_a_viewer_nothing_is_left(pool: AgentPool[None]) -> None:
    async with site(pool) as shown:
        assert not events_of(pool)._by_target
        for _ in range(2):
            async with shown.stream() as one, shown.stream() as other:
                await one.next()
                await other.next()
                assert shown.feed.viewers == 2
                assert len(events_of(pool)._by_target) == 1
            await at_rest(pool, shown)


async def test_the_pool_says_since_when_its_events_are_followed(
    pool: AgentPool[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []
    async with site(pool) as shown:
        for now in (1_000.0, 2_000.0):
            monkeypatch.setattr(feeds, "time", SimpleNamespace(time=partial(float, now)))
            async with shown.stream() as one:
                await one.next()
                monkeypatch.setattr(feeds, "time", SimpleNamespace(time=partial(float, now + 500)))
                async with shown.stream() as other:
                    await other.next()
                    seen += [frames.tables["pool"]["pool"]["since"] for frames in (one, other)]
            await at_rest(pool, shown)

    assert seen == [1_000.0, 1_000.0, 2_000.0, 2_000.0]


async def test_streams_end_with_the_server_before_its_grace_and_the_end_of_a_run(pool: AgentPool[None]) -> None:
    begun, going = asyncio.Event(), asyncio.Event()

    async def wait(_text: str) -> str:
        begun.set()
        await going.wait()
        return "done"

    await pool.add_node(Agent.from_callback(wait, name="slow"))
    running = asyncio.ensure_future(pool["slow"].run("go"))
    await begun.wait()
    async with site(pool, grace=1_000_000) as shown, AsyncExitStack() as stack:
        tabs = [await stack.enter_async_context(shown.stream()) for _ in range(7)]
        for frames in tabs:
            await frames.next()
        async with asyncio.timeout(TIMEOUT):
            await shown.stop()
        assert not running.done()
        for frames in tabs:
            with pytest.raises(EOFError):
                await frames.until(lambda _: False)
    going.set()
    assert (await running).text == "done"


async def test_a_slow_viewer_gets_all_rows_anew_in_place_of_a_backlog(pool: AgentPool[None]) -> None:
    async with site(pool) as shown, shown.stream() as frames:
        await frames.next()
        slow = shown.feed.join()
        messages = slow.messages()
        first = [await anext(messages) for _ in range(2)]
        for _ in range(feeds.BACKLOG + 2):
            await pool["writer"].run("a question")
            await frames.next()
        anew = await anext(messages)
        await messages.aclose()
        shown.feed.leave(slow)

    assert first[1].startswith(b"event: snapshot")
    assert anew.startswith(b"event: snapshot")
    assert int(anew.partition(b'"seq":')[2].partition(b",")[0]) >= frames.seqs[-1]


async def test_hostile_texts_arrive_as_data_and_cut(pool: AgentPool[None]) -> None:
    await pool.add_agent("broken", model=failing_model(ValueError(HOSTILE + "x" * 1_000_000 + " sk-canary-0123456789")))
    async with site(pool) as shown, shown.stream() as frames:
        await frames.next()
        with pytest.raises(ValueError, match="script"):
            await pool["broken"].run("go")
        tables = await frames.until(lambda tables: tables.get("failures"))

    (failure,) = tables["failures"].values()
    assert failure["error"].startswith("<script>alert(1)</script>\u202e")
    assert len(failure["error"]) <= 2_000


async def test_a_large_pool_is_read_in_part_between_two_messages_and_still_told_as_it_is(
    pool: AgentPool[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(9):
        await pool.add_agent(f"reader {number}")
    monkeypatch.setattr(feeds, "SLICE", 2)
    monkeypatch.setattr(feeds, "MOST_READ", 4)
    read: list[int] = [0]
    make, tell = vars(pool_rows)["_node"], vars(feeds.Feed)["_tell"]

    def made(node: Any) -> Any:
        read[-1] += 1
        return make(node)

    def told(self: feeds.Feed) -> None:
        tell(self)
        read.append(0)

    monkeypatch.setattr(pool_rows, "_node", made)
    monkeypatch.setattr(feeds.Feed, "_tell", told)
    async with site(pool) as shown, shown.stream() as frames:
        tables = await frames.until(lambda tables: len(tables.get("nodes", ())) == 10)
        await pool["reader 8"].run("a question")
        await frames.until(lambda tables: tables["nodes"]["reader 8"]["runs"] == 1)
        await pool.remove_node("reader 3")
        await frames.until(lambda tables: "reader 3" not in tables["nodes"])
        await frames.until(lambda tables: tables["pool"]["pool"]["status"] == "ready")
        names = [row["node"] for row in frames.tables["actors"].values() if row["name"].startswith("reader")]

    assert read[0] == len(tables["nodes"]) + 1
    assert max(read[1:]) <= 4
    assert sorted(names) == sorted(name for name in frames.tables["nodes"] if name != "writer")


async def test_a_burst_of_events_does_not_push_trouble_out_of_the_log(pool: AgentPool[None]) -> None:
    async with site(pool) as shown, shown.stream() as frames:
        await frames.next()
        events = events_of(pool)
        events.publish(RunStarted, actor="first", run_id="r")
        events.publish(RunFailed, actor="broken", run_id="r", error_type="ValueError", error="no")
        for _ in range(2_000):
            events.publish(ToolCalled, actor="busy", run_id="r", tool_name="search")
        lines = (await frames.until(lambda tables: len(tables.get("log", ())) > 200))["log"].values()

    assert [(row["node"], row["level"], row["kind"]) for row in lines][:3] == [
        ("", "info", "events_left_out"), ("broken", "error", "run_failed"), ("busy", "info", "tool_called"),
    ]  # fmt: skip
    assert len(lines) == 202


class Idle(AsyncioActor):
    """Waits."""


async def test_ten_thousand_actors_come_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    turns = 0

    def count() -> None:
        nonlocal turns
        turns += 1
        loop.call_soon(count)

    loop = asyncio.get_running_loop()
    async with ActorSystem("many") as system, AgentPool[None](model="offline", system=system) as pool:
        for _ in range(10_000):
            system.start(Idle)
        whole = type(system).rows

        def probed(self: ActorSystem) -> Any:
            for row in whole(self):
                taken.append(turns)
                yield row

        written: list[int] = []
        write = vars(feeds)["_message"]

        def message(event: str, seq: int, tables: dict[str, Any], **part: int) -> bytes:
            written.append(sum(len(change["set"]) for change in tables.values()))
            return bytes(write(event, seq, tables, **part))

        monkeypatch.setattr(feeds, "_message", message)
        monkeypatch.setattr(ActorSystem, "rows", probed)
        loop.call_soon(count)
        async with site(pool) as shown, shown.stream() as frames:
            await frames.until(lambda tables: len(tables.get("actors", ())) >= 10_000)

    assert max(taken.count(turn) for turn in set(taken)) <= feeds.SLICE
    assert max(*frames.sizes, *written) <= feeds.PART
    assert len(set(frames.seqs)) == 1
