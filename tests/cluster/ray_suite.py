"""The engine Ray, on a real Ray with loopback only. `test_ray.py` runs this file where nothing else can be reached."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from actors import AgentPool
from actors.cluster.ray_placement import GROUPS
from actors.cluster.ray_transport import RayTransport
from protocols.cluster import HostRecord
from protocols.errors import NodeStartError
from protocols.journal import JournalError
from protocols.transport import MOST_FRAME_BYTES, Credit
from tests.cluster.ray_work import Echo, Standing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from tests.storage.postgres_server import PostgresServer

PATIENCE = 60.0
DEATHS = 12
NODES = ("clerk", "booker", "packer", "driver")
MANIFEST = """
name: shop
cluster: {{engine: ray, address: "{address}", hosts: 2, url: "{url}", ttl: 2s, shards: 8}}
allow_imports: [tests.cluster.ray_work]
agents:
"""
NODE = "  {}: {{type: callback, callback: 'tests.cluster.ray_work:handle', durable: true, max_concurrency: 1}}\n"
TALKER = "  talker: {type: callback, callback: 'tests.cluster.ray_work:handle', max_concurrency: 1}\n"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("ray") / "log"
    file.touch()
    return file


@pytest.fixture(scope="module")
def address(log: Path) -> str:
    """A Ray whose processes know the log. It ends with the namespace."""
    os.environ["UNDERSTAGE_LOG"] = str(log)
    cluster: Any = import_module("ray.cluster_utils").Cluster(
        initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False}
    )
    return str(cluster.address)


@pytest.fixture
def file(tmp_path: Path, address: str, postgres: PostgresServer) -> Path:
    path = tmp_path / "agents.yml"
    path.write_text(
        MANIFEST.format(address=address, url=postgres.url) + "".join(NODE.format(one) for one in NODES) + TALKER
    )
    return path


def understage(*words: object) -> str:
    """Return what a command says."""
    command = [sys.executable, "-m", "actors.cli", *map(str, words)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def done_in(log: Path) -> dict[str, int]:
    """Return how many nodes have done each run; a run that was under way at a death may be done again."""
    return dict(Counter(text for _, text in {(node, text) for _, node, text in lines_of(log)}))


def lines_of(log: Path) -> list[list[str]]:
    """Return process, node and text of each run that was done."""
    return [line.split() for line in log.read_text().splitlines()]


def longer(file: Path, text: str) -> Path:
    """Return a manifest that says more."""
    longer = file.with_name("longer.yml")
    longer.write_text(file.read_text() + text)
    return longer


async def until(found: Callable[[], Awaitable[Any]]) -> Any:
    """Return what is found, as soon as it is there."""
    end = time.monotonic() + PATIENCE
    while not (result := await found()):
        assert time.monotonic() < end
    return result


async def living(pool: AgentPool[Any]) -> dict[str, Any]:
    """Return the hosts of Ray that live, by their names in Ray."""
    return {one.actor: one for one in await pool.cluster.hosts() if one.left > 0 and one.actor}


async def by_ray(pool: AgentPool[Any], hosts: set[str]) -> list[str]:
    """Have frames arrive at hosts; return those to which some went by the database although Ray had found them."""
    lane: Any = pool.cluster.lane
    other = vars(pool.cluster.store.transport)
    strays: list[str] = []

    def note(host: str, _packet: bytes) -> None:
        strays.append(host)

    await until(lambda: yielded(hosts <= lane._lives.keys()))
    for _ in range(2):
        for number in range(200):
            for host in hosts:
                lane.send(host, Credit(b"", number))
        await until(lambda: yielded(not any(one.queue for one in lane._windows.values())))
        await until(lambda: yielded(hosts <= lane.transport._actors.keys()))
        other["send"] = note
    del other["send"]
    return strays


async def yielded(value: object) -> object:
    """Return a value after the others had their turns."""
    await asyncio.sleep(0)
    return value


async def callers(pool: AgentPool[Any]) -> list[Any]:
    """Return the processes that only ask."""
    return [one for one in await pool.cluster.hosts() if one.is_caller]


async def full(pool: AgentPool[Any], dead: str = "") -> dict[str, Any]:
    """Return the hosts of Ray once they have all shards, and one that was killed is known to be dead."""
    hosts = {name: one for name, one in (await living(pool)).items() if one.id != dead}
    return hosts if sum(len(one.shards) for one in hosts.values()) == 8 and len(hosts) == 2 else {}


async def test_ray_runs_the_hosts_until_all_are_drained_and_starts_a_killed_one_again(file: Path, log: Path) -> None:
    async with AgentPool[Any](file) as pool:
        first = await until(lambda: full(pool))
        (caller,) = await until(lambda: callers(pool))
        assert await by_ray(pool, {one.id for one in first.values()}) == []
        answers = [(await pool[name].run(f"{name} hello")).content for name in NODES]
        answers.append((await pool["talker"].run("talker hi")).content)  # in memory, by the lane
        pids = {int(answer.partition(" ")[0]) for answer in answers}
        tickets = [(name, str(n), await pool[name].submit(f"{name} {n}")) for n in range(60) for name in NODES]
        os.kill(min(pids), signal.SIGKILL)
        for name, number, ticket in tickets:
            assert (await ticket.answer()).content.split()[1:] == [name, number]
        await until(lambda: full(pool))
    async with AgentPool[Any](file) as pool:  # the hosts have stayed
        second = await until(lambda: full(pool))
        options: list[Any] = [{"durable": True}, {"placement": "single"}]
        for unknown in options:
            with pytest.raises(NodeStartError, match="not in the manifest, so the hosts that Ray runs do not know it"):
                await pool.add_agent("late", model="offline", **unknown)
        seen = await asyncio.to_thread(understage, "hosts", file)
        text = await asyncio.to_thread(understage, "drain", file, "--all", "--wait")
        assert await living(pool) == {}

    assert (caller.shards, os.getpid() in pids) == ((), False)
    assert pids <= {int(one.name.rpartition(":")[2]) for one in first.values()}
    assert set(first) == set(second) == {"host-1", "host-2"}
    assert len({one.id for one in (*first.values(), *second.values())}) == 3
    assert done_in(log) == {"hello": len(NODES), "hi": 1} | {str(n): len(NODES) for n in range(60)}
    assert sorted(line.split()[2] for line in seen.splitlines()[1:]) == ["alive", "alive", "caller", "dead"]
    assert text.startswith("2 hosts have no shards any more")


@pytest.mark.soak
async def test_many_killed_hosts_lose_nothing_and_keep_the_order(file: Path, log: Path) -> None:
    chance, sent, dead, answers = random.Random(1), 0, "", list[asyncio.Task[Any]]()
    async with AgentPool[Any](file) as pool:
        for _ in range(DEATHS):
            hosts = await until(partial(full, pool, dead))
            for number in range(sent, sent := sent + chance.randint(20, 120)):
                tickets = [await pool[name].submit(f"{name} {number}") for name in NODES]
                answers += [asyncio.ensure_future(ticket.answer()) for ticket in tickets]
            victim = chance.choice([*hosts.values()])
            os.kill(int(victim.name.rpartition(":")[2]), signal.SIGKILL)
            dead = victim.id
        await asyncio.gather(*answers)
        await asyncio.to_thread(understage, "drain", file, "--all", "--wait")

    assert done_in(log) == {str(number): len(NODES) for number in range(sent)}
    lines = lines_of(log)
    for node in NODES:
        firsts = [*dict.fromkeys(int(number) for _, name, number in lines if name == node)]
        assert firsts == sorted(firsts)
    assert len(lines) - len(answers) <= DEATHS * len(NODES)


async def test_a_host_that_cannot_open_its_pool_says_why(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTAGE_MODEL", "offline")  # here, and not where Ray was started
    file = longer(file, "  asker: {model: '${UNDERSTAGE_MODEL}', session: false}\n")
    why = r"Ray at '127.0.0.1:\d+' cannot be used: host-\d cannot open its pool: .*UNDERSTAGE_MODEL"
    with pytest.raises(JournalError, match=why):
        async with AgentPool[Any](file):
            pass


@pytest.fixture
def ray(address: str) -> Iterator[Any]:
    """Return the library, connected."""
    library: Any = import_module("ray")
    library.init(address, log_to_driver=False)
    yield library
    library.shutdown()


async def test_packets_reach_the_actors_of_hosts_and_come_back(ray: Any) -> None:
    names = ("one", "gone")
    settings: dict[str, Any] = {"namespace": "echoes", "num_cpus": 0}
    echoes = {
        name: ray.remote(concurrency_groups=GROUPS)(Echo).options(name=name, **settings).remote(name) for name in names
    }
    me: Any = Standing("me", [HostRecord(id=name, cluster="echoes", actor=name) for name in names], is_caller=True)
    arrived: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
    transport = RayTransport(me)
    transport.connect(lambda host, packet: arrived.put_nowait((host, packet)))
    for name in names:
        transport.send(name, b"early")
    assert me.noted == [(name, b"early") for name in names]  # by the database, until their actors are found
    for name in names:
        await said(transport, arrived, me, name)
    for size in (0, 1, 300_000, MOST_FRAME_BYTES):
        packet = (bytes(range(256)) * (size // 256 + 1))[:size]
        transport.send("one", packet)
        assert await asyncio.wait_for(arrived.get(), PATIENCE) == ("one", packet)
    ray.kill(echoes["gone"])
    transport.send("gone", b"hello")
    for number in range(200):
        transport.send("one", str(number).encode())
    assert [await arrived.get() for _ in range(200)] == [("one", str(number).encode()) for number in range(200)]
    while ("gone", b"again") not in me.noted:  # by the database, once Ray knows that it does not reach it
        transport.send("gone", b"again")
        await asyncio.sleep(0)
    transport.close()
    transport.send("one", b"late")
    assert me.noted[-1] == ("one", b"late")


async def said(transport: Any, arrived: Any, me: Any, name: str) -> None:
    """Wait until Ray reaches an actor, and back."""
    me.noted.append(None)
    while me.noted:
        await asyncio.sleep(0)
        me.noted.clear()
        transport.send(name, b"hello")
    assert await asyncio.wait_for(arrived.get(), PATIENCE) == (name, b"hello")
