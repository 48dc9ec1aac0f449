"""What do the statistics of a run cost?"""

from __future__ import annotations

import asyncio
from time import process_time

from benchmarks.question import Contestant, Question, Target, Unit


async def ours(count: int) -> float:
    from actors.runtime.background_loop import current_system
    from actors.stats.stats_actor import ReadStats, StatsActor

    stats = await current_system().start(StatsActor).ready()
    seconds = await _runs(count)
    snapshot = await stats.ask(ReadStats())
    if snapshot.total.messages != count or snapshot.dropped_events:
        msg = f"{count} runs, but {snapshot.total.messages} were counted and {snapshot.dropped_events} events lost"
        raise RuntimeError(msg)
    await stats.stop()
    return seconds


async def without(count: int) -> float:
    return await _runs(count)


async def future_hop(count: int) -> float:
    from benchmarks.side.bare import hop

    loop = asyncio.get_running_loop()
    started = process_time()
    for _ in range(count):
        await hop(loop, "a line of text".upper())
    return process_time() - started


async def _runs(count: int) -> float:
    from actors import Agent

    async with Agent.from_callback(str.upper, name="upper") as agent:
        started = process_time()
        for _ in range(count):
            await agent.run("a line of text")
        return process_time() - started


QUESTION = Question(
    title="One run of a callable, counted by a stats actor",
    unit=Unit.MICROSECONDS,
    count=2_000,
    batches=7,
    rounds=3,
    is_interleaved=True,
    contestants=(
        Contestant(name="ours", run=ours, requires="actors"),
        Contestant(name="without a stats actor", run=without, requires="actors"),
        Contestant(name="bare future + call_soon", run=future_hop),
    ),
    targets=(
        Target(against="without a stats actor", at_most=1.1),
        Target(subject="without a stats actor", against="bare future + call_soon", at_most=3.5),
    ),
    note="CPU time of the process. Without a stats actor each node still keeps its own numbers (`node.stats`).",
)
