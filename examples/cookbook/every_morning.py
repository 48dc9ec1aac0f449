"""A manifest starts runs at times; a program gets the answers.

Prints:
    look: The lamp in the hall is broken.
    look: The lamp in the hall is broken.
"""

import asyncio
from pathlib import Path

from actors import ActorSystem, AgentPool
from actors.app import TriggerService
from actors.testing import ManualClock

MANIFEST = Path(__file__).with_name("every_morning.yml")


async def main() -> None:
    clock = ManualClock()  # so that twenty minutes take no time; a service leaves out `system=`
    async with AgentPool[None](MANIFEST, system=ActorSystem("office", clock=clock)) as pool:
        triggers = pool.service(TriggerService)
        answers: asyncio.Queue = asyncio.Queue()
        triggers.answered.connect(answers.put_nowait)
        await triggers.ready()
        for _ in range(2):
            await clock.advance(600)
            told = await answers.get()
            print(f"{told.trigger}: {told.answer.text}")


if __name__ == "__main__":
    asyncio.run(main())
