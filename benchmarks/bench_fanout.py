"""What does it cost to ask 100 actors at once and gather the replies?"""

from __future__ import annotations

import asyncio
from functools import partial
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

from benchmarks.question import CLOCK, Contestant, Question, Target, Unit

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors import ActorRef

WIDTH = 100
"""Actors asked at once."""


async def ours(count: int, clock: Callable[[], float] = process_time) -> float:
    from benchmarks.side.own import Echo, stop_all

    refs = [Echo.start() for _ in range(WIDTH)]
    started = clock()
    for number in range(count):
        await asyncio.gather(*(ref.ask(number) for ref in refs))
    seconds = clock() - started
    await stop_all(refs)
    return seconds


async def askers(count: int) -> float:
    from benchmarks.side.own import Echo, stop_all

    async def ask(ref: ActorRef[Any]) -> None:
        for number in range(count):
            await ref.ask(number)

    refs = [Echo.start() for _ in range(WIDTH)]
    started = process_time()
    await asyncio.gather(*(ask(ref) for ref in refs))
    seconds = process_time() - started
    await stop_all(refs)
    return seconds


async def bare_askers(count: int) -> float:
    from benchmarks.side.bare import hop

    loop = asyncio.get_running_loop()

    async def ask() -> None:
        for number in range(count):
            await hop(loop, number)

    started = process_time()
    await asyncio.gather(*(ask() for _ in range(WIDTH)))
    return process_time() - started


async def future_hop(count: int) -> float:
    from benchmarks.side.bare import hop

    loop = asyncio.get_running_loop()
    started = process_time()
    for number in range(count):
        await asyncio.gather(*(hop(loop, number) for _ in range(WIDTH)))
    return process_time() - started


async def queue_task(count: int) -> float:
    from benchmarks.side.bare import QueueEcho, stop_all

    actors = [QueueEcho() for _ in range(WIDTH)]
    started = process_time()
    for number in range(count):
        await asyncio.gather(*(actor.ask(number) for actor in actors))
    seconds = process_time() - started
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
        started = process_time()
        for number in range(count):
            await asyncio.gather(*(ref.ask(number) for ref in refs))
        return process_time() - started


QUESTION = Question(
    title="One message asked of 100 actors at once, all replies gathered",
    unit=Unit.MICROSECONDS,
    count=200,
    contestants=(
        Contestant(name="ours", run=ours, requires="actors"),
        Contestant(name="ours, 100 askers", run=askers, requires="actors"),
        Contestant(name="bare future + call_soon", run=future_hop),
        Contestant(name="bare future + call_soon, 100 askers", run=bare_askers),
        Contestant(name="bare queue + task", run=queue_task),
        Contestant(name=CLOCK, run=partial(ours, clock=perf_counter), requires="actors"),
        Contestant(name="pykka threads", run=threads, requires="pykka", count=50),
        Contestant(name="autogen-core", run=autogen, requires="autogen_core", count=20),
        Contestant(name="ours, same Python", run=ours, requires="pykka", python=(3, 12), is_beside=True),
        Contestant(name="everything-is-an-actor", run=everything, requires="actor_for_agents", python=(3, 12)),
    ),
    targets=(
        Target(against="bare future + call_soon", at_most=1.9),
        Target(subject="ours, 100 askers", against="bare future + call_soon, 100 askers", at_most=2.2),
        Target(subject=CLOCK, against="pykka threads", faster=8.0),
        Target(subject=CLOCK, against="autogen-core", faster=30.0),
        Target(subject="ours, same Python", against="everything-is-an-actor", faster=1.0),
    ),
    batches=7,
    rounds=3,
    is_interleaved=True,
    note=("100 askers: each asks an actor of its own, all at the same time."),
)
