"""A day of an open page, simulated: what the process keeps stays within its limits, and what has ended is gone."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from actors.app.pool import AgentPool
from actors.dashboard import feed as feeds
from actors.dashboard import feed_table, spending
from actors.dashboard.feed import Feed, Viewer
from actors.dashboard.spending import DAY, HOUR, MINUTE, Spending
from actors.runtime.errors import ActorStoppingError
from actors.runtime.system import ActorSystem
from actors.testing.clock import ManualClock
from protocols.cost import ZERO_COST
from protocols.events import LoopBlocked, MessageSent, RunCancelled, RunCompleted, RunFailed, RunStarted
from tests.dashboard.test_actions import Careful

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from actors.dashboard.pool_rows import Rows

ROUNDS = 48
STEP = DAY / ROUNDS
ACTORS = 150
CHURN = 8
"""Actors that end and begin in each round, and runs of each kind."""
weight: Callable[[Any], int] = vars(feed_table)["_weight"]
LONG = "\U0001f3ad" * 3_000
MOST_BYTES = 400_000


class Day:
    """The wall clock, a pool whose rows all change in each round, and its events."""

    def __init__(self, system: ActorSystem) -> None:
        self.system = system
        self.round = 0

    def time(self) -> float:
        return 1_000_000.0 + self.round * STEP

    def actors(self, _system: ActorSystem) -> Rows:
        first = self.round * CHURN
        for number in range(first, first + ACTORS):
            yield f"a{number}", {"parent": "", "name": f"actor {number}", "depth": self.round}

    def happen(self) -> None:
        """Publish what happens in one round: runs that end in each way, and some that are never heard of again."""
        publish = self.system.events.publish
        for number in range(4 * CHURN):
            run, node = f"r{self.round}-{number}", f"node {number}"
            publish(RunStarted, actor=node, run_id=run, conversation_id=LONG)
            if number % 4 == 0:
                publish(RunFailed, actor=node, run_id=run, error=LONG, error_type="ValueError")
            elif number % 4 == 1:
                publish(RunCancelled, actor=node, run_id=run)
            elif number % 4 == 2:
                publish(MessageSent, actor=node, run_id=run, model=f"model {self.round}", input_tokens=1)
                publish(RunCompleted, actor=node, run_id=run)
        for _ in range(5):
            publish(LoopBlocked, actor=LONG, duration=0.1)


def sizes(feed: Feed) -> Iterator[tuple[str, int, int]]:
    """Yield all that a feed keeps: its name, how much there is, and how much there may be."""
    kept: Any = feed
    for name, table in kept._tables.items():
        weighed = sum(map(weight, table.rows.values()))
        yield f"rows of {name}", len(table.rows), table._most
        yield f"bytes of {name}", table.bytes, MOST_BYTES
        yield f"bytes of {name} that are not counted", abs(table.bytes - weighed), 0
        yield f"changes of {name}", len(table._changed), 0
    events = kept._events
    yield "lines", len(events._lines) + len(events._trouble), 0
    yield "runs", len(events.runs), CHURN  # those that were never heard of again, of this round
    yield "costs", len(events.spending._spent), spending.MOST_ROWS
    yield "tables that are read in part", len(kept._begun), 0
    for viewer in kept._viewers:
        yield "backlog", len(viewer._waiting), feeds.BACKLOG


class Reader:
    """Adds up what one viewer is told."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Any]] = {}
        self.seq = 0

    async def read(self, viewer: Viewer) -> None:
        async for message in viewer.messages():
            event, _, text = message.decode().partition("\ndata: ")
            if not text:
                continue
            data = json.loads(text)
            assert event == "event: snapshot" or data["seq"] == self.seq + 1
            self.seq = data["seq"]
            for name, change in data["tables"].items():
                table = self.tables.setdefault(name, {})
                table.update(change["set"])
                for key in change["gone"]:
                    table.pop(key, None)


