"""What does it cost to ask 100 actors at once and gather the replies?"""

from __future__ import annotations

import asyncio
from time import perf_counter

from benchmarks.question import Contestant, Question, Target, Unit

WIDTH = 100
"""Actors asked at once."""


async def ours(count: int) -> float:
    from benchmarks.side.own import Echo, stop_all

    refs = [Echo.start() for _ in range(WIDTH)]
    started = perf_counter()
    for number in range(count):
        await asyncio.gather(*(ref.ask(number) for ref in refs))
    seconds = perf_counter() - started
    await stop_all(refs)
    return seconds


async def future_hop(count: int) -> float:
    from benchmarks.side.bare import hop

    loop = asyncio.get_running_loop()
    started = perf_counter()
    for number in range(count):
        await asyncio.gather(*(hop(loop, number) for _ in range(WIDTH)))
    return perf_counter() - started


async def queue_task(count: int) -> float:
    from benchmarks.side.bare import QueueEcho, stop_all

    actors = [QueueEcho() for _ in range(WIDTH)]
    started = perf_counter()
    for number in range(count):
        await asyncio.gather(*(actor.ask(number) for actor in actors))
    seconds = perf_counter() - started
    await stop_all(actors)
    return seconds


def threads(count: int) -> float:
    from pykka import get_all

    from benchmarks.side.threads import Echo, stop_all

    refs = [Echo.start() for _ in range(WIDTH)]
    started = perf_counter()
    for number in range(count):
        get_all([ref.ask(number, block=False) for ref in refs])
    seconds = perf_counter() - started
    stop_all(refs)
    return seconds


async def autogen(count: int) -> float:
    from benchmarks.side.autogen import Ping, addresses, running

    async with running() as runtime:
        targets = addresses(WIDTH)
        await asyncio.gather(*(runtime.send_message(Ping(0), target) for target in targets))
        started = perf_counter()
        for number in range(count):
            await asyncio.gather(*(runtime.send_message(Ping(number), target) for target in targets))
        return perf_counter() - started


async def everything(count: int) -> float:
    from benchmarks.side.everything import running

    async with running(WIDTH) as refs:
        started = perf_counter()
        for number in range(count):
            await asyncio.gather(*(ref.ask(number) for ref in refs))
        return perf_counter() - started


QUESTION = Question(
    title="One message asked of 100 actors at once, all replies gathered",
    unit=Unit.MICROSECONDS,
    count=200,
    contestants=(
        Contestant(name="ours", run=ours, requires="actors"),
        Contestant(name="bare future + call_soon", run=future_hop),
        Contestant(name="bare queue + task", run=queue_task),
        Contestant(name="pykka threads", run=threads, requires="pykka", count=50),
        Contestant(name="autogen-core", run=autogen, requires="autogen_core", count=20),
        Contestant(name="everything-is-an-actor", run=everything, requires="actor_for_agents", python=(3, 12)),
    ),
    targets=(Target(against="pykka threads", faster=8.0), Target(against="autogen-core", faster=30.0)),
)
