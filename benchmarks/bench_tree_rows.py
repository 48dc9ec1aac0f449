"""How long does a look at 10,000 actors keep the event loop from everything else?"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.question import Contestant, Question, Target, Unit

if TYPE_CHECKING:
    from actors import ActorSystem

FAMILIES = 100
SLICE = 0.005
"""Seconds after which the rows let the loop turn."""


async def system_of(stack: AsyncExitStack) -> ActorSystem:
    from actors import ActorSystem, ChildSpec, Supervisor
    from benchmarks.side.own import Echo

    system = await stack.enter_async_context(ActorSystem("bench"))
    for family in range(FAMILIES):
        specs = [ChildSpec(Echo, name=f"child{number}") for number in range(FAMILIES - 1)]
        await system.start(Supervisor, (specs,), name=f"family{family}").ready()
    return system


async def whole(_: int) -> float:
    async with AsyncExitStack() as stack:
        system = await system_of(stack)
        started = perf_counter()
        system.tree()
        return perf_counter() - started


async def in_slices(_: int) -> float:
    async with AsyncExitStack() as stack:
        system = await system_of(stack)
        taken, longest, began = 0, 0.0, perf_counter()
        for _row in system.rows():
            taken += 1
            if perf_counter() - began >= SLICE:
                longest = max(longest, perf_counter() - began)
                await asyncio.sleep(0)
                began = perf_counter()
        if taken != FAMILIES**2:
            msg = f"{taken} of {FAMILIES**2} actors were seen"
            raise RuntimeError(msg)
        return max(longest, perf_counter() - began)


QUESTION = Question(
    title="Longest block of the event loop while 10,000 actors are looked at",
    unit=Unit.MILLISECONDS,
    count=1,
    batches=1,
    contestants=(
        Contestant(name="ours", run=in_slices, requires="actors"),
        Contestant(name="ours: the whole tree at once", run=whole, requires="actors"),
    ),
    targets=(Target(at_most=50.0),),
    note="Rows are taken for 5 ms at a time; the first look also gives each actor its URN.",
)
