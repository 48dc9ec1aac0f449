"""A router: replicas behind one ref. What is sent is handled once, whatever happens to them."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pykka
import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import AskTimeoutError, Reject
from actors.runtime.mailbox import MailboxConfig
from actors.runtime.options import StartOptions
from actors.supervision.backoff import Backoff
from actors.supervision.child import ChildSpec, ChildSpecError
from actors.supervision.errors import SupervisionOptionError
from actors.supervision.intensity import RestartIntensity
from actors.supervision.router import Router
from actors.supervision.supervisor import Supervisor
from actors.testing import ManualClock, explore, settle
from protocols.mailbox import MailboxFullError

if TYPE_CHECKING:
    from actors.runtime.ref import ActorRef
    from actors.runtime.system import ActorSystem

OFTEN = RestartIntensity(limit=1_000, period=1.0)


class Desk:
    """What the workers of a test share: who works on what, and what they wait for."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, Any]] = []
        self.ended: list[Any] = []
        self.cancelled: list[Any] = []
        self.gate = asyncio.Event()


class Worker(AsyncioActor):
    """Works on one message at a time, until the gate opens; "crash" ends its life, "no" is refused."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk

    async def on_receive(self, message: Any) -> Any:
        name = self._actor_cell.name
        self.desk.begun.append((name, message))
        if message == "crash":
            raise ValueError(message)
        if message == "no":
            raise Reject(message)
        try:
            await self.desk.gate.wait()
        except asyncio.CancelledError:
            self.desk.cancelled.append(message)
            raise
        self.desk.ended.append(message)
        return name


class Wide(Worker):
    """Works on several messages at a time."""

    max_concurrency = 3


def started(system: ActorSystem, desk: Desk, replicas: int, kind: type[Worker] = Worker, **options: Any) -> Any:
    mailbox = options.pop("mailbox", None)
    options = {"replicas": replicas, "intensity": OFTEN, "backoff": None, **options}
    start = StartOptions(name="desk", mailbox=mailbox)
    return system.start(Router, (ChildSpec(kind, args=(desk,), name="w"),), options, options=start)


async def test_replicas_work_at_the_same_time_and_the_rest_waits_in_one_mailbox(actor_system: ActorSystem) -> None:
    desk = Desk()
    router = started(actor_system, desk, 3)
    asks = [router.ask(number) for number in range(5)]
    await settle()

    assert sorted(name for name, _ in desk.begun) == ["w#1", "w#2", "w#3"]
    assert router.statistics().depth == 2
    desk.gate.set()
    assert sorted(Counter(await asyncio.gather(*asks)).values()) == [1, 2, 2]
    assert sorted(desk.ended) == [0, 1, 2, 3, 4]
    assert [child.name for child in await router.proxy().children()] == ["w#1", "w#2", "w#3"]


async def test_the_bound_of_the_mailbox_is_for_all_replicas_together(actor_system: ActorSystem) -> None:
    desk = Desk()
    router = started(actor_system, desk, 2, mailbox=MailboxConfig(capacity=1))
    asks: list[Any] = []
    for message in ("first", "second", "waits"):
        asks.append(router.ask(message))
        await settle()
    with pytest.raises(MailboxFullError):
        await router.ask("too much")
    desk.gate.set()

    assert len(await asyncio.gather(*asks)) == 3


@pytest.mark.parametrize(
    ("routing", "shares"),
    [("round_robin", [2, 2, 2]), ("least_busy", [2, 2, 2])],
)
async def test_messages_are_shared_out(actor_system: ActorSystem, routing: str, shares: list[int]) -> None:
    desk = Desk()
    router = started(actor_system, desk, 3, Wide, routing=routing)
    for number in range(6):
        router.tell(number)
    await settle()

    assert sorted(Counter(name for name, _ in desk.begun).values()) == shares
    desk.gate.set()


async def test_in_turn_is_not_by_load(actor_system: ActorSystem) -> None:
    first: dict[str, set[str]] = {}
    for routing in ("round_robin", "least_busy"):
        desk = Desk()
        router = actor_system.start(Router, (ChildSpec(Wide, args=(desk,), name="w"), 2), {"routing": routing})
        one = router.ask(0)
        await settle()
        held = desk.begun[0][0]
        for _ in range(2):  # refused at once, so the load stays as it is
            with pytest.raises(Reject):
                await router.ask("no")
        first[routing] = {name for name, message in desk.begun if message == "no"} - {held}
        assert (held in {name for name, message in desk.begun if message == "no"}) == (routing == "round_robin")
        desk.gate.set()
        await one


async def test_a_replica_that_crashes_restarts_alone_while_the_others_take_the_messages(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    desk = Desk()
    router = started(actor_system, desk, 2, backoff=Backoff(min=5.0, max=5.0, jitter=0.0))
    held = router.ask("held")
    await settle()
    with pytest.raises(ValueError, match="crash"):
        await router.ask("crash")
    desk.gate.set()
    name = await held
    assert {await router.ask(number) for number in range(4)} == {name}
    await manual_clock.advance(5.0)

    assert len({await router.ask(number) for number in range(4)}) == 2
    assert desk.cancelled == []
    assert [child.incarnation for child in await router.proxy().children()].count(2) == 1


async def test_a_message_waits_for_a_replica_if_all_of_them_restart(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    desk = Desk()
    desk.gate.set()
    router = started(actor_system, desk, 1, backoff=Backoff(min=5.0, max=5.0, jitter=0.0))
    router.tell("crash")
    ask = router.ask("later")
    await settle()
    assert not ask.done()
    await manual_clock.advance(5.0)

    assert await ask == "w#1"


async def test_the_deadline_and_the_cancellation_of_an_asker_reach_the_replica(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    desk = Desk()
    router = started(actor_system, desk, 2)
    late, given_up, queued = router.ask("late", timeout=2.0), router.ask("given up"), router.ask("queued", timeout=2.0)
    await manual_clock.advance(2.0)
    given_up.cancel()
    await settle()

    assert isinstance(late.exception(), AskTimeoutError)
    assert isinstance(queued.exception(), AskTimeoutError)
    assert (desk.cancelled, [message for _, message in desk.begun]) == (["late", "given up"], ["late", "given up"])
    assert len(actor_system.deadlines) == 0
    desk.gate.set()
    assert await router.ask("next") in {"w#1", "w#2"}


async def test_a_dead_letter_of_a_replica_names_the_sender_of_the_message(actor_system: ActorSystem) -> None:
    router = started(actor_system, Desk(), 2)

    class Sends(AsyncioActor):
        def on_receive(self, message: Any) -> None:
            router.tell(message)

    sender = actor_system.start(Sends)
    sender.tell("no")
    await settle()

    (letter,) = actor_system.dead_letters
    assert (letter.sender, letter.message, letter.target.name) == (sender, "no", letter.target.name)


@pytest.mark.parametrize("mode", ["drain", "now"])
async def test_a_stop_lets_the_replicas_finish(actor_system: ActorSystem, mode: str) -> None:
    desk = Desk()
    router = started(actor_system, desk, 2)
    asks = [router.ask(number) for number in range(4)]
    await settle()
    stopping = router.stop(mode=mode)
    await settle()
    desk.gate.set()
    await stopping
    failures = [one.exception() for one in asks]

    assert failures[:2] == [None, None]
    assert all(isinstance(one, pykka.ActorDeadError) if mode == "now" else one is None for one in failures[2:])
    assert actor_system.tree() == ()


@pytest.mark.parametrize("end", ["kill", "time is up"])
async def test_an_end_that_does_not_wait_tells_every_asker(
    actor_system: ActorSystem, manual_clock: ManualClock, end: str
) -> None:
    desk = Desk()
    router = started(actor_system, desk, 2)
    asks = [router.ask(number, timeout=None) for number in range(4)]
    await settle()
    stopping = router.kill() if end == "kill" else router.stop(timeout=2.0)
    if end != "kill":
        await manual_clock.advance(2.0)
        await manual_clock.advance(5.0)
    await stopping

    assert all(one.exception() is not None for one in asks)
    assert sorted(desk.cancelled) == [0, 1]
    assert actor_system.tree() == ()


async def test_another_number_of_replicas_loses_no_message(actor_system: ActorSystem) -> None:
    desk = Desk()
    router = started(actor_system, desk, 3)
    proxy = router.proxy()
    asks = [router.ask(number) for number in range(8)]
    await settle()
    proxy.resize(1)  # waits behind the messages
    desk.gate.set()
    asks += [router.ask(number) for number in range(8, 10)]
    assert len(await asyncio.gather(*asks)) == 10
    await settle()
    assert [child.name for child in await proxy.children()] == ["w#1"]
    await proxy.resize(4)

    assert [child.name for child in await proxy.children()] == ["w#1", "w#2", "w#3", "w#4"]
    assert len({await router.ask(number) for number in range(8)}) == 4
    assert sorted(desk.ended[:10]) == list(range(10))
    with pytest.raises(SupervisionOptionError, match="replicas must be a whole number >= 1"):
        await proxy.resize(0)


async def test_an_update_of_the_router_as_a_child_leaves_its_replicas_at_work(actor_system: ActorSystem) -> None:
    desk = Desk()
    spec = ChildSpec(Router, args=(ChildSpec(Worker, args=(desk,), name="w"), 3), name="r")
    top = await actor_system.start(Supervisor, ([spec],)).ready()
    await top.proxy().update_child(spec)
    router = (await top.proxy().children())[0].ref
    asks = [router.ask(number) for number in range(5)]
    await settle()

    assert len({name for name, _ in desk.begun}) == 3
    desk.gate.set()
    assert len(await asyncio.gather(*asks)) == 5


async def test_a_router_whose_replicas_have_all_ended_crashes(actor_system: ActorSystem) -> None:
    desk = Desk()
    spec = ChildSpec(Worker, args=(desk,), name="w", restart="temporary")
    router = actor_system.start(Router, (spec, 2))
    for _ in range(2):
        with pytest.raises(ValueError, match="crash"):
            await router.ask("crash")
    with pytest.raises(pykka.ActorDeadError, match="all replicas have ended for good"):
        await router.ask("one more")
    await settle()

    assert not router.is_alive()


def test_impossible_options_are_refused_before_anything_starts() -> None:
    spec = ChildSpec(Worker, args=(None,), name="w")
    make: Any = Router
    wrong: dict[str, Any] = {"replicas": 0, "routing": "random", "intensity": 3, "backoff": 2}
    for name, value in wrong.items():
        with pytest.raises(SupervisionOptionError, match=f"{name} must be"):
            make(spec, **{"replicas": 2, name: value})
    with pytest.raises(ChildSpecError, match="give it to the router"):
        Router(ChildSpec(Worker, name="w", mailbox=MailboxConfig()), 2)


class Numbered(AsyncioActor):
    """Notes what it handles; crashes by some messages, and lets the loop turn at random moments."""

    def __init__(self, log: list[int], random: Any) -> None:
        super().__init__()
        self.log = log
        self.random = random

    async def on_receive(self, message: int) -> int:
        self.log.append(message)
        for _ in range(self.random.randrange(4)):
            await asyncio.sleep(0)
        if message % 7 == 3:
            raise ValueError(message)
        return message


async def _law(system: ActorSystem, clock: ManualClock) -> None:
    dispatcher: Any = system.dispatcher
    random: Any = dispatcher.random
    log: list[int] = []
    spec = ChildSpec(Numbered, args=(log, random), name="n")
    kind = {"intensity": OFTEN, "backoff": None, "routing": random.choice(["least_busy", "round_robin"])}
    router: ActorRef[Any] = system.start(Router, (spec, random.randrange(1, 5)), kind)
    proxy, asks, told = router.proxy(), dict[int, Any](), set[int]()
    for number in range(60):
        if random.random() < 0.2:
            proxy.resize(random.randrange(1, 5))
        if random.random() < 0.5:
            asks[number] = router.ask(number, timeout=None)
        else:
            router.tell(number)
            told.add(number)
        if random.random() < 0.1 and asks:
            random.choice(list(asks.values())).cancel()
        if random.random() < 0.3:
            await asyncio.sleep(0)
    if random.random() < 0.5:
        await router.stop(mode=random.choice(["drain", "now"]))
    await settle(system)

    assert len(log) == len(set(log)), "a message was handled twice"
    assert all(ask.done() for ask in asks.values()), "an asker was told nothing"
    answered = {number for number, ask in asks.items() if not ask.cancelled() and ask.exception() is None}
    assert answered <= set(log)
    lost = {letter.message for letter in system.dead_letters if isinstance(letter.message, int)}
    assert told <= lost | set(log), "a message vanished"
    if router.is_alive():
        assert len(await proxy.children()) == len({child.name for child in await proxy.children()})
        assert set(log) - lost >= answered


def test_no_message_is_lost_and_none_is_handled_twice() -> None:
    assert explore(_law, range(25)) == 25
