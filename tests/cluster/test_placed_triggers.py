"""Triggers have a place in a cluster: each source runs in one process, and moves when that ends."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from actors import ActorSystem, AgentPool
from actors.app.journal_service import JournalService
from actors.app.trigger_service import TriggerService
from actors.config.load import parse_manifest
from actors.testing.clock import ManualClock
from tests.cluster.process import SHARDS, TTL, MortalStore, Process, clerk, shared

pytestmark = pytest.mark.usefixtures("no_leaked_actors")

NAMES = [f"t{number}" for number in range(6)]
MANIFEST = parse_manifest(f"""
allow_imports: [tests.pool]
storage: {{log_messages: true}}
cluster: {{url: "postgresql://u@h/d", shards: {SHARDS}, ttl: {TTL}}}
agents:
  clerk:
    durable: true
    type: callback
    callback: "tests.pool.manifest_functions:shout"
    triggers:
{"".join(f"      - {{type: interval, name: {name}, every: 10, prompt: tick}}{chr(10)}" for name in NAMES)}
      - {{type: webhook, name: hook, port: 0, path: /in}}
""")


class Served(Process):
    """A process with the triggers of a manifest."""

    def __init__(self, database: Any, clock: ManualClock) -> None:
        super().__init__(database, clock, list)
        self.store = MortalStore(database, shards=SHARDS)
        self.system = ActorSystem("host", clock=clock)
        services: Any = [partial(JournalService, make=lambda _: self.store), TriggerService]
        self.pool = AgentPool(MANIFEST, services=services, system=self.system, exit_timeout=1.0)

    @property
    def triggers(self) -> list[str]:
        found = self.pool.service(TriggerService)
        assert found is not None
        return sorted(trigger.settings.name for trigger in found.plan.triggers)


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
