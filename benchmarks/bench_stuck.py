"""Does a sender that never stops fill the memory when the actor is stuck?"""

from __future__ import annotations

import asyncio
import contextlib

from benchmarks.measure import resident_bytes
from benchmarks.question import Contestant, Question, Target, Unit

TIMES = 1_000_000
"""Messages sent."""
BURST = 1_000
"""Messages between two turns of the loop."""


async def ours(count: int) -> float:
    from actors import AsyncioActor
    from actors.runtime.errors import MailboxFullError

    class Stuck(AsyncioActor):
        async def on_receive(self, message: object) -> None:
            await asyncio.Event().wait()

    ref = Stuck.start()
    before = resident_bytes()
    for sent in range(0, TIMES, BURST):
        for number in range(sent, sent + BURST):
            with contextlib.suppress(MailboxFullError):
                ref.tell(number)
        await asyncio.sleep(0)
    grown = resident_bytes() - before
    waiting = ref.statistics()
    await ref.stop(block=False, mode="now", timeout=0.01)
    if waiting.depth > waiting.capacity:
        msg = f"{waiting.depth} messages wait in a mailbox for {waiting.capacity}"
        raise RuntimeError(msg)
    return max(0, grown) * count


QUESTION = Question(
    title="Growth of the resident memory by 1,000,000 tells to an actor that is stuck",
    unit=Unit.MEBIBYTES,
    count=1,
    batches=1,
    rounds=3,
    contestants=(Contestant(name="ours", run=ours, requires="actors"),),
    targets=(Target(at_most=16.0),),
    note="The mailbox holds 10,000; the target is what so many envelopes and as many remembered refusals may weigh.",
)
