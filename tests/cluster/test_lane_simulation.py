"""Lanes over a network that loses, doubles and reorders, of hosts that die and freeze: every law holds for any seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from msgspec.structs import replace

from actors.cluster.lane import FrameWindow, HostLane, Packet
from tests.cluster.lane_simulation import simulate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from protocols.cluster import HostRecord

ENOUGH = 20
"""Seeds after which a mutation must have been caught."""


@pytest.mark.parametrize("first", range(0, 200, 20))
def test_every_law_holds(first: int) -> None:
    assert {seed: found for seed in range(first, first + 20) if (found := simulate(seed).broken)} == {}


def test_a_seed_is_the_same_each_time_and_disturbs() -> None:
    first, second = simulate(3), simulate(3)
    assert first.taken == second.taken
    assert 300 < first.taken.total() < first.sent.total()


def no_order(window: FrameWindow, packet: Packet) -> Any:
    """Take what comes too early."""
    taken: int = vars(window)["_taken"]
    return packet.frames[max(0, taken - packet.first) :]


def no_memory(window: FrameWindow, packet: Packet) -> Any:
    """Take again what was taken."""
    taken: int = vars(window)["_taken"]
    return packet.frames if taken >= packet.first else ()


def no_retransmission(_: object) -> None:
    """Send nothing twice."""


def no_lives(lane: HostLane, hosts: Iterable[HostRecord], see: Any = HostLane.see) -> None:
    """Take a host that was taken for dead and came back for the one it was."""
    see(lane, [replace(one, life=0) for one in hosts])


@pytest.mark.parametrize(
    ("what", "name", "mutation", "law"),
    [
        (FrameWindow, "_fresh", no_order, "order"),
        (FrameWindow, "_fresh", no_memory, "order"),
        (FrameWindow, "_resend", no_retransmission, "lost"),
        (HostLane, "see", no_lives, ("order", "after lost", "lost")),
    ],
)
def test_a_mutation_is_caught(what: type[Any], name: str, mutation: Any, law: Any) -> None:
    with mock.patch.object(what, name, mutation):
        assert any(one.startswith(law) for seed in range(ENOUGH) for one in simulate(seed).broken)


@pytest.mark.soak
def test_every_law_holds_for_10_000_seeds() -> None:
    assert {seed: found for seed in range(200, 10_000) if (found := simulate(seed).broken)} == {}
