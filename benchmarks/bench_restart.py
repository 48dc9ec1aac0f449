"""How long is an actor away after a crash?"""

from __future__ import annotations

import statistics

from benchmarks.question import Contestant, Question, Target, Unit


async def ours(count: int) -> float:
    from benchmarks.side.fragile import crashes, supervised

    supervisor, child = await supervised()
    seconds = await crashes(child, count)
    await supervisor.stop(block=False)
    return statistics.median(seconds) * count


QUESTION = Question(
    title="From the exception in a handler to `on_start` of the next incarnation, without backoff",
    unit=Unit.MICROSECONDS,
    count=1_000,
    contestants=(Contestant(name="ours", run=ours, requires="actors"),),
    targets=(Target(at_most=100.0),),
    note="The median of 1,000 crashes in each process.",
)
