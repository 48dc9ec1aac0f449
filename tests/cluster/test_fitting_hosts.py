"""Which host has a shard, when not all can deliver to all of its nodes: versions differ, or nodes were given up."""

from __future__ import annotations

from functools import partial
from random import Random
from typing import Any

import pytest

from actors import ActorSystem, AgentPool
from actors.app.journal_service import JournalService
from actors.cli.cluster_view import ClusterView
from actors.cluster.lease import fitting_hosts
from actors.config.load import parse_manifest
from actors.testing.clock import ManualClock
from protocols.cluster import HostRecord, shard_of
from tests.cluster.process import SHARDS, TTL, MortalStore, Process, asked, clerk, shared

pytestmark = pytest.mark.usefixtures("no_leaked_actors")

NAMES = ("a", "b", "c", "d", "e", "f")


def shard(mailbox: str) -> int:
    return shard_of(mailbox, SHARDS)


def desk(*names: str) -> list[Any]:
    async def work(prompt: str) -> str:
        return prompt.upper()

    return [clerk(name, work) for name in names]


@pytest.mark.parametrize("seed", range(50))
def test_a_shard_always_fits_to_a_host_and_to_none_that_another_one_surpasses(seed: int) -> None:
    random = Random(seed)
    names = [f"pool/{number}" for number in range(24)]
    hosts = [
        HostRecord(id=str(number), cluster="c", nodes=tuple(random.sample(names, random.randint(18, 24))))
        for number in range(4)
    ]
    waiting = {*random.sample(names, random.randint(0, 24))}
    fits = fitting_hosts(hosts, waiting, shard)
    for no in range(SHARDS):
        known = {one.id: {name for name in one.nodes if shard(name) == no} for one in hosts}
        if no not in fits:
            assert all(nodes == known["0"] for nodes in known.values())
            continue
        assert fits[no]
        for fit in fits[no]:
            assert not any(known[fit] & waiting < nodes & waiting for nodes in known.values())
        for unfit in known.keys() - fits[no]:
            assert any(known[unfit] & waiting <= known[fit] & waiting for fit in fits[no])


@pytest.mark.parametrize("is_whole_pool", [False, True])
async def test_a_node_that_was_given_up_is_handled_by_another_host(*, is_whole_pool: bool) -> None:
    clock = ManualClock()
    database = shared(clock)
    make = partial(desk, *NAMES)
    async with Process(database, clock, make) as one, Process(database, clock, make) as two:
        await clock.advance(2 * TTL)
        lost = next(name for name in NAMES if one.is_home(name))
        siblings = [name for name in NAMES if shard(f"pool/{name}") == shard(f"pool/{lost}")]
        if is_whole_pool:
            one.pool.fail(ValueError("no disk"))
        else:
            await one[lost].ref().stop(block=False)
        tickets = [await two[name].submit("x") for name in NAMES]
        await clock.advance(TTL)
        for ticket in tickets:
            found = await two.store.find(bytes.fromhex(ticket.run_id))
            assert found is not None
            assert found.outcome == "handled"
        moved = NAMES if is_whole_pool else siblings
        assert all(two.is_home(name) and not one.is_home(name) for name in moved)
        _, text = await ClusterView(one.pool.manifest, one.store).hosts()
        why = "ValueError: no disk" if is_whole_pool else "it was stopped"
        assert f"'{lost}' is given up at {one.service.host.about.name}: " in text
        assert why in text


async def test_a_node_that_all_hosts_have_given_up_waits_and_its_shard_stays() -> None:
    clock = ManualClock()
    database = shared(clock)
    make = partial(desk, *NAMES)
    async with Process(database, clock, make) as one:
        ticket: Any = None
        async with Process(database, clock, make) as two:
            for process in (one, two):
                await process["a"].ref().stop(block=False)
            await clock.advance(2 * TTL)
            owners = [process.service.host.leases.leases.keys() for process in (one, two)]
            await clock.advance(2 * TTL)
            assert [process.service.host.leases.leases.keys() for process in (one, two)] == owners
            assert owners[0] | owners[1] == {*range(SHARDS)}
            for name in NAMES[1:]:
                assert await asked(clock, one[name], "x", TTL) == "X"
        async with Process(database, clock, make) as three:
            ticket = await three["a"].submit("x")
            await clock.advance(2 * TTL)
            assert three.is_home("a")
            found = await one.store.find(bytes.fromhex(ticket.run_id))
            assert found is not None
            assert found.outcome == "handled"


class Versioned(Process):
    """A process with a manifest of these nodes."""

    def __init__(self, database: Any, clock: ManualClock, *names: str) -> None:
        super().__init__(database, clock, list)
        self.store = MortalStore(database, shards=SHARDS)
        self.system = ActorSystem("host", clock=clock)
        agents = "".join(
            f"  {name}: {{durable: true, type: callback, callback: 'tests.pool.manifest_functions:shout'}}\n"
            for name in names
        )
        cluster = f'cluster: {{url: "postgresql://u@h/d", shards: {SHARDS}, ttl: {TTL}}}'
        manifest = parse_manifest(f"name: pool\nallow_imports: [tests.pool]\n{cluster}\nagents:\n{agents}")
        services: Any = [partial(JournalService, make=lambda _: self.store)]
        self.pool = AgentPool(manifest, services=services, system=self.system, exit_timeout=1.0)


async def test_messages_for_a_new_node_are_handled_while_the_older_version_runs() -> None:
    clock = ManualClock()
    database = shared(clock)
    news = ("g", "h", "i")
    async with Versioned(database, clock, *NAMES) as old:
        await clock.advance(TTL)
        async with Versioned(database, clock, *NAMES, *news) as new:
            await clock.advance(TTL)
            for process, names in ((new, (*NAMES, *news)), (old, NAMES)):
                for name in names:
                    assert await asked(clock, process[name], "x", 1) == "X"
            assert all(new.is_home(name) for name in news)
            leases = [process.service.host.leases.leases.keys() for process in (old, new)]
            assert leases[0] | leases[1] == {*range(SHARDS)}
            await clock.advance(2 * TTL)
            assert [process.service.host.leases.leases.keys() for process in (old, new)] == leases
            waiting = await new["g"].submit("late")
            await new.die()
        await clock.advance(2 * TTL)
        assert all(old.is_home(name) for name in NAMES)
        for name in NAMES:
            assert await asked(clock, old[name], "x", 1) == "X"
        async with Versioned(database, clock, *NAMES, *news) as again:
            await clock.advance(TTL)
            found = await again.store.find(bytes.fromhex(waiting.run_id))
            assert found is not None
            assert found.outcome == "handled"


async def test_two_versions_of_which_each_knows_a_node_of_its_own_take_turns() -> None:
    clock = ManualClock()
    database = shared(clock)
    first = "a"
    second = next(name for n in range(100) if shard(f"pool/{(name := f'n{n}')}") == shard("pool/a"))
    async with Versioned(database, clock, first, "b") as one, Versioned(database, clock, second, "b") as two:
        await clock.advance(2 * TTL)
        for _ in range(2):
            for process, name in ((one, first), (two, second)):
                assert await asked(clock, process[name], "x", TTL) == "X"
                assert process.is_home(name)
