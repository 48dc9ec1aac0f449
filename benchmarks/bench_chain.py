"""What does a chain of ten callables cost?"""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import pairwise
from time import perf_counter, process_time
from typing import TYPE_CHECKING

from benchmarks.question import CLOCK, Contestant, Question, Target, Unit

if TYPE_CHECKING:
    from collections.abc import Callable

LENGTH = 10
"""Stages of the chain."""
TEXT = "a line of text"


async def ours(count: int, clock: Callable[[], float] = process_time) -> float:
    from actors import Agent, TeamRun

    stages = [Agent.from_callback(str.upper, name=f"stage{number}") for number in range(LENGTH)]
    async with TeamRun(stages) as chain:
        started = clock()
        for _ in range(count):
            await chain.run(TEXT)
        return clock() - started


async def queues(count: int) -> float:
    mails: list[asyncio.Queue[str]] = [asyncio.Queue() for _ in range(LENGTH + 1)]

    async def stage(source: asyncio.Queue[str], target: asyncio.Queue[str]) -> None:
        while True:
            target.put_nowait((await source.get()).upper())

    tasks = [asyncio.create_task(stage(*pair)) for pair in pairwise(mails)]
    started = process_time()
    for _ in range(count):
        mails[0].put_nowait(TEXT)
        await mails[-1].get()
    seconds = process_time() - started
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return seconds


def threads(count: int) -> float:
    from benchmarks.side.threads import Stage, stop_all

    refs = [Stage.start(None)]
    while len(refs) < LENGTH:
        refs.insert(0, Stage.start(refs[0]))
    started = perf_counter()
    for _ in range(count):
        refs[0].ask(TEXT)
    seconds = perf_counter() - started
    stop_all(refs)
    return seconds


async def langgraph(count: int) -> float:
    from benchmarks.side.graph import upper

    return await _langgraph(upper, count)


async def langgraph_async(count: int) -> float:
    from benchmarks.side.graph import upper_async

    return await _langgraph(upper_async, count)


async def _langgraph(step: Callable[..., object], count: int) -> float:
    from benchmarks.side.graph import chain

    graph = chain(step, LENGTH)
    started = perf_counter()
    for _ in range(count):
        await graph.ainvoke({"text": TEXT})
    return perf_counter() - started


QUESTION = Question(
    title="One text through a chain of 10 callables (`str.upper`)",
    unit=Unit.MICROSECONDS,
    count=200,
    contestants=(
        Contestant(name="ours", run=ours, requires="actors"),
        Contestant(name="bare queues + tasks", run=queues),
        Contestant(name=CLOCK, run=partial(ours, clock=perf_counter), requires="actors"),
        Contestant(name="pykka threads", run=threads, requires="pykka"),
        Contestant(name="langgraph", run=langgraph, requires="langgraph", count=20),
        Contestant(name="langgraph, async nodes", run=langgraph_async, requires="langgraph", count=20),
    ),
    targets=(
        Target(against="bare queues + tasks", at_most=5.0),
        Target(subject=CLOCK, against="langgraph", faster=15.0),
    ),
    batches=7,
    rounds=3,
    is_interleaved=True,
    note=(
        "langgraph: `ainvoke` with plain functions as nodes, as in ours; its second line is with coroutine functions, "
        "which it runs without its thread pool. The bare queues move the text only; ours makes a message of each step."
    ),
)