async def test_a_day_of_changes_leaves_no_more_than_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_table, "MOST_BYTES", MOST_BYTES)
    monkeypatch.setattr(feeds, "MOST_DEAD", 50)
    monkeypatch.setattr(spending, "MOST_ROWS", 200)
    clock = ManualClock()
    async with ActorSystem("day", clock=clock) as system, AgentPool[None](model="offline", system=system) as pool:
        day = Day(system)
        monkeypatch.setattr(feeds, "time", day)
        feed = Feed(pool, can_act=False)
        monkeypatch.setattr(vars(feed)["_events"], "_wall", day.time)
        monkeypatch.setattr(vars(feed)["_rows"], "actors", day.actors)
        gone = await system.start(Careful).ready()
        await gone.stop()
        reader, dead, seen = feed.join(), feed.join(), Reader()
        reading, unread = asyncio.ensure_future(seen.read(reader)), dead.messages()
        assert [await anext(unread), await anext(unread)][0].startswith(b"retry")
        for day.round in range(ROUNDS):
            day.happen()
            for number in range(0 if day.round % 10 else 40):
                with pytest.raises(ActorStoppingError):
                    gone.tell(f"{LONG} {day.round} {number}")
            await clock.advance(feeds.PERIOD)
            assert day.round % 5 or [(name, size, most) for name, size, most in sizes(feed) if size > most] == []
        told = {name: dict(table.rows) for name, table in vars(feed)["_tables"].items() if table.rows}
        full = {name for name, size, most in sizes(feed) if most and size > 0.9 * most}
        for viewer in (dead, reader):
            viewer.end()
            feed.leave(viewer)
        await unread.aclose()
        await reading

    assert {name: rows for name, rows in seen.tables.items() if rows} == told
    assert min(int(key[1:]) for key in told["actors"]) == (ROUNDS - 1) * CHURN
    assert full >= {"bytes of log", "bytes of failures", "bytes of blocked", "rows of costs"}
    assert len(told["dead"]) == 50


def test_minutes_of_costs_become_hours_and_are_forgotten_after_a_day() -> None:
    spent, last = Spending(), DAY + 3 * HOUR
    for now in range(0, last, MINUTE):
        spent.add(now, "node", "model", 1, 0, ZERO_COST)
        spent.renew(now)

    rows = spent.table.rows.values()
    kept = [row["at"] for row in rows]
    assert len(rows) <= 2 * HOUR / MINUTE + 1 + (DAY + 2 * HOUR) / HOUR
    assert min(kept) >= last - MINUTE - DAY - HOUR
    assert sum(row["input_tokens"] for row in rows) == (last - min(kept)) / MINUTE


def test_more_nodes_than_rows_in_one_minute_leave_the_latest() -> None:
    spent = Spending()
    for number in range(2 * spending.MOST_ROWS):
        spent.add(1.0, f"node {number}", "model", 1, 0, ZERO_COST)
        if number % 1_000 == 0:
            spent.renew(1.0)
    spent.renew(1.0)

    assert len(vars(spent)["_spent"]) == len(spent.table.rows) == spending.MOST_ROWS
    assert f"0/node {2 * spending.MOST_ROWS - 1}/model" in spent.table.rows


def test_a_full_table_that_is_no_ring_takes_no_further_rows_and_says_nothing_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feed_table, "MOST_BYTES", 1_000)
    table = feed_table.FeedTable(2)
    rows = {"a": {"text": "x"}, "b": {"text": "y"}, "c": {"text": "z"}}
    for key, row in rows.items():
        table.put(key, row)
    first = table.take()
    for key, row in rows.items():
        table.put(key, row)
    assert first == {"set": {"a": rows["a"], "b": rows["b"]}, "gone": []}
    assert table.take() is None
    table.put("a", {"text": "x" * 1_000})
    assert table.take() == {"set": {}, "gone": ["a"]}
    table.put("c", rows["c"])
    assert list(table.rows) == ["b", "c"]
