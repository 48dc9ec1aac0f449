"""`settle` returns when nothing goes on by itself."""

import asyncio

import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.ref import ActorRef
from actors.runtime.system import ActorSystem
from actors.testing import ManualClock, TestProbe, settle


class Relay(AsyncioActor):
    def __init__(self, onto: ActorRef[AsyncioActor]) -> None:
        super().__init__()
        self.onto = onto

    async def on_receive(self, message: int) -> None:
        await asyncio.sleep(0)
        self.onto.tell(message + 1)


class Parked(AsyncioActor):
    def __init__(self, gate: asyncio.Event) -> None:
        super().__init__()
        self.gate = gate
        self.passed = 0

    async def on_receive(self, message: object) -> None:
        await self.gate.wait()
        self.passed += 1


class Restless(AsyncioActor):
    def on_receive(self, message: object) -> None:
        self.actor_ref.tell(message)


async def test_settle_returns_when_a_message_has_gone_all_the_way(actor_system: ActorSystem) -> None:
    probe = TestProbe(actor_system)
    ref: ActorRef[AsyncioActor] = probe.ref
    for _ in range(20):
        ref = actor_system.start(Relay, (ref,))
    ref.tell(0)

    await settle()

    assert list(probe.received) == [20]


async def test_settle_does_not_wait_for_a_handler_that_waits_for_an_event(actor_system: ActorSystem) -> None:
    gate = asyncio.Event()
    ref = actor_system.start(Parked, (gate,))
    ref.tell("first")
    ref.tell("second")

    await settle(actor_system)

    assert ref.statistics().depth == 1
    gate.set()
    await settle()
    assert await ref.proxy().passed == 2


async def test_settle_sees_what_other_tasks_hand_to_a_handler(actor_system: ActorSystem) -> None:
    seen: list[int] = []

    class Gathers(AsyncioActor):
        async def on_receive(self, message: object) -> None:
            async def hop(depth: int) -> int:
                return depth if depth == 0 else await asyncio.create_task(hop(depth - 1))

            await asyncio.gather(hop(10), hop(15))
            seen.append(1)

    actor_system.start(Gathers).tell("go")
    await settle()

    assert seen == [1]


async def test_two_that_settle_at_once_do_not_keep_each_other_awake() -> None:
    await asyncio.gather(settle(), settle())


async def test_settle_names_an_actor_that_never_rests(actor_system: ActorSystem) -> None:
    ref = actor_system.start(Restless, name="restless")
    ref.tell("go")

    with pytest.raises(AssertionError, match="restless"):
        await settle(passes=50)

    await ref.stop(mode="now")


async def test_settle_looks_at_all_systems_of_the_loop_but_at_no_other_when_given_one(
    actor_system: ActorSystem,
) -> None:
    async with ActorSystem("other", clock=ManualClock()) as other:
        probe = TestProbe(other)
        actor_system.start(Relay, (probe.ref,)).tell(1)
        await settle()

        assert list(probe.received) == [2]
