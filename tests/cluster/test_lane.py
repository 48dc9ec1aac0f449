"""The lane of a host: what it refuses, what it bounds, and what it does with packets that it does not know."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from msgspec import Struct, msgpack

from actors.cluster import lane as lanes
from actors.cluster.lane import HostLane, Packet
from actors.testing.clock import ManualClock
from actors.testing.network import SimulatedNetwork
from protocols.cluster import HostRecord
from protocols.errors import HostLostError, RunError
from protocols.mailbox import MailboxFullError
from protocols.transport import MOST_FRAME_BYTES, Answer, Credit, Frame


class Strange(Struct, frozen=True, tag="strange", array_like=True):
    """A frame of a newer version."""


class Hosts:
    """Lanes over a network that disturbs nothing, unless it is told to."""

    def __init__(self, *names: str) -> None:
        self.clock = ManualClock()
        self.network = SimulatedNetwork(1, self.clock, loss=0, doubles=0, longest=0)
        self.lives = dict.fromkeys(names, 0)
        self.taken: dict[str, list[Any]] = {name: [] for name in names}
        """What each host has taken, and lost, in order."""
        self.lanes = {name: self._lane(name) for name in names}
        self.looks = 0
        self.see()

    def _lane(self, name: str) -> HostLane:
        lane, taken = HostLane(name, self.network.transport(name), self._look), self.taken[name]
        lane.listen(lambda host, frame: taken.append((host, frame)), taken.append)
        lane.begin(self.clock)
        return lane

    def _look(self) -> None:
        self.looks += 1

    def see(self, *names: str) -> None:
        """Have some hosts see which ones live; all of them without names."""
        records = [HostRecord(id=name, cluster="c", life=life) for name, life in self.lives.items()]
        for name in names or self.lanes:
            self.lanes[name].see(records)

    def send(self, sender: str, host: str, *numbers: int) -> None:
        for number in numbers:
            self.lanes[sender].send(host, frame(number))

    def numbers(self, host: str) -> list[int | str]:
        """Return the numbers of the frames that a host has taken, and the hosts that it has lost."""
        return [one if isinstance(one, str) else one[1].number for one in self.taken[host]]

    async def end(self) -> None:
        for lane in self.lanes.values():
            await lane.end(0)
        assert self.clock.pending == 0


def frame(number: int, id: bytes = b"") -> Credit:
    return Credit(id, number)


async def test_frames_arrive_in_order_and_once() -> None:
    hosts = Hosts("a", "b")
    hosts.send("a", "b", *range(1_000))
    hosts.send("b", "a", 7)
    await hosts.clock.advance(1)
    assert hosts.numbers("b") == [*range(1_000)]
    assert hosts.numbers("a") == [7]
    await hosts.end()


async def test_what_is_lost_is_sent_again_until_it_has_arrived() -> None:
    hosts = Hosts("a", "b")
    hosts.network.part("b")
    hosts.send("a", "b", *range(450))
    await hosts.clock.advance(60)
    assert hosts.numbers("b") == []
    hosts.network.heal()
    await hosts.clock.advance(2)
    assert hosts.numbers("b") == [*range(450)]
    await hosts.end()


async def test_an_answer_carries_the_acknowledgement() -> None:
    hosts = Hosts("a", "b")
    sent: list[tuple[str, str]] = []
    carry = hosts.network.send

    def send(sender: str, host: str, packet: bytes) -> None:
        sent.append((sender, host))
        carry(sender, host, packet)

    hosts.network.send = send  # type: ignore[method-assign]
    hosts.lanes["b"].listen(lambda host, _: hosts.send("b", host, 1), lambda _: None)
    hosts.send("a", "b", 0)
    await hosts.clock.advance(10)
    assert sent == [("a", "b"), ("b", "a"), ("a", "b")]
    await hosts.end()


async def test_a_host_that_is_gone_is_lost_once_with_all_that_waits() -> None:
    hosts = Hosts("a", "b", "c")
    hosts.network.part("b")
    hosts.send("a", "b", 1)
    del hosts.lives["b"]
    for _ in range(3):
        hosts.see("a")
    assert hosts.taken["a"] == ["b"]
    with pytest.raises(HostLostError, match="host 'b' is not known to live"):
        hosts.send("a", "b", 2)
    hosts.network.heal()
    hosts.send("b", "a", 3)
    await hosts.clock.advance(10)
    assert hosts.taken["a"] == ["b"]
    assert hosts.taken["b"] == []
    await hosts.end()


@pytest.mark.parametrize("order", ["ab", "ba"])
async def test_a_host_that_was_taken_for_dead_is_lost_on_both_sides_and_begins_anew(order: str) -> None:
    hosts = Hosts("a", "b")
    hosts.network.part("b")
    hosts.send("a", "b", 1)
    hosts.send("b", "a", 2)
    hosts.lives["b"] += 1
    hosts.see(order[0])
    hosts.network.heal()
    await hosts.clock.advance(10)
    assert hosts.numbers(order[1]) == []
    hosts.see(order[1])
    hosts.send("a", "b", 3)
    hosts.send("b", "a", 4)
    await hosts.clock.advance(10)
    assert hosts.numbers("a") == ["b", 4]
    assert hosts.numbers("b") == ["a", 3]
    await hosts.end()


async def test_a_packet_of_an_unknown_host_has_this_one_look_and_arrives_afterwards() -> None:
    hosts = Hosts("a", "b")
    hosts.lanes["a"].see(())
    hosts.send("b", "a", 1)
    await hosts.clock.advance(0.1)
    assert (hosts.looks, hosts.numbers("a")) == (1, ["b"])
    hosts.see("a")
    await hosts.clock.advance(1)
    assert hosts.numbers("a") == ["b", 1]
    await hosts.end()


async def test_too_much_is_refused_and_what_waits_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "MOST_WAITING", 10)
    hosts = Hosts("a", "b")
    hosts.send("a", "b", *range(10))
    with pytest.raises(MailboxFullError, match=r"host 'b' \(lane\): mailbox is full \(10 messages\)"):
        hosts.send("a", "b", 10)
    await hosts.clock.advance(1)
    hosts.send("a", "b", 11)
    await hosts.clock.advance(1)
    assert hosts.numbers("b") == [*range(10), 11]
    monkeypatch.setattr(lanes, "MOST_WAITING_BYTES", 100)
    with pytest.raises(MailboxFullError):
        hosts.lanes["a"].send("b", Answer(b"", bytes(101)))
    await hosts.end()


async def test_a_frame_to_itself_and_one_that_is_too_long_are_refused() -> None:
    hosts = Hosts("a", "b")
    with pytest.raises(ValueError, match="host 'a' is this one"):
        hosts.send("a", "a", 1)
    with pytest.raises(RunError, match="are too many for host 'b' at once"):
        hosts.lanes["a"].send("b", Answer(b"", bytes(MOST_FRAME_BYTES)))
    await hosts.end()


async def test_packets_are_bounded_in_frames_and_bytes() -> None:
    hosts = Hosts("a", "b")
    packets: list[bytes] = []
    hosts.network.connect("b", lambda _, packet: packets.append(packet))
    hosts.send("a", "b", *range(1_000))
    await hosts.clock.advance(0.1)
    found = [msgpack.decode(one, type=Packet) for one in packets]
    assert [len(one.frames) for one in found] == [100] * 4
    hosts.lives["b"] += 1
    hosts.see("a")
    packets.clear()
    for size in (100_000, 100_000, 100_000, 900_000, 100_000, 100_000):
        hosts.lanes["a"].send("b", Answer(b"", bytes(size)))
    await hosts.clock.advance(0.1)
    assert [len(one) // 100_000 for one in packets] == [2, 1, 9]
    await hosts.end()


async def test_a_frame_of_a_newer_version_is_passed_over_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    hosts = Hosts("a", "b")
    hosts.send("a", "b", 1)
    strange: Any = Strange()
    with caplog.at_level(logging.WARNING, logger="understage.cluster"):
        for _ in range(2):
            hosts.lanes["a"].send("b", strange)
        hosts.send("a", "b", 2)
        hosts.network.transport("a").send("b", b"\xc1 what is this?")
        await hosts.clock.advance(1)
    assert hosts.numbers("b") == [1, 2]
    assert hosts.lanes["b"].undecodable == 3
    (record,) = caplog.records
    assert record.getMessage().startswith("host 'a' says what this version does not know")
    await hosts.end()


async def test_a_handler_that_fails_holds_up_nothing(caplog: pytest.LogCaptureFixture) -> None:
    hosts = Hosts("a", "b")
    found: list[Frame] = []

    def take(_host: str, frame: Frame) -> None:
        found.append(frame)
        raise LookupError(frame)

    hosts.lanes["b"].listen(take, lambda _: None)
    hosts.send("a", "b", 1, 2)
    await hosts.clock.advance(1)
    assert [*found] == [frame(1), frame(2)]
    assert [record.message for record in caplog.records] == ["a fault of the cluster"] * 2
    await hosts.end()


async def test_the_end_waits_for_what_was_sent_but_not_for_ever() -> None:
    hosts = Hosts("a", "b")
    hosts.send("a", "b", *range(500))
    ending = asyncio.ensure_future(hosts.lanes["a"].end(0.5))
    await hosts.clock.advance(0.4)
    assert ending.done()
    assert hosts.numbers("b") == [*range(500)]
    hosts.network.part("a")
    hosts.send("b", "a", 1)
    ending = asyncio.ensure_future(hosts.lanes["b"].end(0.5))
    await hosts.clock.advance(0.4)
    assert not ending.done()
    await hosts.clock.advance(0.2)
    assert ending.done()
    assert hosts.numbers("b")[-1] == "a"
    await hosts.end()
