"""Whatever becomes of the statistics, the agents answer: what is lost is counted, and gaps show in the numbers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actors.nodes.agent import Agent
from actors.runtime.actor import AsyncioActor
from actors.runtime.mailbox import MailboxConfig
from actors.runtime.system import ActorSystem
from actors.stats.stats_actor import ReadStats, StatsActor
from actors.testing.settle import settle
from protocols.events import EventsDropped, MessageSent, StampedEvent

RUNS = 30


def echo(name: str) -> Agent[object, str]:
    """Return an agent that answers with what it was asked."""

    def answer(text: str) -> str:
        return f"{name}({text})"

    return Agent.from_callback(answer, name=name)


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
    """Crashes on its first event."""

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

    assert await answers(echo("a")) == EXPECTED  # nobody has opened the gate
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
    agent = echo("a")
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
