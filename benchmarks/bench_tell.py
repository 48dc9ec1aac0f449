"""What does a message cost that nobody waits for, sent from the loop?"""

from __future__ import annotations

from functools import partial
from time import process_time, sleep
from typing import TYPE_CHECKING

from benchmarks.question import Contestant, Question, Target, Unit

if TYPE_CHECKING:
    from collections.abc import Callable

BURST = 5_000
"""Messages before a barrier: half of the default mailbox capacity, so that nothing is refused."""


async def ours(count: int) -> float:
    from benchmarks.side.own import Echo

    ref = Echo.start()
    started = process_time()
    for sent in range(0, count, BURST):
        for number in range(sent, min(count, sent + BURST)):
            ref.tell(number)
        await ref.ask(-1)
    seconds = process_time() - started
    await ref.stop(block=False)
    return seconds


async def queue_task(count: int) -> float:
    from benchmarks.side.bare import QueueEcho, stop_all

    actor = QueueEcho()
    started = process_time()
    for sent in range(0, count, BURST):
        for number in range(sent, min(count, sent + BURST)):
            actor.tell(number)
        await actor.ask(-1)
    seconds = process_time() - started
    await stop_all([actor])
    return seconds


def threads(count: int) -> float:
    return _threads(count, lambda: None)


def threads_woken(count: int) -> float:
    return _threads(count, partial(sleep, 0.0))


def _threads(count: int, pause: Callable[[], None]) -> float:
    from benchmarks.side.threads import Echo

    ref = Echo.start()
    started = process_time()
    for sent in range(0, count, BURST):
        for number in range(sent, min(count, sent + BURST)):
            ref.tell(number)
            pause()
        ref.ask(-1)
    seconds = process_time() - started
    ref.stop()
    return seconds


async def everything(count: int) -> float:
    from benchmarks.side.everything import running

    async with running(1) as (ref,):
        started = process_time()
        for sent in range(0, count, BURST):
            for number in range(sent, min(count, sent + BURST)):
                await ref.tell(number)
            await ref.ask(-1)
        return process_time() - started


QUESTION = Question(
    title="One message told from the loop and handled",
    unit=Unit.MICROSECONDS,
    count=20_000,
    contestants=(
        Contestant(name="ours", run=ours, requires="actors"),
        Contestant(name="bare queue + task", run=queue_task),
        Contestant(name="pykka threads, never waiting", run=threads, requires="pykka"),
        Contestant(name="pykka threads, woken", run=threads_woken, requires="pykka"),
        Contestant(name="ours, same Python", run=ours, requires="pykka", python=(3, 12), is_beside=True),
        Contestant(name="everything-is-an-actor", run=everything, requires="actor_for_agents", python=(3, 12)),
    ),
    targets=(
        Target(against="bare queue + task", at_most=2.4),
        Target(subject="ours, same Python", against="everything-is-an-actor", faster=1.0),
    ),
    batches=7,
    rounds=3,
    is_interleaved=True,
    note=(
        "CPU time of the process. Sent in bursts of 5,000, each ended by an awaited ask: sending and handling are both "
        "counted. A thread that never waits finds the whole burst; one that is woken gets the interpreter after each "
        "message, as when the sender does anything else between two messages."
    ),
)
