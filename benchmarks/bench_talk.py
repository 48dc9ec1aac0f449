"""How many messages a second go through a connection with a filter and a transform?"""

from __future__ import annotations

from contextlib import asynccontextmanager
from time import process_time
from typing import TYPE_CHECKING, Any

from benchmarks.question import Contestant, Question, Target, Unit

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

WAVE = 100
"""Messages under way at a time."""


async def ours(count: int) -> float:
    from protocols.messages import ChatMessage

    async with _connected() as (source, end):
        seconds = 0.0
        for sent in range(0, count, WAVE):
            answers = [ChatMessage(str(number), "assistant", "source") for number in range(sent, sent + WAVE)]
            runs = [source.request((answer,), {}) for answer in answers]
            started = process_time()
            for answer, run in zip(answers, runs, strict=True):
                source.offer(answer, run)
            await end.complete_tasks()
            seconds += process_time() - started
        return _checked(end, count, seconds)


async def both_run(count: int) -> float:
    async with _connected() as (source, end):
        started = process_time()
        for number in range(count):
            await source.run(str(number))
        await end.complete_tasks()
        return _checked(end, count, process_time() - started)


async def runs_alone(count: int) -> float:
    async with _connected() as (source, end):
        source.talks[0].disconnect()
        started = process_time()
        for number in range(count):
            await source.run(str(number))
            await end.run(str(number))
        return _checked(end, count, process_time() - started)


@asynccontextmanager
async def _connected() -> AsyncGenerator[tuple[Any, Any]]:
    from actors import Agent

    def keep(context: Any) -> object:
        return context.message.content != ""

    def louder(message: Any) -> Any:
        return message.content + "!"

    async with (
        Agent.from_callback(str.upper, name="source") as source,
        Agent.from_callback(str.lower, name="end") as end,
    ):
        source.connect_to(end, filter_condition=keep, transform=louder)
        yield source, end


def _checked(end: Any, count: int, seconds: float) -> float:
    if end.total_stats.message_count != count:
        msg = f"{count} messages were sent, {end.total_stats.message_count} answered"
        raise RuntimeError(msg)
    return seconds


QUESTION = Question(
    title="One message through a talk with filter and transform, from the offer to the end of the target's run",
    unit=Unit.MICROSECONDS,
    count=10_000,
    batches=3,
    contestants=(
        Contestant(name="ours", run=ours, requires="actors"),
        Contestant(name="and the run of the source", run=both_run, requires="actors"),
        Contestant(name="both runs without the talk", run=runs_alone, requires="actors"),
    ),
    targets=(Target(at_most=20.0),),
    note=(
        "CPU time of the process; 20 us a message are 50,000 a second. Both ends are callables. The message is offered "
        "to the talk as the source does at the end of its run; that run itself is in the second line, where one "
        "message is sent after the other."
    ),
)
