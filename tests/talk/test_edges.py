"""What holds for every kind of connection, and while connections come and go."""

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime.system import ActorSystem
from actors.supervision.child import ChildSpec
from actors.supervision.supervisor import Supervisor
from actors.talk.context import ConnectionType, TalkContext
from actors.testing.clock import ManualClock
from actors.testing.settle import settle
from protocols.events import RunStarted
from protocols.messages import ChatMessage
from protocols.node import Origin
from tests.support.nodes import AnyAgent, current_system, echo_agent, record_events

if TYPE_CHECKING:
    from actors.talk.talk import Talk

KINDS: list[ConnectionType] = ["run", "context", "forward"]


class Sink:
    """A target that writes down what it is given, whatever the kind of the connection."""

    def __init__(self, name: str, given: list[str]) -> None:
        self.name = name
        self.given = given
        self.queue: Any = None

    def post(self, prompts: Any, *, origin: Origin | None = None, **_: Any) -> "asyncio.Future[ChatMessage[Any]]":
        self.given.append(self.name)
        done: asyncio.Future[ChatMessage[Any]] = asyncio.get_running_loop().create_future()
        done.set_result(prompts[0])
        return done

    def add_context(self, text: str) -> None:
        self.given.append(self.name)

    def offer(self, message: ChatMessage[Any], origin: Origin) -> None:
        self.given.append(self.name)


@pytest.mark.parametrize("kind", KINDS)
async def test_connections_of_every_kind_go_in_order_of_priority(kind: ConnectionType) -> None:
    given: list[str] = []
    a = echo_agent("a")
    for name, priority in (("last", 5), ("first", -1), ("middle", 0), ("middle too", 0)):
        a.connect_to(Sink(name, given), connection_type=kind, priority=priority)

    await a.run("q")

    assert given == ["first", "middle", "middle too", "last"]


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_of_connection_waits_for_its_delay(
    kind: ConnectionType, manual_clock: ManualClock, actor_system: ActorSystem
) -> None:
    given: list[str] = []
    a = echo_agent("a")
    await actor_system.start(Supervisor, ([ChildSpec(a.factory(), name="a")],)).ready()
    a.connect_to(Sink("slow", given), connection_type=kind, delay=5)
    a.connect_to(Sink("slower", given), connection_type=kind, delay=7)
    waiting = asyncio.ensure_future(a.run("q", wait_for_connections=True))

    await manual_clock.advance(4.9)
    assert given == []
    await manual_clock.advance(0.1)
    assert (given, waiting.done()) == (["slow"], False)
    await manual_clock.advance(2)
    assert (await waiting).content == "a(q)"
    assert given == ["slow", "slower"]


async def test_a_delay_may_be_set_while_messages_wait(manual_clock: ManualClock, actor_system: ActorSystem) -> None:
    seen: list[str] = []
    a, b = echo_agent("a"), echo_agent("b", seen)
    await actor_system.start(
        Supervisor, ([ChildSpec(a.factory(), name="a"), ChildSpec(b.factory(), name="b")],)
    ).ready()
    talk = a.connect_to(b, delay=60)
    await a.run("1")
    talk.delay = None
    await a.run("2")
    await manual_clock.advance(1)
    assert seen == ["a(2)"]
    await manual_clock.advance(59)

    assert seen == ["a(2)", "a(1)"]


async def test_whether_a_connection_is_paused_can_be_seen() -> None:
    talk: Talk = echo_agent("a") >> echo_agent("b")

    async with talk.paused():
        async with talk.paused():
            assert talk.is_paused
        assert talk.is_paused
    assert not talk.is_paused


async def test_a_pause_ends_with_an_exception_too() -> None:
    talk: Talk = echo_agent("a") >> echo_agent("b")

    with pytest.raises(KeyError):
        async with talk.paused():
            raise KeyError
    assert not talk.is_paused


def after_three(context: TalkContext) -> bool:
    return context.stats.message_count >= 3


class Storm:
    """Nodes whose connections come and go while they run."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.nodes: list[AnyAgent] = [echo_agent(f"n{number}") for number in range(6)]
        self.made: list[Talk] = []  # those that have ended too
        for _ in range(20):
            self.connect()

    async def change(self, times: int) -> None:
        for _ in range(times):
            await asyncio.sleep(0)
            active = [talk for talk in self.made if talk.active]
            if active and self.random.random() < 0.5:
                self.random.choice(active).disconnect()
            else:
                self.connect()

    def connect(self) -> None:
        source, target = self.random.sample(self.nodes, 2)
        options: dict[str, Any] = {}
        if self.random.random() < 0.3:
            options["filter_condition"] = self.slow_yes
        if self.random.random() < 0.2:
            options["stop_condition"] = after_three
        self.made.append(source.connect_to(target, hop_limit=3, **options))

    async def slow_yes(self, _: object) -> bool:
        await asyncio.sleep(0)
        return True

    async def run(self, times: int) -> None:
        wait = [None, True, False]
        for _ in range(times):
            await self.random.choice(self.nodes).run("q", wait_for_connections=self.random.choice(wait))


@pytest.mark.parametrize("seed", range(5))
async def test_connections_that_come_and_go_lose_nothing_and_leave_nothing(seed: int) -> None:
    started, storm = record_events(current_system(), RunStarted), Storm(seed)

    async with asyncio.timeout(30):
        await asyncio.gather(storm.change(300), *(storm.run(20) for _ in range(10)))
        for talk in storm.made:
            talk.disconnect()
        for node in storm.nodes:
            await node.complete_tasks()
        await settle()

    passed_on = sum(talk.stats.message_count for talk in storm.made)
    assert len(started) == 200 + passed_on
    assert passed_on > 100
    assert [len(node.connections) for node in storm.nodes] == [0] * 6
    assert not any(node.is_busy() for node in storm.nodes)
    assert not any(talk.in_flight.actors for talk in storm.made)
