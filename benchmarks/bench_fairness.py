"""How long do others wait while one sender floods one actor?"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
from time import perf_counter

from benchmarks.question import Contestant, Question, Target, Unit

OTHERS = 10
"""Actors that nobody floods, asked in turn."""
BURST = 1_000
"""Messages that the flooding sender sends before it lets the loop go on."""


async def ours(count: int) -> float:
    return await _p99(count, flooded=True)


async def calm(count: int) -> float:
    return await _p99(count, flooded=False)


async def tick(count: int) -> float:
    from benchmarks.side.own import Echo

    ref = Echo.start()

    async def ask() -> None:
        while True:
            await ref.ask(0)

    asking = asyncio.create_task(ask())
    seconds: list[float] = []
    for _ in range(count):
        started = perf_counter()
        await asyncio.sleep(0)
        seconds.append(perf_counter() - started)
    asking.cancel()
    await ref.stop(block=False)
    return statistics.quantiles(seconds, n=100)[-1] * count


async def _p99(count: int, *, flooded: bool) -> float:
    from actors.runtime.errors import MailboxFullError
    from benchmarks.side.own import Echo, stop_all

    victim, *others = [Echo.start() for _ in range(OTHERS + 1)]

    async def flood() -> None:
        while True:
            for number in range(BURST):
                with contextlib.suppress(MailboxFullError):
                    victim.tell(number)
            await asyncio.sleep(0)

    flooding = asyncio.create_task(flood()) if flooded else None
    seconds: list[float] = []
    for number in range(count):
        started = perf_counter()
        await others[number % OTHERS].ask(number)
        seconds.append(perf_counter() - started)
    if flooding:
        flooding.cancel()
    await stop_all([victim, *others])
    return statistics.quantiles(seconds, n=100)[-1] * count


QUESTION = Question(
    title="99th percentile of an ask of another actor, while one sender floods one actor without a pause",
    unit=Unit.MILLISECONDS,
    count=500,
    contestants=(
        Contestant(name="ours", run=ours, requires="actors"),
        Contestant(name="without a flood", run=calm, requires="actors"),
        Contestant(name="a tick of the loop, endless asker", run=tick, requires="actors"),
    ),
    targets=(Target(at_most=50.0), Target(subject="a tick of the loop, endless asker", at_most=2.0)),
    note="The last line: one turn of the loop while a task awaits one ask after the other without end.",
)
