"""Do very wide and very deep supervision trees start and stop in linear time?"""

from __future__ import annotations

import asyncio
from time import perf_counter

from benchmarks.question import Contestant, Question, Target, Unit


async def wide(count: int) -> float:
    from actors import ChildSpec, Supervisor
    from benchmarks.side.own import Echo

    specs = [ChildSpec(Echo, name=f"child{number}", restart="transient") for number in range(count)]
    started = perf_counter()
    supervisor = Supervisor.start(specs)
    children = await supervisor.proxy().children()
    await supervisor.stop(block=False, timeout=120.0)
    seconds = perf_counter() - started
    _check(len(children), count)
    return seconds


async def deep(count: int) -> float:
    from actors import ChildSpec, Supervisor
    from benchmarks.side.own import Echo

    alive: asyncio.Event = asyncio.Event()

    class Leaf(Echo):
        def on_start(self) -> None:
            alive.set()

    spec = ChildSpec(Leaf, name="leaf")
    for level in range(count):
        spec = ChildSpec(Supervisor, args=([spec],), name=f"level{level}")
    started = perf_counter()
    top = Supervisor.start([spec])
    await alive.wait()
    await top.stop(block=False, timeout=120.0)
    return perf_counter() - started


def _check(found: int, count: int) -> None:
    if found != count:
        msg = f"{found} of {count} children were started"
        raise RuntimeError(msg)


QUESTION = Question(
    title="One child of a supervision tree started and stopped",
    unit=Unit.MICROSECONDS,
    count=1_000,
    batches=1,
    rounds=3,
    contestants=(
        Contestant(name="ours: 1,000 children", run=wide, requires="actors"),
        Contestant(name="ours: 100,000 children", run=wide, requires="actors", count=100_000),
        Contestant(name="ours: 1,000 deep", run=deep, requires="actors"),
        Contestant(name="ours: 10,000 deep", run=deep, requires="actors", count=10_000),
    ),
    targets=(
        Target(subject="ours: 100,000 children", against="ours: 1,000 children", at_most=2.0),
        Target(subject="ours: 10,000 deep", against="ours: 1,000 deep", at_most=2.0),
    ),
    note=(
        "Linear means that one of many costs what one of few costs; "
        "twice as much is allowed for caches and garbage collection."
    ),
)
