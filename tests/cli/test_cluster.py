"""`understage hosts` and `understage drain`: what people see of the hosts of a cluster, and how they empty one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from msgspec.structs import replace

from actors.cli.cluster_view import HEAD, ClusterView
from actors.cli.exit_code import CommandError, ExitCode
from actors.config.load import load_manifest
from actors.storage.cluster_memory import MemoryClusterStore
from protocols.cluster import shard_of
from tests.contracts.journal_kinds import entry
from tests.storage.cluster_hosts import SHARDS, TTL, Host, MemoryCluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.cli.conftest import Call

TEXT: Final = f"""
name: orders
cluster: {{url: "postgresql://tester:pw@127.0.0.1:1/none", shards: {SHARDS}, ttl: {TTL}}}
agents:
  clerk: {{model: offline, durable: true}}
  booker: {{model: offline, durable: true}}
"""
NODES: Final = ("orders/clerk", "orders/booker")
START: Final = 1_000.0


class Desk:
    """A cluster in memory, and one who looks at it without being a host."""

    def __init__(self, file: Path) -> None:
        self.time = START
        self.cluster = MemoryCluster(lambda: self.time)
        self.store = MemoryClusterStore(self.cluster.database, shards=SHARDS)
        self.emptied: Host | None = None
        self.view = ClusterView(load_manifest(file), self.store, self._pause)

    async def host(self, name: str, most: int, *, nodes: tuple[str, ...] = NODES, version: str = "v1") -> Host:
        """Return a host with so many shards at most."""
        host = await self.cluster.host()
        host.me = replace(host.me, name=name, nodes=nodes, version=version)
        await host.renew()
        await host.claim(most)
        return host

    async def _pause(self, _seconds: float) -> None:
        assert self.emptied is not None
        await self.emptied.store.give_back([*self.emptied.leases.values()])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "agents.yml"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture
async def desk(file: Path) -> AsyncIterator[Desk]:
    desk = Desk(file)
    await desk.store.open()
    yield desk
    await desk.cluster.close()
    await desk.store.close()


async def test_each_host_is_shown_with_what_it_has_now(desk: Desk) -> None:
    one, two = await desk.host("one", SHARDS // 2), await desk.host("two", SHARDS)
    await one.store.accept([entry(number, NODES[number % 2]) for number in range(6)])
    desk.time += 2.5
    await two.renew()
    await two.store.drain(two.store.host)
    (first, second), text = await desk.view.hosts()

    for row, host in ((first, one), (second, two)):
        here = [name for name in NODES if shard_of(name, SHARDS) in host.leases]
        assert row["nodes"] == sorted(name.removeprefix("orders/") for name in here)
        assert (row["id"], row["open"], row["version"]) == (host.store.host, 3 * len(here), "v1")
    assert (first["name"], first["state"], first["shards"], first["last_sign"]) == ("one", "alive", SHARDS // 2, 2.5)
    assert (second["name"], second["state"], second["shards"], second["last_sign"]) == ("two", "draining", 4, 0.0)
    assert [line.split()[0] for line in text.splitlines()] == ["host", "one", "two"]
    assert text.splitlines()[0].split() == " ".join(HEAD).split()


async def test_what_no_living_host_delivers_is_told(desk: Desk) -> None:
    one = await desk.host("one", SHARDS, nodes=NODES[:1], version="v1")
    await desk.host("two", 0, version="v2")
    await one.store.accept([entry(1, NODES[1]), entry(2, f"{NODES[0]}#mail")])
    (first, _), text = await desk.view.hosts()
    await desk.cluster.expire(one)
    (dead, _), after = await desk.view.hosts()

    assert (first["open"], dead["open"]) == (2, 2)
    assert "\nmessages wait for nodes that their host does not know or has given up: 1 for 'booker' at one\n" in text
    assert text.endswith("the hosts have 2 versions of the manifest")
    assert (dead["state"], dead["last_sign"] > TTL) == ("dead", True)
    assert after.endswith("2 open messages are of shards that no living host has")


async def test_a_cluster_without_a_host_says_so(desk: Desk) -> None:
    assert await desk.view.hosts() == ([], "no host lives or died within the last hour")


@pytest.mark.parametrize("by_id", [False, True])
async def test_a_host_is_asked_for_its_shards_and_waited_for(desk: Desk, *, by_id: bool) -> None:
    desk.emptied = one = await desk.host("one", SHARDS)
    wanted = one.store.host[:12].upper() if by_id else "one"
    document, text = await desk.view.drain(wanted, waits=False)
    assert document == {"draining": one.store.host, "name": "one"}
    assert [seen.is_draining for seen in await one.store.hosts() if seen.id == one.store.host] == [True]
    assert text.startswith("one gives its shards back as its nodes come to rest; no other host takes them")
    await desk.host("two", 0)
    assert (await desk.view.drain(wanted, waits=True))[1] == "one has no shards any more"
    assert await one.renew() == []


async def test_all_hosts_are_emptied_but_not_those_that_only_ask(desk: Desk) -> None:
    desk.emptied = one = await desk.host("one", SHARDS)
    asks = await desk.host("asks", 0)
    asks.me = replace(asks.me, is_caller=True)
    await asks.renew()
    document, text = await desk.view.drain_all(waits=True)
    states = {row["name"]: row["state"] for row in (await desk.view.hosts())[0]}

    assert document == {"draining": [one.store.host]}
    assert text == "1 hosts have no shards any more; the durable nodes wait until a host is started"
    assert (states, await one.renew()) == ({"one": "draining", "asks": "caller"}, [])


@pytest.mark.parametrize("words", [[], ["one", "--all"]])
def test_either_a_host_or_all_are_drained(file: Path, cli: Call, words: list[str]) -> None:
    done = cli("drain", file, *words)

    assert (done.code, "say which host" in done.err) == (ExitCode.USAGE, True)


async def test_a_host_that_is_not_the_one_is_refused(desk: Desk) -> None:
    for name in ("one", "two", "two"):
        await desk.host(name, 0)
    dead = await desk.host("dead", 0)
    await desk.cluster.expire(dead)
    for wanted, why in (
        ("nine", "no host has the name 'nine' or an id that begins so"),
        ("", "no host has the name ''"),
        ("two", r"2 hosts fit to 'two': \w{8} \(two\), \w{8} \(two\); write more of the id"),
        ("dead", r"host \w{8} \(dead\) is dead, and its shards are taken over"),
    ):
        with pytest.raises(CommandError, match=why):
            await desk.view.drain(wanted, waits=False)


@pytest.mark.parametrize("command", ["hosts", "drain"])
def test_what_is_not_a_cluster_and_a_database_that_is_away_are_refused(file: Path, cli: Call, command: str) -> None:
    words = [command, file, *(["one"] if command == "drain" else [])]
    away = cli(*words)
    file.write_text("agents: {clerk: {model: offline, durable: true}}", encoding="utf-8")
    alone = cli(*words)

    assert (away.code, away.out) == (ExitCode.FAILED, "")
    assert "127.0.0.1:1" in away.err
    assert "pw" not in away.err
    assert (alone.code, alone.out) == (ExitCode.USAGE, "")
    assert "is not that of a cluster; add 'cluster: postgresql://" in alone.err
