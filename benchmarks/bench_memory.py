"""What does an idle actor weigh?"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from benchmarks.measure import resident_bytes
from benchmarks.question import Contestant, Question, Target, Unit

if TYPE_CHECKING:
    from actors import Agent


async def ours(count: int) -> float:
    from benchmarks.side.own import Echo, stop_all

    await stop_all([Echo.start()])
    tasks, before = len(asyncio.all_tasks()), resident_bytes()
    refs = [Echo.start() for _ in range(count)]
    await refs[-1].ask(0)
    grown = resident_bytes() - before
    if (more := len(asyncio.all_tasks()) - tasks) > 100:
        msg = f"{count} idle actors hold {more} tasks; an idle actor must not have one"
        raise RuntimeError(msg)
    await stop_all(refs)
    return grown


async def agents(count: int) -> float:
    from actors import Agent

    def one(number: int) -> Agent[Any, Any]:
        return Agent(f"agent{number}", model="offline", system_prompt="Be brief.")

    await one(-1).run("warm up")
    before = resident_bytes()
    nodes = [one(number) for number in range(count)]
    for node in nodes:
        node.ref()
    await nodes[-1].ref().ready()
    return resident_bytes() - before


async def waiting_runs(count: int) -> float:
    from benchmarks.side.slow import in_flight, slow_agent

    async with slow_agent() as (slow, agent):
        return await in_flight(slow, agent, count)


async def bare_waiting_runs(count: int) -> float:
    from pydantic_ai import Agent

    from benchmarks.side.slow import SlowModel, in_flight

    slow = SlowModel()
    return await in_flight(slow, Agent(slow.model(), name="slow"), count)


async def tasks(count: int) -> float:
    from benchmarks.side.bare import QueueEcho, stop_all

    await stop_all([QueueEcho()])
    before = resident_bytes()
    actors = [QueueEcho() for _ in range(count)]
    await actors[-1].ask(0)
    grown = resident_bytes() - before
    await stop_all(actors)
    return grown


def threads(count: int) -> float:
    from benchmarks.side.threads import Echo, stop_all

    stop_all([Echo.start()])
    before = resident_bytes()
    refs = [Echo.start() for _ in range(count)]
    refs[-1].ask(0)
    grown = resident_bytes() - before
    stop_all(refs)
    return grown


async def autogen(count: int) -> float:
    from benchmarks.side.autogen import Ping, addresses, running

    async with running() as runtime:
        targets = addresses(count)
        await runtime.send_message(Ping(0), targets[0])
        before = resident_bytes()
        for target in targets[1:]:
            await runtime.send_message(Ping(0), target)
        return resident_bytes() - before


async def everything(count: int) -> float:
    from benchmarks.side.everything import running

    async with running(1):
        before = resident_bytes()
        async with running(count) as refs:
            await refs[-1].ask(0)
            return resident_bytes() - before


QUESTION = Question(
    title="Resident memory of one idle actor",
    unit=Unit.KIBIBYTES,
    count=100_000,
    batches=1,
    rounds=3,
    contestants=(
        Contestant(name="ours", run=ours, requires="actors"),
        Contestant(name="ours, 1,000,000", run=ours, requires="actors", count=1_000_000),
        Contestant(name="agent, 1,000", run=agents, requires="pydantic_ai", count=1_000),
        Contestant(name="agent, 100,000", run=agents, requires="pydantic_ai", count=100_000),
        Contestant(name="run that waits, 1,000", run=waiting_runs, requires="pydantic_ai", count=1_000),
        Contestant(name="run that waits, 10,000", run=waiting_runs, requires="pydantic_ai", count=10_000),
        Contestant(name="bare pydantic-ai run that waits", run=bare_waiting_runs, requires="pydantic_ai", count=10_000),
        Contestant(name="bare queue + task", run=tasks),
        Contestant(name="pykka threads", run=threads, requires="pykka", count=1_000),
        Contestant(name="autogen-core", run=autogen, requires="autogen_core", count=10_000),
        Contestant(name="ours, same Python", run=ours, requires="pykka", python=(3, 12), is_beside=True),
        Contestant(
            name="everything-is-an-actor", run=everything, requires="actor_for_agents", python=(3, 12), count=10_000
        ),
    ),
    targets=(
        Target(at_most=2.5),
        Target(subject="ours, 1,000,000", at_most=1024**2 / 1e6),
        Target(subject="agent, 100,000", against="agent, 1,000", at_most=1.5),
        Target(subject="run that waits, 10,000", against="run that waits, 1,000", at_most=1.5),
        Target(subject="run that waits, 10,000", against="bare pydantic-ai run that waits", at_most=1.2),
        Target(subject="ours, same Python", against="everything-is-an-actor", faster=1.0),
    ),
    timeout=600.0,
    note=(
        "Growth of the resident memory by 100,000 idle actors (1,000 threads, 10,000 agents of autogen-core), "
        "tracing off; an agent of autogen-core has no mailbox of its own. The run fails if idle actors hold tasks. "
        "1,000,000 actors may have 1 GiB. A run that waits: for a model that does not answer yet."
    ),
)
