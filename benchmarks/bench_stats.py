"""What do the statistics of a run cost?"""

from __future__ import annotations

from time import perf_counter

from benchmarks.question import Contestant, Question, Target, Unit


async def ours(count: int) -> float:
    return await _runs(count, stats=True)


async def without(count: int) -> float:
    return await _runs(count, stats=False)


async def _runs(count: int, *, stats: bool) -> float:
    from actors import Agent

    async with Agent.from_callback(str.upper, name="upper", stats=stats) as agent:
        started = perf_counter()
        for _ in range(count):
            await agent.run("a line of text")
        return perf_counter() - started


QUESTION = Question(
    title="One run of a callable, counted",
    unit=Unit.MICROSECONDS,
    count=2_000,
    rounds=7,
    contestants=(
        Contestant(name="ours", run=ours, requires="actors"),
        Contestant(name="without statistics", run=without, requires="actors"),
    ),
    targets=(Target(against="without statistics", at_most=1.1),),
)
