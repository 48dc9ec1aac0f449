"""Do a thousand runs of one chain at the same time stay apart, and leave nothing behind?"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.question import Contestant, Question, Unit

if TYPE_CHECKING:
    from actors import TeamRun


async def ours(count: int) -> float:
    from actors import Agent, TeamRun

    stages = [Agent.from_callback(step, name=step.__name__) for step in (str.strip, str.upper, str.title)]
    async with TeamRun(stages) as chain:
        started = perf_counter()
        await _together(chain, count)
        return perf_counter() - started


async def _together(chain: TeamRun, count: int) -> None:
    answers = await asyncio.gather(*(chain.run(f" run {number} ") for number in range(count)))
    mixed = [answer.content for number, answer in enumerate(answers) if answer.content != f"Run {number}"]
    if mixed:
        msg = f"{len(mixed)} of {count} runs got somebody else's answer, as {mixed[0]!r}"
        raise RuntimeError(msg)


QUESTION = Question(
    title="One of 1,000 runs of the same chain of 3 callables at the same time",
    unit=Unit.MICROSECONDS,
    count=1_000,
    batches=3,
    contestants=(Contestant(name="ours", run=ours, requires="actors"),),
    note="A contestant fails if a single answer is not the one to its question.",
)
