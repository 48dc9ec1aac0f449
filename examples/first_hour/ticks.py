"""Task 14: a timer."""

import asyncio

from actors import ActorSystem, AsyncioActor
from actors.testing import ManualClock


class Ticker(AsyncioActor):
    """Counts every 10 seconds."""

    count = 0

    def on_start(self) -> None:
        """Begin to count."""
        self.schedule(10.0, "tick", interval=10.0)

    def on_receive(self, _message: str) -> None:
        """Count."""
        self.count += 1


async def main() -> None:
    """Let 35 seconds pass."""
    clock = ManualClock()
    async with ActorSystem("clock", clock=clock) as system:
        ticker = await system.start(Ticker).ready()
        await clock.advance(35.0)
        print(await ticker.proxy().count)


asyncio.run(main())
