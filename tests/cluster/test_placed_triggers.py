"""Triggers have a place in a cluster: each source runs in one process, and moves when that ends."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from actors import ActorSystem, AgentPool
from actors.app import trigger_service
from actors.app.journal_service import JournalService
from actors.app.trigger_service import TriggerService
from actors.config.load import parse_manifest
from actors.testing.clock import ManualClock
from actors.triggers.plan import plan_triggers
from tests.cluster.process import SHARDS, TTL, MortalStore, Process, clerk, shared

pytestmark = pytest.mark.usefixtures("no_leaked_actors")

START = 1_000.0
NAMES = [f"t{number}" for number in range(6)]
SCHEDULED = "      - {{type: time, name: cron, schedule: '*/10 * * * * *', timezone: UTC, prompt: tick, make_up: {}}}\n"
INTERVALS = "".join(f"      - {{type: interval, name: {name}, every: 10, prompt: tick}}\n" for name in NAMES)
TEXT = f"""
allow_imports: [tests.pool]
storage: {{log_messages: true}}
cluster: {{url: "postgresql://u@h/d", shards: {SHARDS}, ttl: {TTL}}}
agents:
  clerk:
    durable: true
    type: callback
    callback: "tests.pool.manifest_functions:shout"
    triggers:
"""
MANIFEST = parse_manifest(f"{TEXT}{INTERVALS}      - {{type: webhook, name: hook, port: 0, path: /in}}\n")


class Served(Process):
    """A process with the triggers of a manifest."""

    def __init__(self, database: Any, clock: ManualClock, manifest: Any = MANIFEST) -> None:
        super().__init__(database, clock, list)
        self.store = MortalStore(database, shards=SHARDS)
        self.system = ActorSystem("host", clock=clock)
        services: Any = [partial(JournalService, make=lambda _: self.store), TriggerService]
        self.pool = AgentPool(manifest, services=services, system=self.system, exit_timeout=1.0)

    @property
    def service_of_triggers(self) -> TriggerService:
        found = self.pool.service(TriggerService)
        assert found is not None
        return found

    @property
    def triggers(self) -> list[str]:
        return sorted(trigger.settings.name for trigger in self.service_of_triggers.plan.triggers)


async def test_each_source_runs_in_one_process_and_moves() -> None:
    clock = ManualClock()
    database = shared(clock)
    async with Served(database, clock) as one:
        await clock.advance(1)
        assert one.triggers == sorted([*NAMES, "hook"])
        async with Served(database, clock) as two:
            await clock.advance(2 * TTL)
            assert "hook" in one.triggers
            assert "hook" in two.triggers
            served = [name for name in (*one.triggers, *two.triggers) if name != "hook"]
            assert sorted(served) == NAMES
            assert len(two.triggers) > 1
        await clock.advance(1)
        assert one.triggers == sorted([*NAMES, "hook"])


def served(database: Any, process: Served, until: int) -> list[int]:
    """Return the times of the cron line that have a run, in seconds from the start of the clock."""
    (trigger,) = process.service_of_triggers.triggers
    rows = database.connection.execute("SELECT id FROM message").fetchall()
    ids = {id.hex() for (id,) in rows}
    return [time for time in range(0, until + 1, 10) if trigger.kept_id(repr(START + time)) in ids]


async def test_a_time_that_falls_into_a_takeover_has_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    monkeypatch.setattr(trigger_service, "plan_triggers", partial(plan_triggers, wall=lambda: START + clock.now()))
    database, manifest = shared(clock), parse_manifest(TEXT + SCHEDULED.format("all"))
    await clock.advance(15)
    async with Served(database, clock, manifest) as one, Served(database, clock, manifest) as two:
        await clock.advance(33)
        first, other = (one, two) if one.triggers else (two, one)
        assert (first.triggers, other.triggers) == (["cron"], [])
        assert served(database, first, 60) == [20, 30, 40]
        await first.die()
        await clock.advance(10)
        assert other.triggers == ["cron"]
        assert served(database, other, 60) == [20, 30, 40, 50]
        await clock.advance(10)
        assert served(database, other, 70) == [20, 30, 40, 50, 60]


@pytest.mark.parametrize(("make_up", "missed"), [("all", [40, 50, 60, 70]), ("once", [70])])
async def test_times_while_all_processes_were_down_are_made_up_for(
    monkeypatch: pytest.MonkeyPatch, make_up: str, missed: list[int]
) -> None:
    clock = ManualClock()
    monkeypatch.setattr(trigger_service, "plan_triggers", partial(plan_triggers, wall=lambda: START + clock.now()))
    database, manifest = shared(clock), parse_manifest(TEXT + SCHEDULED.format(make_up))
    async with Served(database, clock, manifest) as one:
        await clock.advance(31)
        assert served(database, one, 30) == [10, 20, 30]
    await clock.advance(75 - clock.now())
    async with Served(database, clock, manifest) as two:
        await clock.advance(1)
        assert served(database, two, 80) == [10, 20, 30, *missed]
        await clock.advance(10)
        assert served(database, two, 90) == [10, 20, 30, *missed, 80]


async def test_a_process_is_drained_and_runs_on() -> None:
    clock = ManualClock()
    database = shared(clock)

    async def work(prompt: str) -> str:
        return prompt

    async with (
        Process(database, clock, lambda: [clerk("a", work)]) as one,
        Process(database, clock, lambda: [clerk("a", work)]) as two,
    ):
        await clock.advance(2 * TTL)
        assert [host.is_draining for host in await one.pool.cluster.hosts()] == [False, False]
        assert await one.pool.cluster.drain()
        await clock.advance(TTL)
        assert not one.service.host.leases.leases
        assert two.is_home("a")
        assert sorted(host.is_draining for host in await two.pool.cluster.hosts()) == [False, True]
        assert not await one.pool.cluster.drain("unknown")
