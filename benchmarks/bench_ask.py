"""What does a request and its reply cost, one after the other?"""

from __future__ import annotations

import asyncio
from functools import partial
from time import perf_counter, process_time
from typing import TYPE_CHECKING

from benchmarks.question import CLOCK, Contestant, Question, Target, Unit

if TYPE_CHECKING:
    from collections.abc import Callable


async def ours(count: int, clock: Callable[[], float] = process_time) -> float:
    from benchmarks.side.own import Echo

    ref = Echo.start()
    started = clock()
    for number in range(count):
        await ref.ask(number)
    seconds = clock() - started
    await ref.stop(block=False)
    return seconds


async def in_a_handler(count: int) -> float:
    from actors import AsyncioActor
    from benchmarks.side.own import Echo, stop_all

    echo = Echo.start()

    class Asker(AsyncioActor):
        async def on_receive(self, message: int) -> float:
            started = process_time()
            for number in range(message):
                await echo.ask(number)
            return process_time() - started

    asker = Asker.start()
    seconds: float = await asker.ask(count)
    await stop_all([asker, echo])
    return seconds


async def future_hop(count: int) -> float:
    from benchmarks.side.bare import hop

    loop = asyncio.get_running_loop()
    started = process_time()
    for number in range(count):
        await hop(loop, number)
    return process_time() - started


async def queue_task(count: int) -> float:
    from benchmarks.side.bare import QueueEcho, stop_all

    actor = QueueEcho()
    started = process_time()
    for number in range(count):
        await actor.ask(number)
    seconds = process_time() - started
    await stop_all([actor])
    return seconds


def threads(count: int) -> float:
    from benchmarks.side.threads import Echo

    ref = Echo.start()
    started = perf_counter()
    for number in range(count):
        ref.ask(number)
    seconds = perf_counter() - started
    ref.stop()
    return seconds


async def threads_awaited(count: int) -> float:
    from benchmarks.side.threads import Echo

    loop, ref = asyncio.get_running_loop(), Echo.start()
    started = perf_counter()
    for number in range(count):
        await loop.run_in_executor(None, ref.ask, number)
    seconds = perf_counter() - started
    ref.stop()
    return seconds


async def autogen(count: int) -> float:
    from benchmarks.side.autogen import Ping, addresses, running

    async with running() as runtime:
        (address,) = addresses(1)
        started = perf_counter()
        for number in range(count):
            await runtime.send_message(Ping(number), address)
        return perf_counter() - started


async def everything(count: int) -> float:
    from benchmarks.side.everything import running

    async with running(1) as (ref,):
        started = process_time()
        for number in range(count):
            await ref.ask(number)
        return process_time() - started


QUESTION = Question(
    title="One request and its reply, awaited one after the other",
    unit=Unit.MICROSECONDS,
    count=5_000,
    contestants=(
        Contestant(name="ours", run=ours, requires="actors"),
        Contestant(name="ours, in a handler", run=in_a_handler, requires="actors"),
        Contestant(name="bare future + call_soon", run=future_hop),
        Contestant(name="bare queue + task", run=queue_task),
        Contestant(name=CLOCK, run=partial(ours, clock=perf_counter), requires="actors"),
        Contestant(name="pykka threads", run=threads, requires="pykka"),
        Contestant(name="pykka threads, awaited", run=threads_awaited, requires="pykka", count=1_000),
        Contestant(name="autogen-core", run=autogen, requires="autogen_core", count=1_000),
        Contestant(name="ours, same Python", run=ours, requires="pykka", python=(3, 12), is_beside=True),
        Contestant(name="everything-is-an-actor", run=everything, requires="actor_for_agents", python=(3, 12)),
    ),
    targets=(
        Target(against="bare future + call_soon", at_most=1.5),
        Target(subject="ours, in a handler", against="bare future + call_soon", at_most=3.0),
        Target(subject=CLOCK, against="pykka threads", faster=8.0),
        Target(subject=CLOCK, against="autogen-core", faster=20.0),
        Target(subject="ours, same Python", against="everything-is-an-actor", faster=1.0),
    ),
    batches=7,
    rounds=3,
    is_interleaved=True,
    note=(
        "In a handler: an actor asks another one, so deadline and chain of asks are handed on. "
        "pykka threads: `ref.ask` as it is, which blocks the loop; awaited: through the loop's executor. "
        "autogen-core: `send_message` to a `RoutedAgent` on the `SingleThreadedAgentRuntime`."
    ),
)
