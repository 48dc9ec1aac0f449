"""What could not be delivered is counted, told, and sent again.

Prints:
    told: clerk overflow
    overflow: 1
    replayed: order 3
    handled: ['order 1', 'order 2', 'order 3']
"""

import asyncio

from actors import ActorSystem, AgentPool, AsyncioActor
from actors.app.dead_letters import read_dead_letters, replay_dead_letter
from actors.runtime.mailbox import MailboxConfig
from actors.testing import settle
from protocols.events import DeadLetter
from protocols.mailbox import Overflow


class Clerk(AsyncioActor):
    mailbox = MailboxConfig(capacity=2, overflow=Overflow.DROP_NEWEST)

    def __init__(self) -> None:
        super().__init__()
        self.orders: list[str] = []

    def on_receive(self, order: str) -> None:
        self.orders.append(order)


async def main() -> None:
    async with ActorSystem("shop") as system, AgentPool[None](system=system) as pool:
        # An alert belongs here: nobody looks into a list that says nothing.
        system.events.subscribe(lambda event: print(f"told: {event.actor} {event.reason}"), [DeadLetter])
        clerk = system.start(Clerk, name="clerk")
        for number in (1, 2, 3):  # faster than the clerk
            clerk.tell(f"order {number}")
        for reason, count in system.dead_letters.counts.items():
            print(f"{reason}: {count}")

        await settle()  # the clerk has room again
        for row in await read_dead_letters(pool):
            if row.can_replay and row.reason == "overflow":
                await replay_dead_letter(pool, row.id)
                print(f"replayed: {row.text}")
        print(f"handled: {await clerk.proxy().orders}")


if __name__ == "__main__":
    asyncio.run(main())
