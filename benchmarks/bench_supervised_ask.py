"""Does a supervisor above an actor slow down what the actor does?"""

from __future__ import annotations

from time import process_time
from typing import TYPE_CHECKING, Any

from benchmarks.question import Contestant, Question, Target, Unit

if TYPE_CHECKING:
    from actors import ActorRef


async def alone(count: int) -> float:
    from benchmarks.side.own import Echo

    ref = Echo.start()
    seconds = await _asks(ref, count)
    await ref.stop(block=False)
    return seconds


async def ours(count: int) -> float:
    from actors import ChildSpec, Supervisor
    from benchmarks.side.own import Echo

    supervisor = Supervisor.start([ChildSpec(Echo, name="echo")])
    (child,) = await supervisor.proxy().children()
    seconds = await _asks(child.ref, count)
    await supervisor.stop(block=False)
    return seconds


async def _asks(ref: ActorRef[Any], count: int) -> float:
    started = process_time()
    for number in range(count):
        await ref.ask(number)
    return process_time() - started


QUESTION = Question(
    title="One request and its reply, of an actor under a supervisor",
    unit=Unit.MICROSECONDS,
    count=5_000,
    batches=7,
    rounds=3,
    is_interleaved=True,
    contestants=(
        Contestant(name="ours", run=ours, requires="actors"),
        Contestant(name="unsupervised", run=alone, requires="actors"),
    ),
    targets=(Target(against="unsupervised", at_most=1.1),),
    note="CPU time of the process.",
)
