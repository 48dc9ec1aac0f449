"""The simulated network: what it does to packets, and that a seed does the same each time."""

from __future__ import annotations

import pytest

from actors.testing.clock import ManualClock
from actors.testing.network import SimulatedNetwork


def carried(seed: int, number: int = 200) -> list[int]:
    """Return the numbers that arrive of so many packets, in order."""
    clock = ManualClock()
    network = SimulatedNetwork(seed, clock)
    found: list[int] = []
    network.transport("b").connect(lambda _, packet: found.append(int(packet)))
    for place in range(number):
        network.transport("a").send("b", b"%d" % place)
    clock.tick(network.longest)
    assert clock.pending == 0
    return found


@pytest.mark.parametrize("seed", range(5))
def test_packets_are_lost_doubled_and_reordered(seed: int) -> None:
    found = carried(seed)
    assert 0.75 < len(set(found)) / 200 < 0.95
    assert 10 < len(found) - len(set(found)) < 35
    assert found != sorted(found)


def test_a_seed_does_the_same_each_time() -> None:
    assert carried(3) == carried(3) != carried(4)


def test_nothing_passes_between_parted_hosts_until_the_network_heals() -> None:
    clock = ManualClock()
    network = SimulatedNetwork(1, clock, loss=0, doubles=0)
    found: list[str] = []

    def connect(name: str) -> None:
        network.transport(name).connect(lambda sender, _: found.append(f"{sender}{name}"))

    for name in "abc":
        connect(name)

    def talk() -> list[str]:
        found.clear()
        for sender in "abc":
            for host in "abcd":
                network.transport(sender).send(host, b"")
        clock.tick(1)
        return sorted(found)

    everything = [f"{sender}{host}" for sender in "abc" for host in "abc"]
    assert talk() == everything
    network.part("a", "b")
    assert talk() == ["aa", "ab", "ba", "bb", "cc"]
    network.heal()
    assert talk() == everything
    network.remove("c")
    assert talk() == [one for one in everything if not one.endswith("c")]
