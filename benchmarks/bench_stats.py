"""What do the statistics of a run cost?"""

from __future__ import annotations

from time import perf_counter

from benchmarks.question import Contestant, Question, Target, Unit


async def ours(count: int) -> float:
    return await _runs(count)


async def without(count: int) -> float:
    from actors.stats.tally import Tally

    # Statistics cannot be switched off, so their only step on the way of a run is made to do nothing.
    Tally.add = _nothing  # type: ignore[method-assign]
    return await _runs(count)


async def listened_to(count: int) -> float:
    from actors.runtime.background import current_system
    from actors.stats.stats_actor import StatsActor

    await current_system().start(StatsActor).ready()
    return await _runs(count)


def _nothing(*_: object) -> None:
    return None


async def _runs(count: int) -> float:
    from actors import Agent

    async with Agent.from_callback(str.upper, name="upper") as agent:
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
        Contestant(name="with a stats actor that hears all events", run=listened_to, requires="actors"),
    ),
    targets=(Target(against="without statistics", at_most=1.1),),
)
