"""What every store of a cluster does: each sentence of `protocols/cluster.py`, over all kinds."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, cast

import pytest

from protocols.cluster import ClusterMismatchError, LeaseLostError, Notice
from protocols.journal import JournalError, JournalFencedError
from tests.contracts.journal_kinds import START, dead, handled, id_of, numbers
from tests.storage.cluster_hosts import SHARDS, MemoryCluster, PostgresCluster, mailbox_of, message

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from protocols.journal import Commit
    from tests.storage.cluster_hosts import Cluster, Host

ALL = [*range(SHARDS)]


@pytest.fixture(params=["memory", "postgres"])
def new_cluster(request: pytest.FixtureRequest) -> Cluster:
    """Return a cluster of each kind without hosts."""
    if request.param == "memory":
        return MemoryCluster(lambda: START)
    return PostgresCluster(request.getfixturevalue("postgres"))


@pytest.fixture
async def cluster(new_cluster: Cluster) -> AsyncGenerator[Cluster]:
    """Return a cluster whose hosts are closed at the end."""
    yield new_cluster
    await new_cluster.close()


@pytest.fixture
async def host(cluster: Cluster) -> Host:
    """Return a host that has all shards."""
    return await alone(cluster)


@pytest.fixture
async def other(host: Host, cluster: Cluster) -> Host:
    """Return another one, without shards."""
    del host
    return await cluster.host()


async def alone(cluster: Cluster) -> Host:
    made = await cluster.host()
    assert await made.claim() == ALL
    return made


async def refused(*writes: Commit[Any]) -> bool:
    """Return True if all writes say that the lease is lost."""
    results: list[Any] = await asyncio.gather(*writes, return_exceptions=True)
    return all(isinstance(result, LeaseLostError) for result in results)


# ---------------------------------------------------------------------------------------------- leases


async def test_each_shard_has_one_host(cluster: Cluster) -> None:
    hosts = [await cluster.host() for _ in range(3)]
    claimed = [await host.claim(3) for host in hosts]
    assert [len(one) for one in claimed] == [3, 3, 2]
    assert sorted(no for one in claimed for no in one) == ALL
    assert [await host.claim() for host in hosts] == [[], [], []]
    assert [await host.renew() for host in hosts] == claimed


async def test_hosts_that_claim_at_once_get_no_shard_twice(cluster: Cluster) -> None:
    hosts = [await cluster.host() for _ in range(4)]
    claimed = await asyncio.gather(*(host.claim(3) for host in hosts for _ in range(2)))
    assert sorted(no for one in claimed for no in one) == ALL


async def test_shards_of_a_host_that_is_late_are_taken_and_it_is_told_by_its_renewal(
    cluster: Cluster, host: Host, other: Host
) -> None:
    before = dict(host.leases)
    await cluster.expire(host)
    assert len(await other.claim(5)) == 5
    assert all(other.leases[no].epoch > before[no].epoch for no in other.leases)
    assert await host.renew() == [no for no in ALL if no not in other.leases]
    assert all(host.leases[no] == before[no] for no in host.leases)
    assert await other.claim() == []


async def test_a_host_that_was_taken_for_dead_and_came_back_has_another_life(
    cluster: Cluster, host: Host, other: Host
) -> None:
    async def lives() -> dict[str, int]:
        return {one.id: one.life for one in await other.store.hosts()}

    before = await lives()
    await host.renew()
    await host.claim()
    assert await lives() == before
    for come_back in (host.renew, host.claim):
        await cluster.expire(host)
        await come_back()
        found = await lives()
        assert found[host.store.host] > before[host.store.host]
        assert found[other.store.host] == before[other.store.host]
        before = found


async def test_a_late_host_whose_shards_stayed_free_keeps_its_leases(cluster: Cluster, host: Host) -> None:
    before = dict(host.leases)
    await cluster.expire(host)
    await host.of(0).settle(handled(1))
    assert await host.renew() == ALL
    assert host.leases == before


async def test_shards_that_are_given_back_are_free_at_once_and_the_others_are_told(host: Host, other: Host) -> None:
    first, second = host.leases[0], host.leases[1]
    await host.store.give_back([second, first])
    assert (await other.told()).is_partial
    assert await other.claim() == [0, 1]
    assert other.leases[0].epoch > first.epoch
    await host.store.give_back([first, second])
    assert (await host.renew(), await other.renew()) == (ALL[2:], [0, 1])


async def test_a_host_that_leaves_is_forgotten_and_its_shards_are_free(host: Host, other: Host) -> None:
    await host.store.leave()
    assert (await other.told()).is_partial
    assert await other.claim() == ALL
    assert [one.id for one in await other.store.hosts()] == [other.store.host]
    with pytest.raises(JournalFencedError, match="has forgotten this host"):
        await host.renew()


# ------------------------------------------------------------------------------------------------ fences


async def test_what_is_written_under_a_lost_lease_is_refused_and_the_rest_of_its_group_is_written(
    cluster: Cluster, host: Host, other: Host
) -> None:
    await host.store.accept([message(1, 0), message(2, 1)])
    await host.store.give_back([host.leases[0]])
    await other.claim()
    lost, good = host.of(0), host.of(1)
    one = handled(1, outbox=(message(3, 1),), memory=((mailbox_of(0), b"m"),))
    late: list[Commit[Any]] = [
        lost.settle(one),
        lost.begin(id_of(1)),
        lost.postpone(id_of(1), 5.0, ""),
        lost.keep_step(id_of(1), "k", b"", b""),
    ]
    done = good.begin(id_of(2))
    assert await refused(*late)
    assert await done == 1
    found = await other.store.find(id_of(1))
    assert found is not None
    assert found.outcome is None
    assert [one.attempts for one in await other.store.waiting(mailbox_of(0), 0, 9)] == [0]
    assert (await other.store.memory(mailbox_of(0), 9), await other.store.steps(id_of(1))) == ([], {})
    assert await other.store.waiting(mailbox_of(1), 0, 9) == await host.store.waiting(mailbox_of(1), 0, 9)
    assert await other.of(0).settle(one) != [None]


async def test_what_needs_a_lease_is_refused_without_one(host: Host) -> None:
    await host.store.accept([message(1, 0)])
    store, id = host.store, id_of(1)
    assert await refused(store.settle(handled(1)), store.begin(id), store.postpone(id, 5.0, ""))
    assert await refused(store.keep_step(id, "k", b"", b""))
    assert (await store.counts(), store.statistics().settled) == ({mailbox_of(0): 1}, 0)


async def test_no_two_hosts_end_one_message(cluster: Cluster, host: Host, other: Host) -> None:
    for number in range(20):
        await host.store.accept([message(number, 0)])
        lease = host.leases[0]
        ending = host.store.leased(lease).settle(handled(number))
        await asyncio.gather(host.store.give_back([lease]), other.claim())
        while 0 not in await other.renew():
            await other.claim()
        results = await asyncio.gather(ending, other.of(0).settle(handled(number)), return_exceptions=True)
        assert isinstance(results[0], LeaseLostError) or results[0] == []
        assert other.store.statistics().settled + host.store.statistics().settled == number + 1
        host, other = other, host


# --------------------------------------------------------------------------------- messages and callers


async def test_a_message_for_another_host_is_told_to_it_and_its_end_to_the_caller(host: Host, other: Host) -> None:
    assert None not in await other.store.accept([message(1, 0), message(2, 1), message(3, 0)])
    assert set((await host.told()).mailboxes) == {mailbox_of(0), mailbox_of(1)}
    await host.of(0).settle(handled(1, reply=b"yes"))
    assert (await other.told()).ended == (id_of(1),)
    await host.of(1).settle(dead(2))
    assert (await other.told()).ended == (id_of(2),)
    await host.of(0).settle(dead(3, also=(id_of(1),)))
    assert (await other.told()).ended == (id_of(3),)
    assert not host.has_heard()


async def test_a_host_is_not_told_what_it_did_itself(host: Host, other: Host) -> None:
    await host.store.accept([message(1, 0)])
    await host.of(0).settle(handled(1, outbox=(message(2, 1),)))
    await other.store.accept([message(3, 2)])
    assert await host.told() == Notice(mailboxes=(mailbox_of(2),))
    assert not other.has_heard()


async def test_the_outbox_reaches_the_hosts_of_its_messages(host: Host, other: Host) -> None:
    await host.store.give_back([host.leases[1]])
    await other.claim()
    await other.told()
    await host.store.accept([message(1, 0), message(4, 0)])
    await host.of(0).settle(handled(1, outbox=(message(2, 1), message(3, 2))))
    await host.of(0).settle(dead(4, outbox=(message(5, 1),)))
    assert await other.told() == Notice(mailboxes=(mailbox_of(1),))
    assert await other.told() == Notice(mailboxes=(mailbox_of(1),))
    assert numbers(await other.store.waiting(mailbox_of(1), 0, 9)) == [2, 5]
    await other.of(1).settle(handled(2))
    assert not host.has_heard()


async def test_the_mailboxes_of_a_host_that_begins_are_read_together_if_they_are_empty(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    await host.store.accept([message(1, 1)])
    reads, store = list[None](), cast("Any", host.store)
    read = store.read

    def counted(query: Any) -> Any:
        reads.append(None)
        return read(query)

    monkeypatch.setattr(store, "read", counted)
    found = await asyncio.gather(*(store.waiting(mailbox_of(shard), 0, 10) for shard in range(SHARDS)))

    assert [len(messages) for messages in found] == [int(shard == 1) for shard in range(SHARDS)]
    assert len(reads) == 2


async def test_a_replayed_message_is_told_to_its_host(host: Host, other: Host) -> None:
    await host.store.accept([message(1, 0)])
    await host.of(0).settle(dead(1))
    assert len(await other.store.replay([id_of(1)])) == 1
    assert (await host.told()).mailboxes == (mailbox_of(0),)


async def test_the_end_of_an_expected_message_is_told_also_if_it_was_before(host: Host, other: Host) -> None:
    await host.store.accept([message(1, 0), message(2, 0)])
    await host.of(0).settle(handled(1))
    for number in (1, 2):
        await other.store.expect(id_of(number))
    assert (await other.told()).ended == (id_of(1),)
    await host.of(0).settle(handled(2))
    assert (await other.told()).ended == (id_of(2),)


async def test_who_gives_up_is_told_to_the_host_unless_others_wait(cluster: Cluster, host: Host, other: Host) -> None:
    third = await cluster.host()
    await other.store.accept([message(1, 0)])
    await host.told()
    await third.store.expect(id_of(1))
    await third.store.give_up(id_of(1), "cancelled")
    assert (await host.look()).given_up == ()
    await other.store.give_up(id_of(1), "expired")
    assert (await host.told()).given_up == ((id_of(1), "expired"),)
    assert {id for id, _ in (await host.look()).given_up} == {id_of(1)}
    await host.of(0).settle(handled(1))
    assert (await host.look()).given_up == ()
    await other.store.give_up(id_of(1), "expired")
    assert not host.has_heard()


async def test_what_notices_say_is_found_by_a_look(host: Host, other: Host) -> None:
    await host.store.give_back([host.leases.pop(1)])
    assert (await other.look()).is_partial
    await other.claim()
    await other.store.accept([message(1, 0), message(2, 1), message(3, 5)])
    assert set((await host.look()).mailboxes) == {mailbox_of(0), mailbox_of(5)}
    assert await other.look(1, 3) == Notice(mailboxes=(mailbox_of(1),))
    await host.of(0).settle(handled(1))
    assert set((await other.look(1, 3, 404)).ended) == {id_of(1), id_of(404)}
    await other.store.give_up(id_of(3), "cancelled")
    assert (await host.look()).given_up == ((id_of(3), "cancelled"),)


async def test_a_message_is_given_up_when_no_host_waits_not_even_again(host: Host, other: Host) -> None:
    await host.store.accept([message(1, 0)])
    await other.store.give_up(id_of(1), "cancelled")
    await other.store.expect(id_of(1))
    await host.store.give_up(id_of(1), "cancelled")
    assert (await host.look()).given_up == ()
    await other.store.give_up(id_of(1), "cancelled")
    assert (await host.look()).given_up == ((id_of(1), "cancelled"),)


async def test_only_shards_that_are_wanted_are_taken(host: Host, other: Host) -> None:
    await host.store.give_back([host.leases.pop(no) for no in (1, 2, 5)])
    assert [len(await other.store.claim(2, 60.0, some)) for some in ({0, 2, 5, 7}, (), None)] == [2, 0, 1]


async def test_callers_of_what_has_ended_are_forgotten_by_pruning(host: Host, other: Host) -> None:
    await other.store.accept([message(1, 0)])
    assert await host.store.prune(10) == 0
    await other.store.give_up(id_of(1), "cancelled")
    assert (await host.look()).given_up == ((id_of(1), "cancelled"),)


@pytest.mark.parametrize("seed", range(3))
async def test_a_cursor_misses_nothing_of_what_several_hosts_put_into_a_shard(
    cluster: Cluster, host: Host, seed: int
) -> None:
    hosts = [host, await cluster.host(), await cluster.host()]
    chance, found = random.Random(seed), list[int]()

    async def write(one: Host, first: int) -> None:
        for number in range(first, first + 40):
            accepted = one.store.accept([message(number, 0), message(number + 500, chance.randint(1, 7))])
            if chance.random() < 0.5 or number == first + 39:
                await accepted

    async def read() -> None:
        after, is_last = 0, False
        while not is_last:
            is_last = all(one.done() for one in writing)
            for one in await host.store.waiting(mailbox_of(0), after, 1_000):
                after = one.seq
                found.append(int.from_bytes(one.id, "big"))
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        writing = [tasks.create_task(write(one, 1_000 * n)) for n, one in enumerate(hosts)]
        tasks.create_task(read())
    assert [[n for n in found if n // 1_000 == at] for at in range(3)] == [
        [*range(1_000 * at, 1_000 * at + 40)] for at in range(3)
    ]


# ------------------------------------------------------------------------------------------------ hosts


async def test_hosts_see_each_other(cluster: Cluster, host: Host, other: Host) -> None:
    await cluster.expire(host)
    found = {one.id: one for one in await other.store.hosts()}
    assert found.keys() == {host.store.host, other.store.host}
    mine, late = found[other.store.host], found[host.store.host]
    assert (mine.name, mine.nodes, mine.cluster, mine.shards) == (other.me.name, ("a", "b"), "orders", ())
    assert (late.shards, late.is_draining) == (tuple(ALL), False)
    assert late.left < 0 < mine.left


async def test_a_host_is_asked_to_drain(host: Host, other: Host) -> None:
    assert not await host.is_draining()
    assert await other.store.drain(host.store.host)
    assert not await other.store.drain("elsewhere")
    assert (await host.told()).is_partial
    await host.renew()
    assert await host.is_draining()
    assert [one.is_draining for one in await other.store.hosts() if one.id == host.store.host] == [True]


async def test_hosts_of_another_cluster_are_refused_while_these_live(cluster: Cluster) -> None:
    first = await cluster.host("orders")
    with pytest.raises(ClusterMismatchError, match="is used by the cluster 'orders'"):
        await cluster.host("invoices")
    assert [one.cluster for one in await first.store.hosts()] == ["orders"]
    await cluster.expire(first)
    await cluster.host("invoices")
    with pytest.raises(ClusterMismatchError, match="is used by the cluster 'invoices'"):
        await first.renew()


async def test_of_two_clusters_that_begin_at_once_one_is_refused(cluster: Cluster) -> None:
    begun = [cluster.host("orders"), cluster.host("invoices")]
    results = await asyncio.gather(*begun, return_exceptions=True)
    assert sorted(isinstance(one, ClusterMismatchError) for one in results) == [False, True]


async def test_another_number_of_shards_needs_that_no_host_lives(cluster: Cluster, host: Host) -> None:
    await host.store.accept([message(1, 0)])
    with pytest.raises(ClusterMismatchError, match="has 8 shards while its hosts live"):
        await cluster.host(shards=9)
    await cluster.expire(host)
    new = await cluster.host(shards=9)
    assert await new.claim() == [*range(9)]
    assert await new.store.counts() == {mailbox_of(0): 1}
    late = [host.store.accept([message(2, 0)]), host.of(0).settle(handled(1))]
    assert [type(error) for error in await asyncio.gather(*late, return_exceptions=True)] == [JournalFencedError] * 2


async def test_a_store_that_is_closed_says_so(host: Host) -> None:
    await host.store.close()
    with pytest.raises(JournalError, match="is not open"):
        await host.renew()
