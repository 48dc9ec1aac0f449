"""Hosts in memory whose database is slow, loses answers, or whose processes end: what simulations are made of."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from actors.storage import cluster_tables
from actors.storage.cluster_memory import MemoryClusterStore, MemoryDatabase
from protocols.journal import JournalError
from tests.contracts.journal_kinds import START, handled, id_of
from tests.storage.cluster_hosts import SHARDS, Host, mailbox_of, message

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class Gates:
    """Holds up what has a name until it is let through, or fails it."""

    def __init__(self) -> None:
        self.held: dict[str, asyncio.Event] = {}
        self.lost: set[str] = set()
        self.passed: list[str] = []

    async def __call__(self, name: str) -> None:
        if name in self.held:
            await self.held[name].wait()
        self.passed.append(name)
        if name in self.lost:
            self.lost.discard(name)
            raise JournalError("lost")


@pytest.fixture
async def database() -> AsyncGenerator[MemoryDatabase]:
    """Return a database, and close its hosts at the end."""
    made = MemoryDatabase(now=lambda: START)
    yield made
    for store in tuple(made.hosts.values()):
        store.die()


async def opened(database: MemoryDatabase, gates: Gates | None = None, *, claims: bool = False) -> Host:
    store = MemoryClusterStore(database, shards=SHARDS, gate=gates)
    host = Host(store)
    await host.store.open()
    await host.renew()
    if claims:
        await host.claim()
    return host


async def test_many_open_messages_are_counted_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_tables, "COUNTED", 1)
    time = [START]
    database = MemoryDatabase(now=lambda: time[0])
    host, other = await opened(database, claims=True), await opened(database)
    seen: list[int] = []
    for number in range(6):
        await other.store.accept([message(number, 0)])
        await host.store.version()
        seen.append(host.store.statistics().open)
        time[0] += 1
    assert seen == [1, 2, 2, 4, 4, 4]
    for one in (host, other):
        await one.store.close()


async def test_a_write_waits_at_the_gate_and_others_do_not_see_it(database: MemoryDatabase) -> None:
    gates = Gates()
    slow, other = await opened(database, gates, claims=True), await opened(database)
    gates.held["write"] = asyncio.Event()
    write = slow.store.accept([message(1, 0)])
    assert await other.store.counts() == {}
    gates.held["write"].set()
    assert await write != [None]
    assert await other.store.counts() == {mailbox_of(0): 1}


async def test_a_write_whose_answer_is_late_is_seen_by_others_before(database: MemoryDatabase) -> None:
    gates = Gates()
    slow, other = await opened(database, gates), await opened(database, claims=True)
    gates.held["write done"] = asyncio.Event()
    write = slow.store.accept([message(1, 0)])
    assert (await other.told()).mailboxes == (mailbox_of(0),)
    assert not write.done()
    gates.held["write done"].set()
    assert await write != [None]


@pytest.mark.parametrize("name", ["write", "write done"])
async def test_a_write_that_fails_at_the_gate_is_made_once(database: MemoryDatabase, name: str) -> None:
    gates = Gates()
    host = await opened(database, gates)
    gates.lost.add(name)
    assert await host.store.accept([message(1, 0)]) != [None]
    assert host.store.statistics().duplicates == 0


async def test_a_claim_whose_answer_is_lost_was_made(database: MemoryDatabase) -> None:
    gates = Gates()
    host = await opened(database, gates)
    for name in ("claim", "claim done"):
        gates.lost.add(name)
        with pytest.raises(JournalError, match="lost"):
            await host.claim(3)
    assert await host.renew() == [0, 1, 2]


async def test_a_lost_notice_is_found_by_a_look(database: MemoryDatabase) -> None:
    gates = Gates()
    host, other = await opened(database, gates, claims=True), await opened(database)
    gates.lost.add("notice")
    await other.store.accept([message(1, 0)])
    await other.store.accept([message(2, 1)])
    assert (await host.told()).mailboxes == (mailbox_of(1),)
    assert set((await host.look()).mailboxes) == {mailbox_of(0), mailbox_of(1)}


async def test_what_a_dead_host_had_not_committed_is_lost_and_the_rest_is_there(database: MemoryDatabase) -> None:
    gates = Gates()
    host, other = await opened(database, gates, claims=True), await opened(database)
    await host.store.accept([message(1, 0)])
    gates.held["write"] = asyncio.Event()
    late = [host.store.accept([message(2, 0)]), host.of(0).settle(handled(1))]
    await asyncio.sleep(0)
    database.hosts[host.store.host].die()
    gates.held["write"].set()
    await other.store.counts()
    assert not any(one.done() for one in late)
    with pytest.raises(JournalError, match="is not open"):
        await host.renew()
    found = await other.store.find(id_of(1))
    assert found is not None
    assert found.outcome is None
    assert await other.store.find(id_of(2)) is None


async def test_a_host_that_thaws_has_lost_what_others_took(database: MemoryDatabase) -> None:
    gates = Gates()
    host, other = await opened(database, gates, claims=True), await opened(database)
    await other.store.accept([message(1, 0)])
    gates.held["write"] = asyncio.Event()
    late = host.of(0).settle(handled(1, reply=b"late"))
    database.connection.execute("UPDATE host SET until = 0 WHERE id = ?", (host.store.host,))
    await other.claim()
    gates.held["write"].set()
    with pytest.raises(JournalError, match="shard 0 belongs to another host now"):
        await late
    await other.of(0).settle(handled(1, reply=b"good"))
    found = await host.store.find(id_of(1))
    assert found is not None
    assert found.reply == b"good"
