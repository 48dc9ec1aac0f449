"""Does anything stay behind when things go wrong ten thousand times?"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from benchmarks.measure import Footprint
from benchmarks.question import Contestant, Question, Target, Unit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

TIMES = 10_000
"""Things that go wrong while the process is watched."""
MANY = 1_000_000
"""Runs one after the other."""
WARM = 2_000
"""Things that go wrong before: caches, rings and pools have their size then."""
AT_ONCE = 500
"""Asks, or runs, that wait at the same time."""


async def crash_restarts(count: int) -> float:
    from benchmarks.side.fragile import crashes, supervised

    supervisor, child = await supervised()

    async def go_wrong(times: int) -> None:
        await crashes(child, times)

    grown = await _growth(go_wrong)
    await supervisor.stop(block=False)
    return grown * count


async def timed_out_asks(count: int) -> float:
    from actors import AsyncioActor

    class Stuck(AsyncioActor):
        async def on_receive(self, message: object) -> None:
            await asyncio.Event().wait()

    ref = Stuck.start()

    async def go_wrong(times: int) -> None:
        for _ in range(times // AT_ONCE):
            asks = [ref.ask(number, timeout=0.001) for number in range(AT_ONCE)]
            results = await asyncio.gather(*asks, return_exceptions=True)
            if not all(isinstance(result, TimeoutError) for result in results):
                msg = f"an ask of a stuck actor ended with {results[0]!r}"
                raise RuntimeError(msg)

    grown = await _growth(go_wrong)
    await ref.stop(block=False, mode="now")
    return grown * count


async def abandoned_streams(count: int) -> float:
    from pydantic_ai.models.test import TestModel

    from actors import Agent

    async with Agent(name="stub", model=TestModel(custom_output_text="one two three four")) as agent:

        async def go_wrong(times: int) -> None:
            for _ in range(times):
                async with agent.run_stream("go", store_history=False) as stream:
                    async for _ in stream.stream():
                        break

        return await _growth(go_wrong) * count


async def runs_of_a_chain(count: int) -> float:
    from actors import Agent, TeamRun

    stages = [Agent.from_callback(step, name=step.__name__) for step in (str.strip, str.upper, str.title)]
    async with TeamRun(stages) as chain:

        async def go_on(times: int) -> None:
            for _ in range(times // AT_ONCE):
                await asyncio.gather(*(chain.run("a line of text") for _ in range(AT_ONCE)))

        return await _growth(go_on) * count


async def a_million_runs(count: int) -> float:
    from actors import Agent

    async with Agent.from_callback(str.upper, name="upper") as agent:

        async def go_on(times: int) -> None:
            for _ in range(times):
                await agent.run("a line of text")

        return await _growth(go_on, MANY) * count


async def _growth(go_wrong: Callable[[int], Awaitable[None]], times: int = TIMES) -> float:
    await go_wrong(WARM)
    tasks, before = await _tasks(), Footprint.now()
    await go_wrong(times)
    more, after = await _tasks() - tasks, Footprint.now()
    if more > 0 or after.threads > before.threads or after.files > before.files:
        msg = f"left behind: {more} tasks, {before} became {after}"
        raise RuntimeError(msg)
    return max(0, after.resident - before.resident)


async def _tasks() -> int:
    for _ in range(10):  # what has just ended needs a turn or two of the loop to be gone
        await asyncio.sleep(0)
    return len(asyncio.all_tasks())


QUESTION = Question(
    title="Growth of the resident memory over 10,000 times, or as many as the name says",
    unit=Unit.MEBIBYTES,
    count=1,
    batches=1,
    rounds=3,
    contestants=(
        Contestant(name="ours: crash and restart", run=crash_restarts, requires="actors"),
        Contestant(name="ours: ask that times out", run=timed_out_asks, requires="actors"),
        Contestant(name="ours: stream left early", run=abandoned_streams, requires="actors"),
        Contestant(name="ours: runs of a chain", run=runs_of_a_chain, requires="actors"),
        Contestant(name="ours: 1,000,000 runs", run=a_million_runs, requires="actors"),
    ),
    targets=(
        Target(subject="ours: crash and restart", at_most=5.0),
        Target(subject="ours: ask that times out", at_most=5.0),
        Target(subject="ours: stream left early", at_most=5.0),
        Target(subject="ours: runs of a chain", at_most=5.0),
        Target(subject="ours: 1,000,000 runs", at_most=5.0),
    ),
    note="After 2,000 times to warm up. A contestant fails if a task, a thread or an open file is left behind.",
)
