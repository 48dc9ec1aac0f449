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
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

import pytest

from actors import AgentPool
from protocols.errors import NodeStartError
from protocols.journal import JournalError
from protocols.transport import Credit
from tests.cluster import test_transport_contract as contract
from tests.cluster.herd import SHARDS, Herd
from tests.cluster.ray_work import Placed
from tests.cluster.worker import NODES as WORKERS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from tests.storage.postgres_server import PostgresServer

PATIENCE = 60.0
NODES = ("clerk", "booker", "packer", "driver")
MANIFEST = """
name: shop
cluster: {{engine: ray, address: "{address}", hosts: {hosts}, url: "{url}", ttl: {ttl}s, shards: {shards}}}
allow_imports: [tests.cluster.ray_work]
agents:
"""
NODE = "  {}: {{type: callback, callback: 'tests.cluster.ray_work:handle', durable: true, max_concurrency: 1}}\n"
HERDED = "  {0}: {{{1}type: callback, callback: 'tests.cluster.ray_work:{0}', durable: true, max_concurrency: 1}}\n"
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
        initialize_head=True, head_node_args={"num_cpus": 3, "include_dashboard": False}
    )
    return str(cluster.address)


@pytest.fixture
def file(tmp_path: Path, address: str, postgres: PostgresServer) -> Path:
    path = tmp_path / "agents.yml"
    head = MANIFEST.format(address=address, hosts=2, url=postgres.url, ttl=2, shards=8)
    path.write_text(head + "".join(NODE.format(one) for one in NODES) + TALKER)
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


async def full(pool: AgentPool[Any]) -> dict[str, Any]:
    """Return the hosts of Ray once they have all shards."""
    hosts = await living(pool)
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


class PlacedHerd(Herd):
    """The hosts that Ray runs and starts again, and a process that asks them. The name of a host is its process id."""

    def hosts(self) -> list[str]:
        found = {line[1] for line in self.lines()[-4_000:] if line[2] == "effect"}
        return [name for name in sorted(found) if self._nodes(name)]

    def _end(self, name: str) -> None:
        os.kill(int(name), signal.SIGKILL)

    def _pid(self, name: str) -> int:
        return int(name)


@pytest.mark.soak
async def test_many_deaths_and_freezes_lose_nothing(log: Path, address: str, postgres: PostgresServer) -> None:
    sources, targets = WORKERS
    ways = [f"connections: [{{type: node, name: {target}}}], " for target in targets]
    nodes = [*map(HERDED.format, sources, ways), *(HERDED.format(name, "") for name in targets)]
    head = MANIFEST.format(address=address, hosts=3, url="%s", ttl="%s", shards=SHARDS)
    with PlacedHerd(log.parent, postgres, 2.0, head + "".join(nodes)) as herd:
        herd.start()
        await herd.disturb(50, 20, random.Random(1))
        assert herd.stop() == []
        assert herd.refused() == []
        print(await herd.summary())  # noqa: T201 - the figures of docs/cluster.md
        understage("drain", log.parent / "agents.yml", "--all", "--wait")


async def test_a_host_that_cannot_open_its_pool_says_why(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTAGE_MODEL", "offline")  # here, and not where Ray was started
    file = longer(file, "  asker: {model: '${UNDERSTAGE_MODEL}', session: false}\n")
    why = r"Ray at '127.0.0.1:\d+' cannot be used: host-\d cannot open its pool: .*UNDERSTAGE_MODEL"
    with pytest.raises(JournalError, match=why):
        async with AgentPool[Any](file):
            pass


# ---------------------------------------------------------------------------------------------- packets


@pytest.fixture(scope="module")
def spare(address: str) -> Iterator[list[Any]]:
    """Return actors of Ray that the tests of packets hand on; this process is connected meanwhile."""
    library: Any = import_module("ray")
    library.init(address, log_to_driver=False)
    yield []
    library.shutdown()


@pytest.fixture
def new_carriers(spare: list[Any]) -> Placed:
    return Placed(spare)


carriers = contract.carriers
globals().update({
    name: test for name, test in vars(contract).items()
    if name.startswith("test_") and "carriers" in signature(test).parameters
})  # fmt: skip


async def test_what_ray_does_not_reach_goes_by_the_database(new_carriers: Placed, carriers: Any) -> None:
    (_, here), (two, _), (gone, _) = [await carriers.host() for _ in range(3)]
    noted = new_carriers.caller.noted
    assert {*noted} == {(two, b""), (gone, b"")}  # until their actors are found
    await carriers.end(gone)

    async def is_known() -> bool:
        here.send(gone, b"again")
        await asyncio.sleep(0)
        return bool(noted[-1] == (gone, b"again"))

    await until(is_known)
    here.close()
    here.send(two, b"late")
    assert noted[-1] == (two, b"late")
