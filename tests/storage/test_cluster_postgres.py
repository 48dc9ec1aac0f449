"""Hosts that share a journal in PostgreSQL, when connections, the server, notifications or other hosts fail."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import make_url

from actors.storage.cluster_postgres import PostgresClusterStore
from actors.storage.journal_postgres import PostgresJournal
from actors.storage.postgres_connection import PostgresConnection, translated
from protocols.cluster import HostRecord, LeaseLostError
from protocols.journal import Entry, JournalError, JournalFencedError, JournalLockedError, JournalVersionError
from tests.contracts.journal_kinds import CLERK, START, dead, entry, handled, id_of
from tests.storage.cluster_hosts import SHARDS, Host, PostgresCluster, mailbox_of, message

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.storage.postgres_server import PostgresServer

ROOT = Path(__file__).parent.parent.parent
HOSTS = "application_name = 'understage_journal_1_host' AND pid <> pg_backend_pid()"


async def connected(server: PostgresServer) -> Any:
    """Return a connection of another program."""
    driver: Any = import_module("asyncpg")  # it has no types
    return await driver.connect(server.url)


@pytest.fixture
async def cluster(postgres: PostgresServer) -> AsyncGenerator[PostgresCluster]:
    """Return a cluster whose hosts are closed at the end."""
    made = PostgresCluster(postgres)
    yield made
    await made.close()


@pytest.fixture
async def pair(cluster: PostgresCluster) -> list[Host]:
    """Return two hosts that share the shards."""
    hosts = [await cluster.host(), await cluster.host()]
    assert [len(await host.claim(SHARDS // 2)) for host in hosts] == [4, 4]
    return hosts


# ------------------------------------------------------------------------------------ lost connections


async def work(hosts: list[Host], ended: asyncio.Event) -> int:
    """Have each host send messages into all shards until an event, and settle its own; return how many."""
    counts = [0, 0]

    async def send(at: int) -> None:
        while not ended.is_set() or counts[at] < 20:
            number = at * 1_000_000 + counts[at]
            assert None not in await hosts[at].store.accept([message(number, number % SHARDS)])
            owner = next(host for host in hosts if number % SHARDS in host.leases)
            memory = ((mailbox_of(number % SHARDS), id_of(number)),)
            await owner.of(number % SHARDS).settle(handled(number, memory=memory))
            counts[at] += 1

    async with asyncio.TaskGroup() as tasks:
        for at in (0, 1):
            tasks.create_task(send(at))
    kept = [await hosts[0].store.memory(mailbox_of(shard), 100_000) for shard in range(SHARDS)]
    found = [int.from_bytes(one, "big") for memory in kept for one in memory]
    assert sorted(found) == [at * 1_000_000 + n for at in (0, 1) for n in range(counts[at])]
    return sum(counts)


async def test_nothing_is_lost_or_doubled_when_connections_are_ended(
    postgres: PostgresServer, pair: list[Host]
) -> None:
    ended = asyncio.Event()

    async def terminate() -> None:
        for _ in range(5):
            await postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {HOSTS}")
            for host in pair:  # which uses the connection of the leases
                assert len(await host.renew()) == 4
        ended.set()

    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(work(pair, ended))
        tasks.create_task(terminate())


async def test_nothing_is_lost_or_doubled_when_the_server_goes_down(postgres: PostgresServer, pair: list[Host]) -> None:
    ended = asyncio.Event()

    async def restart() -> None:
        await asyncio.to_thread(postgres.stop)
        with pytest.raises(JournalError, match=r"cannot be reached|lost its connection|shutting down"):
            await pair[0].renew()
        await asyncio.to_thread(postgres.start)
        for host in pair:
            assert len(await host.renew()) == 4
        ended.set()

    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(work(pair, ended))
        tasks.create_task(restart())


@pytest.mark.parametrize("is_committed", [True, False])
async def test_a_commit_whose_answer_was_lost_is_made_once_and_told(
    pair: list[Host], monkeypatch: pytest.MonkeyPatch, is_committed: bool
) -> None:
    first, second = pair
    shard = next(iter(second.leases))
    send, lost = PostgresConnection.send, list[str]()

    def lossy(self: PostgresConnection, sql: str) -> Any:
        if not sql.endswith("COMMIT") or lost:
            return send(self, sql)
        lost.append(sql)
        if is_committed:
            send(self, sql)
        self.drop()
        raise ConnectionResetError("lost")

    monkeypatch.setattr(PostgresConnection, "send", lossy)
    assert None not in await first.store.accept([message(1, shard)])
    assert (await second.told()).mailboxes == (mailbox_of(shard),)
    assert (lost[0].startswith("NOTIFY"), first.store.statistics().duplicates) == (True, 0)


async def test_what_was_said_while_the_connection_that_listens_was_lost_is_found(
    postgres: PostgresServer, pair: list[Host]
) -> None:
    first, second = pair
    shard = next(iter(second.leases))
    await postgres.execute(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {HOSTS} AND query LIKE '%COMMIT%'"
    )
    await first.store.accept([message(1, shard)])
    assert (await second.look()).mailboxes == (mailbox_of(shard),)
    await second.renew()
    assert (await second.told()).is_partial
    await first.store.accept([message(2, shard)])
    assert (await second.told()).mailboxes == (mailbox_of(shard),)


async def test_a_renewal_that_the_server_does_not_answer_is_given_up(
    postgres: PostgresServer, cluster: PostgresCluster
) -> None:
    host = await cluster.host()
    holder = await connected(postgres)
    await holder.execute("BEGIN; LOCK TABLE understage_journal_1.host")
    with pytest.raises(JournalError, match=r"did not answer within 0.1 s \(renew\)"):
        await host.store.renew(host.me, 0.3)
    await holder.close()
    assert await host.renew() == []


async def test_a_late_host_that_is_renewing_its_leases_at_this_moment_keeps_them(
    postgres: PostgresServer, pair: list[Host], cluster: PostgresCluster
) -> None:
    first, second = pair
    await cluster.expire(first)
    renewal = await connected(postgres)
    await renewal.execute(
        f"BEGIN; UPDATE understage_journal_1.host SET until = until + 60 WHERE id = '{first.store.host}'"
    )
    assert await second.claim() == []
    await renewal.execute("COMMIT")
    await renewal.close()
    assert await second.claim() == []
    assert len(await first.renew()) == 4


async def test_the_wall_time_is_that_of_the_server(
    postgres: PostgresServer, cluster: PostgresCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: START)
    host = await cluster.host()
    program = await connected(postgres)
    asked = "SELECT extract(epoch FROM clock_timestamp())::float8"
    for _ in range(3):
        before, now, after = await program.fetchval(asked), host.store.wall(), await program.fetchval(asked)
        assert before - 5 < now < after + 5
        await host.renew()
    await program.close()


# -------------------------------------------------------------------------------------------- notifications


async def test_a_notification_that_is_too_long_says_only_that_there_is_something(pair: list[Host]) -> None:
    first, second = pair
    names = [f"pool/{'long' * 200}{n}" for n in range(100)]
    theirs = [name for name in names if second.store.shard(name) in second.leases]
    entries = [Entry(id_of(n), name, "", "run1", b"", START) for n, name in enumerate(theirs)]
    await first.store.accept(entries)
    notice = await second.told()
    assert (notice.mailboxes, notice.is_partial) == ((), True)
    assert set((await second.look()).mailboxes) == set(theirs)


async def test_a_notice_of_another_version_says_that_there_is_something(
    postgres: PostgresServer, pair: list[Host]
) -> None:
    for payload in ("", "garbage", '{"given_up": [["AA==", "in a new way"]]}'):
        await postgres.execute(f"NOTIFY understage_{pair[0].store.host}, '{payload}'")
        assert (await pair[0].told()).is_partial


async def test_a_mailbox_of_any_name_is_told(pair: list[Host]) -> None:
    first, second = pair
    odd = 'pool/it\'s \0 \\ "ü" ? $1 REAL BLOB wall() '
    name = next(name for n in range(99) if second.store.shard(name := f"{odd}{n}") in second.leases)
    await first.store.accept([entry(1, name)])
    assert (await second.told()).mailboxes == (name,)
    assert (await second.look()).mailboxes == (name,)


async def test_what_is_said_to_other_hosts_is_not_remembered(pair: list[Host]) -> None:
    first, second = pair
    names = [name for n in range(40) if second.store.shard(name := f"pool/{n}") in second.leases]
    await first.store.accept([entry(0, names[0])])
    known = translated.cache_info().currsize
    for number, name in enumerate(names[1:], 1):
        await first.store.accept([entry(number, name)])
    assert translated.cache_info().currsize == known


# ------------------------------------------------------------------------------------------- frozen hosts


@pytest.mark.parametrize("place", ["transaction", "statement"])
@pytest.mark.parametrize("is_taken", [True, False])
async def test_a_host_that_freezes_in_a_transaction_holds_nothing_up_and_ends_no_message_afterwards(
    postgres: PostgresServer, cluster: PostgresCluster, is_taken: bool, place: str
) -> None:
    host = await cluster.host()
    assert isinstance(host.store, PostgresClusterStore)
    vars(host.store)["_leases"].patience = 0.2  # as that of the other one
    await host.store.accept([message(1, 0)])
    command = [sys.executable, "-m", "tests.storage.cluster_child", postgres.url, str(SHARDS), "1", place]
    child = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    assert child.stdout is not None
    try:
        async with asyncio.timeout(20):
            assert await child.stdout.readline() == b"frozen\n"
            frozen = next(one for one in await host.store.hosts() if one.name == "frozen")
            accepting = host.store.accept([message(2, 0)])  # waits until the server ends the transaction
            while not accepting.done():  # as a host does all the time
                await host.renew()
            assert None not in accepting.result()
            if is_taken:
                await postgres.execute(f"UPDATE understage_journal_1.host SET until = 0 WHERE id = '{frozen.id}'")
                assert 0 in await host.claim()
                await host.of(0).settle(handled(1, reply=b"good"))
            child.send_signal(signal.SIGCONT)
            said = await child.stdout.readline()
        assert said.startswith(b"LeaseLostError" if is_taken else b"settled")
        found = await host.store.find(id_of(1))
        assert found is not None
        assert found.reply == (b"good" if is_taken else b"late")
    finally:
        child.kill()
        await child.wait()


# ------------------------------------------------------------------------------------ with and without a cluster


async def test_a_pool_without_cluster_is_refused_while_hosts_live_and_fences_those_that_come_back(
    postgres: PostgresServer, cluster: PostgresCluster
) -> None:
    host = await cluster.host()
    await host.claim()
    await host.store.accept([message(1, 0)])
    single = PostgresJournal(postgres.url, pool="pool")
    with pytest.raises(JournalLockedError, match="is used by the cluster 'orders'"):
        await single.open()
    await cluster.expire(host)
    await single.open()
    late = await asyncio.gather(
        host.store.accept([message(2, 0)]), host.of(0).settle(handled(1)), return_exceptions=True
    )
    assert [type(error) for error in late] == [JournalFencedError] * 2
    assert len(await single.waiting(mailbox_of(0), 0, 9)) == 1
    await single.close()


async def test_a_host_is_refused_while_a_process_without_cluster_has_the_pool(
    postgres: PostgresServer, cluster: PostgresCluster
) -> None:
    single = PostgresJournal(postgres.url, pool="pool")
    await single.open()
    await single.accept([entry(1)])
    with pytest.raises(JournalLockedError, match="is used by a process without `cluster:`"):
        await cluster.host()
    await single.close()
    async with asyncio.timeout(20):
        while not cluster.hosts[-1].store.statistics().open:  # until the server has seen the end of the connections
            try:
                await cluster.host()
            except JournalLockedError:
                continue
    assert await cluster.hosts[-1].store.counts() == {CLERK: 1}


async def test_a_guest_replays_and_drains_and_hosts_are_not_kept_from_beginning(
    postgres: PostgresServer, cluster: PostgresCluster
) -> None:
    host = await cluster.host()
    await host.claim()
    await host.store.accept([message(1, 0)])
    await host.of(0).settle(dead(1))
    before = await host.store.version()
    for guest in (
        PostgresClusterStore(postgres.url, pool="pool", shards=3, as_guest=True),
        PostgresJournal(postgres.url, pool="pool", as_guest=True),
    ):
        await guest.open()
        await cluster.host()
        assert len(await guest.replay([id_of(1)])) == 1
        await host.of(0).settle(dead(1))
        if isinstance(guest, PostgresClusterStore):
            assert (await host.told()).mailboxes == (mailbox_of(0),)
            assert await guest.drain(host.store.host)
            assert len(await guest.hosts()) == 2
            assert [guest.shard(mailbox_of(shard)) for shard in range(SHARDS)] == [*range(SHARDS)]
        await guest.close()
    assert await host.store.version() != before
    assert await host.is_draining()


# --------------------------------------------------------------------------------------------------- opening


async def test_a_journal_of_an_older_version_gets_the_tables_of_a_cluster(
    postgres: PostgresServer, cluster: PostgresCluster
) -> None:
    single = PostgresJournal(postgres.url, pool="pool")
    await single.open()
    await single.accept([entry(1)])
    await single.close()
    tables = ", ".join(f"understage_journal_1.{name}" for name in ("shard", "host", "lane", "caller"))
    await postgres.execute(f"DROP TABLE {tables}", "UPDATE understage_journal.pool SET version = 1")
    with pytest.raises(JournalVersionError, match="has the old schema 1; open its pool once"):
        await PostgresClusterStore(postgres.url, pool="pool", as_guest=True).open()
    async with asyncio.timeout(20):
        while not cluster.hosts or not cluster.hosts[-1].leases:
            try:
                await (await cluster.host()).claim()
            except JournalLockedError:  # until the server has seen the end of the connections
                continue
    assert await cluster.hosts[-1].store.counts() == {CLERK: 1}


async def test_a_journal_of_a_newer_version_is_not_touched(postgres: PostgresServer, cluster: PostgresCluster) -> None:
    host = await cluster.host()
    await postgres.execute("UPDATE understage_journal.pool SET version = 99")
    with pytest.raises(JournalVersionError, match="has schema 99"):
        await cluster.host()
    assert await host.store.accept([message(1, 0)]) != [None]


async def test_what_a_user_may_not_do_is_said(postgres: PostgresServer) -> None:
    await postgres.execute("DROP ROLE IF EXISTS reader", "CREATE ROLE reader LOGIN PASSWORD 'pw'")
    url = make_url(postgres.url).set(username="reader", password="pw").render_as_string(hide_password=False)
    with pytest.raises(JournalError, match="permission denied for database postgres; GRANT CREATE"):
        await PostgresClusterStore(url, pool="pool").open()
    await postgres.execute("DROP ROLE reader")


async def test_a_host_that_was_closed_opens_again(cluster: PostgresCluster) -> None:
    host = await cluster.host()
    await host.store.accept([message(1, 0)])
    await host.store.close()
    await host.store.open()
    await host.store.renew(HostRecord(id=host.store.host, cluster="orders"), 60.0)
    assert await host.store.accept([message(2, 0)]) != [None]


async def test_a_change_of_owners_that_this_host_did_not_see_refuses_the_late_write_only(pair: list[Host]) -> None:
    first, second = pair
    shard = next(iter(first.leases))
    await first.store.accept([message(1, shard), message(2, shard)])
    await first.of(shard).settle(handled(1))
    await first.store.give_back([first.leases[shard]])
    await second.claim()
    results = await asyncio.gather(
        first.of(shard).settle(handled(2)), first.store.accept([message(3, shard)]), return_exceptions=True
    )
    assert isinstance(results[0], LeaseLostError)
    assert isinstance(results[1], list)
    assert set((await second.look()).mailboxes) == {mailbox_of(shard)}
