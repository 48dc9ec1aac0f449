"""What does an idle actor weigh?"""

from __future__ import annotations

import asyncio

from benchmarks.measure import resident_bytes
from benchmarks.question import Contestant, Question, Target, Unit


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
        Contestant(name="bare queue + task", run=tasks),
        Contestant(name="pykka threads", run=threads, requires="pykka", count=1_000),
        Contestant(name="autogen-core", run=autogen, requires="autogen_core", count=10_000),
        Contestant(
            name="everything-is-an-actor", run=everything, requires="actor_for_agents", python=(3, 12), count=10_000
        ),
    ),
    targets=(Target(at_most=2.5),),
    note=(
        "Growth of the resident memory by 100,000 idle actors (1,000 threads, 10,000 agents of autogen-core), "
        "tracing off; an agent of autogen-core has no mailbox of its own. The run fails if idle actors hold tasks."
    ),
)
