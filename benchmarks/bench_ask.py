"""What does a request and its reply cost, one after the other?"""

from __future__ import annotations

import asyncio
from time import perf_counter

from benchmarks.question import Contestant, Question, Target, Unit


async def ours(count: int) -> float:
    from benchmarks.side.own import Echo

    ref = Echo.start()
    started = perf_counter()
    for number in range(count):
        await ref.ask(number)
    seconds = perf_counter() - started
    await ref.stop(block=False)
    return seconds


async def future_hop(count: int) -> float:
    from benchmarks.side.bare import hop

    loop = asyncio.get_running_loop()
    started = perf_counter()
    for number in range(count):
        await hop(loop, number)
    return perf_counter() - started


async def queue_task(count: int) -> float:
    from benchmarks.side.bare import QueueEcho, stop_all

    actor = QueueEcho()
    started = perf_counter()
    for number in range(count):
        await actor.ask(number)
    seconds = perf_counter() - started
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
        started = perf_counter()
        for number in range(count):
            await ref.ask(number)
        return perf_counter() - started


QUESTION = Question(
    title="One request and its reply, awaited one after the other",
    unit=Unit.MICROSECONDS,
    count=5_000,
    contestants=(
        Contestant(name="ours", run=ours, requires="actors"),
        Contestant(name="bare future + call_soon", run=future_hop),
        Contestant(name="bare queue + task", run=queue_task),
        Contestant(name="pykka threads", run=threads, requires="pykka"),
        Contestant(name="pykka threads, awaited", run=threads_awaited, requires="pykka", count=1_000),
        Contestant(name="autogen-core", run=autogen, requires="autogen_core", count=1_000),
        Contestant(name="everything-is-an-actor", run=everything, requires="actor_for_agents", python=(3, 12)),
    ),
    targets=(
        Target(against="bare future + call_soon", at_most=2.0),
        Target(against="pykka threads", faster=8.0),
        Target(against="autogen-core", faster=20.0),
    ),
    note=(
        "pykka threads: `ref.ask` as it is, which blocks the loop; awaited: through the loop's executor. "
        "autogen-core: `send_message` to a `RoutedAgent` on the `SingleThreadedAgentRuntime`."
    ),
)
