"""Task 16: the end of another actor."""

import asyncio

from actors import ActorRef, ActorSystem, AsyncioActor
from protocols.control import Terminated


class Guest(AsyncioActor):
    """Breaks at any message."""

    def on_receive(self, message: str) -> None:
        """Break."""
        raise OSError(message)


class Porter(AsyncioActor):
    """Watches guests."""

    def __init__(self, left: asyncio.Event) -> None:
        super().__init__()
        self.left = left

    def on_receive(self, guest: ActorRef[Guest]) -> None:
        """Watch a guest."""
        self.watch(guest)

    def on_terminated(self, terminated: Terminated) -> None:
        """Tell of an end."""
        print(f"{terminated.reason}: {terminated.cause}")
        self.left.set()


async def main() -> None:
    """Let a guest end."""
    async with ActorSystem("hotel") as system:
        left = asyncio.Event()
        porter, guest = system.start(Porter, (left,)), system.start(Guest)
        await porter.ask(guest)
        guest.tell("smoke")
        await left.wait()


asyncio.run(main())
