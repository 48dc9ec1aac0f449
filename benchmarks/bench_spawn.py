"""What does it cost to start and stop an actor, and does it stay the same for many?"""

from __future__ import annotations

import asyncio
from time import process_time

from benchmarks.measure import leave_out
from benchmarks.question import Contestant, Question, Target, Unit

WARM = 100
"""Actors started and stopped before the clock runs, so that what is paid once per process does not count."""


async def ours(count: int) -> float:
    from benchmarks.side.own import Echo, stop_all

    await stop_all([Echo.start() for _ in range(WARM)])
    leave_out()
    started = process_time()
    refs = [Echo.start() for _ in range(count)]
    await stop_all(refs)
    return process_time() - started


async def tasks(count: int) -> float:
    from benchmarks.side.bare import QueueEcho, stop_all

    await stop_all([QueueEcho() for _ in range(WARM)])
    leave_out()
    started = process_time()
    actors = [QueueEcho() for _ in range(count)]
    await asyncio.sleep(0)
    await stop_all(actors)
    return process_time() - started


def threads(count: int) -> float:
    from benchmarks.side.threads import Echo, stop_all

    stop_all([Echo.start() for _ in range(WARM)])
    leave_out()
    started = process_time()
    refs = [Echo.start() for _ in range(count)]
    stop_all(refs)
    return process_time() - started


async def autogen(count: int) -> float:
    from benchmarks.side.autogen import Ping, addresses, running

    async with running() as runtime:
        targets = addresses(WARM + count)
        await asyncio.gather(*(runtime.send_message(Ping(0), target) for target in targets[:WARM]))
        started = process_time()
        await asyncio.gather(*(runtime.send_message(Ping(0), target) for target in targets[WARM:]))
        return process_time() - started


QUESTION = Question(
    title="One actor started and stopped, among as many as the name says",
    unit=Unit.MICROSECONDS,
    count=1_000,
    batches=1,
    rounds=3,
    contestants=(
        Contestant(name="ours", run=ours, requires="actors"),
        Contestant(name="ours, 10,000", run=ours, requires="actors", count=10_000),
        Contestant(name="ours, 100,000", run=ours, requires="actors", count=100_000),
        Contestant(name="ours, 1,000,000", run=ours, requires="actors", count=1_000_000),
        Contestant(name="bare queue + task", run=tasks),
        Contestant(name="bare queue + task, 100,000", run=tasks, count=100_000),
        Contestant(name="pykka threads", run=threads, requires="pykka"),
        Contestant(name="autogen-core", run=autogen, requires="autogen_core"),
    ),
    targets=(
        Target(subject="ours, 10,000", against="ours", at_most=1.5),
        Target(subject="ours, 100,000", against="ours", at_most=1.5),
        Target(subject="ours, 1,000,000", against="ours", at_most=1.5),
    ),
    note=(
        "CPU time of the process; 1,000 actors where no number is given. Linear means that one of 1,000,000 costs what "
        "one of 1,000 costs; half as much more is allowed for caches and garbage collection, which bare tasks pay too. "
        "An agent of autogen-core comes to life with its first message, so that message is in its number; "
        "they are not stopped one by one."
    ),
)
