"""What does a message cost that nobody waits for, sent from the loop?"""

from __future__ import annotations

from time import perf_counter

from benchmarks.question import Contestant, Question, Target, Unit

BURST = 5_000
"""Messages before a barrier: half of the default mailbox capacity, so that nothing is refused."""


async def ours(count: int) -> float:
    from benchmarks.side.own import Echo

    ref = Echo.start()
    started = perf_counter()
    for sent in range(0, count, BURST):
        for number in range(sent, min(count, sent + BURST)):
            ref.tell(number)
        await ref.ask(-1)
    seconds = perf_counter() - started
    await ref.stop(block=False)
    return seconds


async def queue_task(count: int) -> float:
    from benchmarks.side.bare import QueueEcho, stop_all

    actor = QueueEcho()
    started = perf_counter()
    for sent in range(0, count, BURST):
        for number in range(sent, min(count, sent + BURST)):
            actor.tell(number)
        await actor.ask(-1)
    seconds = perf_counter() - started
    await stop_all([actor])
    return seconds


def threads(count: int) -> float:
    from benchmarks.side.threads import Echo

    ref = Echo.start()
    started = perf_counter()
    for sent in range(0, count, BURST):
        for number in range(sent, min(count, sent + BURST)):
            ref.tell(number)
        ref.ask(-1)
    seconds = perf_counter() - started
    ref.stop()
    return seconds


async def everything(count: int) -> float:
    from benchmarks.side.everything import running

    async with running(1) as (ref,):
        started = perf_counter()
        for sent in range(0, count, BURST):
            for number in range(sent, min(count, sent + BURST)):
                await ref.tell(number)
            await ref.ask(-1)
        return perf_counter() - started


QUESTION = Question(
    title="One message told from the loop and handled",
    unit=Unit.MICROSECONDS,
    count=20_000,
    contestants=(
        Contestant(name="ours", run=ours, requires="actors"),
        Contestant(name="bare queue + task", run=queue_task),
        Contestant(name="pykka threads", run=threads, requires="pykka"),
        Contestant(name="everything-is-an-actor", run=everything, requires="actor_for_agents", python=(3, 12)),
    ),
    targets=(Target(against="pykka threads", faster=6.0),),
    note="Sent in bursts of 5,000, each ended by an awaited ask: sending and handling are both counted.",
)
