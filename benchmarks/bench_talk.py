"""How many messages a second go through a connection with a filter and a transform?"""

from __future__ import annotations

from time import perf_counter
from typing import Any

from benchmarks.question import Contestant, Question, Target, Unit


async def ours(count: int) -> float:
    from actors import Agent

    def keep(context: Any) -> bool:
        return context.message.content != ""

    def louder(message: Any) -> Any:
        return message

    async with (
        Agent.from_callback(str.upper, name="source") as source,
        Agent.from_callback(str.lower, name="end") as end,
    ):
        source.connect_to(end, filter_condition=keep, transform=louder)
        started = perf_counter()
        for number in range(count):
            await source.run(str(number))
        await end.complete_tasks()
        return perf_counter() - started


QUESTION = Question(
    title="One message through a talk with filter and transform, both ends callables",
    unit=Unit.MICROSECONDS,
    count=10_000,
    batches=3,
    contestants=(Contestant(name="ours", run=ours, requires="actors"),),
    targets=(Target(at_most=20.0),),
    note="20 us a message are 50,000 a second. The run of the source and that of the target are in it.",
)
