"""What does a team of a hundred callables cost?"""

from __future__ import annotations

import asyncio
from functools import partial
from time import perf_counter, process_time
from typing import TYPE_CHECKING

from benchmarks.question import CLOCK, Contestant, Question, Target, Unit

if TYPE_CHECKING:
    from collections.abc import Callable

WIDTH = 100
"""Members of the team."""
TEXT = "a line of text"


async def ours(count: int, clock: Callable[[], float] = process_time) -> float:
    from actors import Agent, Team

    members = [Agent.from_callback(str.upper, name=f"member{number}") for number in range(WIDTH)]
    async with Team(members) as team:
        started = clock()
        for _ in range(count):
            await team.run(TEXT)
        return clock() - started


async def future_hop(count: int) -> float:
    from benchmarks.side.bare import hop

    loop = asyncio.get_running_loop()
    started = process_time()
    for _ in range(count):
        await asyncio.gather(*(hop(loop, TEXT.upper()) for _ in range(WIDTH)))
    return process_time() - started


def threads(count: int) -> float:
    from pykka import get_all

    from benchmarks.side.threads import Stage, stop_all

    refs = [Stage.start(None) for _ in range(WIDTH)]
    started = perf_counter()
    for _ in range(count):
        get_all([ref.ask(TEXT, block=False) for ref in refs])
    seconds = perf_counter() - started
    stop_all(refs)
    return seconds


async def langgraph(count: int) -> float:
    from benchmarks.side.graph import answer

    return await _langgraph(answer, count)


async def langgraph_async(count: int) -> float:
    from benchmarks.side.graph import answer_async

    return await _langgraph(answer_async, count)


async def _langgraph(step: Callable[..., object], count: int) -> float:
    from benchmarks.side.graph import fan_out

    graph = fan_out(step, WIDTH)
    started = perf_counter()
    for _ in range(count):
        await graph.ainvoke({"text": TEXT, "answers": []})
    return perf_counter() - started


QUESTION = Question(
    title="One text to a team of 100 callables (`str.upper`), all answers gathered",
    unit=Unit.MICROSECONDS,
    count=50,
    contestants=(
        Contestant(name="ours", run=ours, requires="actors"),
        Contestant(name="bare future + call_soon", run=future_hop),
        Contestant(name=CLOCK, run=partial(ours, clock=perf_counter), requires="actors"),
        Contestant(name="pykka threads", run=threads, requires="pykka"),
        Contestant(name="langgraph", run=langgraph, requires="langgraph", count=5),
        Contestant(name="langgraph, async nodes", run=langgraph_async, requires="langgraph", count=5),
    ),
    targets=(
        Target(against="bare future + call_soon", at_most=3.0),
        Target(subject=CLOCK, against="pykka threads", faster=2.0),
        Target(subject=CLOCK, against="langgraph", faster=10.0),
    ),
    batches=7,
    rounds=3,
    is_interleaved=True,
    note=(
        "The bare futures carry the text only. "
        "langgraph: `ainvoke` with plain functions as nodes, as in ours; its second line is with coroutine functions."
    ),
)
