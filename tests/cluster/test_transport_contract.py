"""What every transport does: each sentence of `Transport`, and a lane over it, for all kinds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from actors.cluster.lane import HostLane
from protocols.cluster import HostRecord
from protocols.transport import MOST_FRAME_BYTES, Credit, Frame
from tests.cluster.transports import Carriers, LoopClock, Simulated, Stored
from tests.storage.cluster_hosts import MemoryCluster, PostgresCluster

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from protocols.transport import Transport
    from tests.storage.postgres_server import PostgresServer

    Packets = asyncio.Queue[tuple[str, bytes]]

PATIENCE = 20
HOSTS = "application_name = 'understage_journal_1_host' AND pid <> pg_backend_pid()"


@pytest.fixture(params=["memory", "postgres", "simulated"])
def new_carriers(request: pytest.FixtureRequest) -> Carriers:
    """Return each kind without hosts."""
    if request.param == "postgres":
        return Stored(PostgresCluster(request.getfixturevalue("postgres")))
    return Stored(MemoryCluster(lambda: 1_000.0)) if request.param == "memory" else Simulated()


@pytest.fixture
async def carriers(new_carriers: Carriers) -> AsyncGenerator[Carriers]:
    """Return a kind whose hosts are ended with the test."""
    yield new_carriers
    await new_carriers.close()


def packets_of(transport: Transport) -> Packets:
    """Return the packets of a host, as they arrive."""
    found: Packets = asyncio.Queue()
    transport.connect(lambda sender, packet: found.put_nowait((sender, packet)))
    return found


async def taken(packets: Packets, number: int) -> list[tuple[str, bytes]]:
    """Return so many packets."""
    async with asyncio.timeout(PATIENCE):
        return [await packets.get() for _ in range(number)]


async def test_a_packet_arrives_with_its_sender_and_its_bytes(carriers: Carriers) -> None:
    (one, first), (two, second) = await carriers.host(), await carriers.host()
    here, there = packets_of(first), packets_of(second)
    for size in (0, 1, 5_849, 5_850, 5_851, 11_700, 300_000):
        packet = (bytes(range(256)) * (size // 256 + 1))[:size]
        first.send(two, packet)
        assert await taken(there, 1) == [(one, packet)]
        second.send(one, packet)
        assert await taken(here, 1) == [(two, packet)]


async def test_the_longest_packet_arrives(carriers: Carriers) -> None:
    (one, first), (two, second) = await carriers.host(), await carriers.host()
    there = packets_of(second)
    first.send(two, bytes(MOST_FRAME_BYTES))
    assert await taken(there, 1) == [(one, bytes(MOST_FRAME_BYTES))]


async def test_many_packets_of_many_hosts_arrive_where_they_are_sent_to(carriers: Carriers) -> None:
    hosts = [await carriers.host() for _ in range(3)]
    packets = [packets_of(transport) for _, transport in hosts]
    for number in range(20):
        for sender, transport in hosts:
            for host, _ in hosts:
                if host != sender:
                    transport.send(host, f"{sender} to {host}: {number}".encode() * (1 + 500 * (number % 2)))
    for (host, _), found in zip(hosts, packets, strict=True):
        arrived = await taken(found, 40)
        assert len(set(arrived)) == 40
        assert all(packet.startswith(f"{sender} to {host}: ".encode()) for sender, packet in arrived)


async def test_packets_for_a_host_that_is_not_there_are_lost_and_the_others_arrive(carriers: Carriers) -> None:
    (one, first), (two, second), (gone, third) = [await carriers.host() for _ in range(3)]
    there, nowhere = packets_of(second), packets_of(third)
    await carriers.end(gone)
    for host in (gone, "never", two):
        first.send(host, b"hello")
    assert await taken(there, 1) == [(one, b"hello")]
    assert nowhere.empty()


async def test_a_host_that_has_ended_sends_nothing_and_fails_nothing(carriers: Carriers) -> None:
    (one, first), (_, second), (three, third) = [await carriers.host() for _ in range(3)]
    here = packets_of(first)
    packets_of(third)
    await carriers.end(three)
    third.send("never", b"late")
    second.send(one, b"hello")
    assert (await taken(here, 1))[0][1] == b"hello"


class Speaker:
    """A lane that notes what it takes."""

    def __init__(self, host: str, transport: Transport) -> None:
        self.host = host
        self.taken: dict[str, list[int]] = {}
        self.lane = HostLane(host, transport, lambda: None)
        self.lane.listen(self._take, lambda _: None)
        self.lane.begin(LoopClock())
        self._waited: tuple[int, asyncio.Event] = (0, asyncio.Event())

    def _take(self, host: str, frame: Frame) -> None:
        assert isinstance(frame, Credit)
        self.taken.setdefault(host, []).append(frame.number)
        number, event = self._waited
        if sum(map(len, self.taken.values())) == number:
            event.set()

    async def wait(self, number: int) -> None:
        """Wait until it has taken so many frames."""
        self._waited = (number, asyncio.Event())
        if sum(map(len, self.taken.values())) < number:
            async with asyncio.timeout(PATIENCE):
                await self._waited[1].wait()


async def speakers(carriers: Carriers, number: int) -> list[Speaker]:
    """Return lanes of hosts that know each other."""
    made = [Speaker(*await carriers.host()) for _ in range(number)]
    for one in made:
        one.lane.see([HostRecord(id=other.host, cluster="c", life=1) for other in made])
    return made


async def test_a_lane_carries_frames_in_order_and_once(carriers: Carriers) -> None:
    hosts = await speakers(carriers, 3)
    for number in range(500):
        for one in hosts:
            for other in hosts:
                if one is not other:
                    one.lane.send(other.host, Credit(bytes(100), number))
        if number % 50 == 0:
            await asyncio.sleep(0)
    for one in hosts:
        await one.wait(1_000)
        assert list(one.taken.values()) == [[*range(500)]] * 2
    for one in hosts:
        await one.lane.end(0)


# ---------------------------------------------------------------------------------------------- PostgreSQL


async def look_on(cluster: PostgresCluster) -> None:
    """Look again and again, as hosts do: a connection may be cut just after a look."""
    while True:
        for host in cluster.hosts:
            await host.look()


async def test_a_lane_carries_on_when_all_connections_are_ended(postgres: PostgresServer) -> None:
    cluster = PostgresCluster(postgres)
    one, two = await speakers(Stored(cluster), 2)
    looking = asyncio.ensure_future(look_on(cluster))
    for number in range(40):
        one.lane.send(two.host, Credit(b"", number))
        two.lane.send(one.host, Credit(b"", number))
        if number % 10 == 5:
            await one.wait(number - 5)
            await postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {HOSTS}")
    await one.wait(40)
    await two.wait(40)
    looking.cancel()
    await asyncio.wait([looking])
    assert one.taken == {two.host: [*range(40)]}
    assert two.taken == {one.host: [*range(40)]}
    for speaker in (one, two):
        await speaker.lane.end(0)
    await cluster.close()
