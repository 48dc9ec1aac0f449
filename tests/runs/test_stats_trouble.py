"""Statistics of real runs: the same numbers whoever else listens; whatever becomes of them, the agents answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from pydantic_ai.models.test import TestModel

from actors.agents.agent import Agent
from actors.runtime.actor import AsyncioActor
from actors.runtime.mailbox import MailboxConfig
from actors.runtime.system import ActorSystem
from actors.stats.event_totals import DurationTotals
from actors.stats.stats_actor import ReadStats, StatsActor
from actors.testing.models import failing_model
from actors.testing.settle import settle
from protocols.events import EventsDropped, MessageSent, StampedEvent
from tests.support.nodes import echo_agent

if TYPE_CHECKING:
    from actors.nodes.node import MessageNode
    from actors.runtime.ref import ActorRef
    from actors.stats.projection import NodeTotals, StatsSnapshot

RUNS = 30


async def answers(agent: Agent[object, str]) -> list[Any]:
    """Return the answers of some runs, one after the other."""
    return [(await agent.run(str(number))).content for number in range(RUNS)]


EXPECTED = [f"a({number})" for number in range(RUNS)]


class Stuck(StatsActor):
    """Has little room, and does not come to it."""

    mailbox = MailboxConfig(capacity=5)

    async def on_receive(self, message: Any) -> Any:  # type: ignore[override] # pyright: ignore[reportIncompatibleMethodOverride] # it may be async
        """Wait for a gate that a test opens."""
        await self.gate.wait()
        return super().on_receive(message)

    gate = asyncio.Event()


class Breaking(StatsActor):
    """Crashes on its first events."""

    mailbox = MailboxConfig(capacity=5)

    def on_receive(self, message: Any) -> Any:
        """Raise."""
        raise RuntimeError(message)


@pytest.mark.conformance("R120")
async def test_statistics_that_are_stuck_hold_up_no_agent_and_know_what_they_missed() -> None:
    system = ActorSystem.of(asyncio.get_running_loop())
    Stuck.gate = asyncio.Event()
    stats = await system.start(Stuck, name="stats").ready()
    gaps: list[EventsDropped] = []
    system.events.subscribe(gaps.append, [EventsDropped])

    assert await answers(echo_agent("a")) == EXPECTED  # nobody has opened the gate
    Stuck.gate.set()
    await settle()
    snapshot = await stats.ask(ReadStats())

    assert snapshot.total.runs < RUNS
    assert snapshot.dropped_events == system.events.dropped == len(gaps) > 0
    await system.close()


@pytest.mark.conformance("R120")
@pytest.mark.parametrize("end", ["stop", "kill", "crash"])
async def test_statistics_that_end_between_two_runs_change_no_answer(end: str) -> None:
    system = ActorSystem.of(asyncio.get_running_loop())
    stats = await system.start(Breaking if end == "crash" else StatsActor, name="stats").ready()
    agent = echo_agent("a")
    if end == "stop":
        await stats.stop()
    elif end == "kill":
        await stats.kill()

    assert await answers(agent) == EXPECTED
    assert not stats.is_alive()
    assert not system.events.wants(MessageSent)  # agents do not even make events that nobody wants
    await system.close()


@pytest.mark.conformance("R120")
async def test_a_reader_sees_from_the_numbers_how_many_events_it_missed() -> None:
    class Reader(AsyncioActor):
        mailbox = MailboxConfig(capacity=3)
        seen: list[int] = []  # noqa: RUF012 - of one test

        def on_receive(self, message: StampedEvent) -> None:
            self.seen.append(message.seq)

    system = ActorSystem.of(asyncio.get_running_loop())
    subscription = system.events.subscribe(system.start(Reader, name="reader"), [MessageSent])
    for batch in (10, 1):
        for number in range(batch):
            system.events.publish(MessageSent, actor="a", run_id=str(number))
        await settle()

    missing = set(range(1, system.events.published + 1)) - set(Reader.seen)
    assert (len(Reader.seen), len(missing), subscription.dropped) == (4, 7, 7)
    await system.close()


def shout(text: str) -> str:
    """Return it louder."""
    return text.upper()


def timeless(node: NodeTotals) -> NodeTotals:
    """Return the numbers of a node with how many runs it had in place of how long they took."""
    replace = msgspec.structs.replace
    runs = DurationTotals((sum(node.durations.counts),), ())
    return replace(node, counters=replace(node.counters, busy_ns=0), durations=runs)


async def read(stats: ActorRef[StatsActor]) -> StatsSnapshot:
    snapshot = await stats.ask(ReadStats())
    assert snapshot is not None
    return snapshot


async def numbers(system: ActorSystem, stats: ActorRef[StatsActor]) -> StatsSnapshot:
    """Run nodes of every kind, and return what was counted but for the time that it took."""
    model = Agent("model", model=TestModel(custom_output_text="done"), tools=[shout])
    fails = Agent("fails", model=failing_model(ValueError("no")))
    nodes: list[MessageNode[Any, Any]] = [echo_agent("a"), model, echo_agent("a") & model, echo_agent("b") | model]
    for node in nodes:
        await node.run("text")
    for node in (fails, echo_agent("a") | fails):
        with pytest.raises(Exception, match=r"."):
            await node.run("text")
    snapshot = await read(stats)
    replace = msgspec.structs.replace
    return replace(
        snapshot,
        total=replace(snapshot.total, busy_ns=0),
        nodes=tuple(timeless(node) for node in snapshot.nodes),
        runs={str(number): replace(run, busy_ns=0) for number, run in enumerate(snapshot.runs.values())},
    )


async def test_the_numbers_are_the_same_whether_anybody_else_listens_or_not() -> None:
    counted: list[StatsSnapshot] = []
    for is_heard in (False, True):
        system = ActorSystem.of(asyncio.get_running_loop())
        stats = await system.start(StatsActor, name="stats").ready()
        assert system.events.count is not None
        heard: list[StampedEvent] = []
        if is_heard:
            system.events.subscribe(heard.append)
            assert system.events.count is None
        counted.append(await numbers(system, stats))
        assert bool(heard) is is_heard
        await system.close()

    assert counted[0] == counted[1]
    assert (counted[0].total.completed, counted[0].total.composed, counted[0].total.failures) == (9, 2, 2)
    assert counted[0].total.input_tokens > 0


async def test_a_run_in_hand_is_seen_though_it_is_told_in_brief() -> None:
    system = ActorSystem.of(asyncio.get_running_loop())
    stats = await system.start(StatsActor, name="stats").ready()
    gate = asyncio.Event()

    async def waits(text: str) -> str:
        await gate.wait()
        return text

    async with Agent.from_callback(waits, name="waits") as node:
        runs = [asyncio.create_task(node.run("x")) for _ in range(3)]
        await settle()
        during = (await read(stats)).nodes[0]
        gate.set()
        await asyncio.gather(*runs)
        after = (await read(stats)).nodes[0]

    assert [(node.state, node.running) for node in (during, after)] == [("running", 3), ("done", 0)]
    await system.close()


async def test_many_runs_wake_the_statistics_once_in_a_while() -> None:
    system = ActorSystem.of(asyncio.get_running_loop())
    stats = await system.start(StatsActor, name="stats").ready()
    node = echo_agent("a")
    for number in range(2_000):
        await node.run(str(number))

    assert stats._cell.accepted < 20  # pyright: ignore[reportPrivateUsage] - nothing else tells how often
    snapshot = await read(stats)
    assert (snapshot.total.messages, len(snapshot.runs)) == (2_000, 1_000)
    await system.close()


@pytest.mark.conformance("R120")
async def test_a_killed_listener_is_forgotten_at_once() -> None:
    system = ActorSystem.of(asyncio.get_running_loop())
    stats = await system.start(StatsActor, name="stats").ready()

    await stats.kill()

    assert not system.events.wants(MessageSent)
    assert system.events.count is None
    await system.close()
