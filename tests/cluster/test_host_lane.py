"""The lanes of hosts: who lives is what the database says, and what was under way when a host was lost stays lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from actors.testing.clock import ManualClock
from protocols.errors import HostLostError
from protocols.journal import JournalError
from protocols.transport import Credit, Frame
from tests.cluster.process import TTL, Process, clerk, shared

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.usefixtures("no_leaked_actors")


def nodes() -> Sequence[Any]:
    return [clerk("clerk", str)]


class Gate:
    """Lets renewals of leases fail."""

    is_shut = False

    async def __call__(self, name: str) -> None:
        if self.is_shut and name == "renew":
            raise JournalError("the server is away")


def heard(process: Process) -> list[Any]:
    """Return what a host hears, as it comes: numbers of frames, and hosts that are lost."""
    found: list[Any] = []

    def take(_host: str, frame: Frame) -> None:
        assert isinstance(frame, Credit)
        found.append(frame.number)

    process.service.host.lane.listen(take, found.append)
    return found


def say(one: Process, two: Process, number: int) -> None:
    one.service.host.lane.send(two.store.host, Credit(b"", number))


async def test_hosts_hear_each_other_and_lose_the_one_that_leaves() -> None:
    clock = ManualClock()
    database = shared(clock)
    async with Process(database, clock, nodes) as one:
        async with Process(database, clock, nodes) as two:
            await clock.advance(TTL)
            first, second = heard(one), heard(two)
            say(one, two, 1)
            say(two, one, 2)
            await clock.advance(0.1)
            assert (first, second) == ([2], [1])
            say(two, one, 3)
        assert first == [2, 3, two.store.host]
        with pytest.raises(HostLostError):
            say(one, two, 4)


async def test_a_host_that_dies_is_lost_within_ttl_and_a_second() -> None:
    clock = ManualClock()
    database = shared(clock)
    async with Process(database, clock, nodes) as one, Process(database, clock, nodes) as two:
        await clock.advance(TTL)
        found = heard(one)
        await two.die()
        say(one, two, 1)
        await clock.advance(TTL + 1)
        assert found == [two.store.host]


async def test_a_host_that_comes_back_is_heard_again_and_nothing_from_before() -> None:
    clock, gate = ManualClock(), Gate()
    database = shared(clock)
    async with Process(database, clock, nodes) as one, Process(database, clock, nodes, gate=gate) as two:
        await clock.advance(TTL)
        first, second = heard(one), heard(two)
        gate.is_shut = True
        await clock.advance(TTL + 1)
        assert first == [two.store.host]
        say(two, one, 1)
        await clock.advance(0.5)
        gate.is_shut = False
        await clock.advance(TTL)
        say(two, one, 2)
        say(one, two, 3)
        await clock.advance(0.1)
        assert first == [two.store.host, 2]
        assert second == [one.store.host, 3]
