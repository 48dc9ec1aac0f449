"""Seeded schedules: different seeds differ, the same seed repeats, a failure names its seed."""

import asyncio

import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import WrongLoopError
from actors.runtime.system import ActorSystem
from actors.testing import ManualClock, TestProbe, explore, settle


class Forwarder(AsyncioActor):
    def __init__(self, probe: TestProbe) -> None:
        super().__init__()
        self.probe = probe

    def on_receive(self, message: object) -> None:
        self.probe.ref.tell(message)


def orders(seeds: range) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []

    async def scenario(system: ActorSystem, clock: ManualClock) -> None:
        probe = TestProbe(system)
        for number in range(5):
            system.start(Forwarder, (probe,)).tell(number)
        await settle()
        found.append(tuple(probe.received))

    assert explore(scenario, seeds) == len(seeds)
    return found


def test_different_seeds_give_different_orders() -> None:
    assert len(set(orders(range(60)))) > 30


def test_the_same_seed_gives_the_same_order() -> None:
    assert orders(range(20)) == orders(range(20))


def test_a_failure_names_the_seed_and_the_last_steps() -> None:
    tried: list[int] = []

    async def scenario(system: ActorSystem, clock: ManualClock) -> None:
        probe = TestProbe(system, name="till")
        first, second = system.start(Forwarder, (probe,)), system.start(Forwarder, (probe,))
        first.tell(1)
        second.tell(2)
        tried.append(len(tried))
        await settle()
        assert list(probe.received) == [1, 2]

    with pytest.raises(AssertionError) as caught:
        explore(scenario, range(100))

    seed = tried[-1]
    assert caught.value.__notes__[0] == f"seed {seed}: replay it with explore(scenario, [{seed}])"
    assert "till" in caught.value.__notes__[1]
    with pytest.raises(AssertionError):
        explore(scenario, [seed])


def test_a_failure_is_told_although_a_handler_ignores_its_cancellation() -> None:
    class Deaf(AsyncioActor):
        async def on_receive(self, message: int) -> None:
            for _ in range(message):
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    continue

    async def scenario(system: ActorSystem, clock: ManualClock) -> None:
        system.start(Deaf).tell(3)
        await settle()
        raise LookupError("found")

    with pytest.raises(LookupError, match="found"):
        explore(scenario, [1])


async def test_in_an_async_test_it_says_where_to_call_it() -> None:
    async def scenario(_system: ActorSystem, _clock: ManualClock) -> None:
        raise AssertionError("it began")

    with pytest.raises(WrongLoopError, match="call it in a plain `def test`"):
        explore(scenario)
