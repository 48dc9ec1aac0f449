"""Task 15: a restart."""

import asyncio

from actors import ActorSystem, AsyncioActor, ChildSpec, Supervisor


class Counter(AsyncioActor):
    """Counts its messages."""

    count = 0

    def on_receive(self, message: str) -> None:
        """Count, or break."""
        if message == "!":
            raise ValueError(message)
        self.count += 1


async def main() -> None:
    """Break it between two messages."""
    async with ActorSystem("shop") as system:
        specs = [ChildSpec(Counter, name="counter")]
        supervisor = await system.start(Supervisor, (specs,), {"backoff": None}).ready()
        counter = (await supervisor.proxy().get_child("counter")).ref
        for message in ("a", "!", "b"):
            counter.tell(message)
        print(await counter.proxy().count, counter.incarnation)


asyncio.run(main())
