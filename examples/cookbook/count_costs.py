"""An actor counts what each agent costs, from events, and slows none of them.

Prints:
    planner: 2 answers
    writer: 1 answers
    tokens are counted: True
"""

import asyncio
from collections import Counter

from actors import ActorSystem, AgentPool, AsyncioActor
from protocols.events import MessageSent


class Costs(AsyncioActor):
    def __init__(self) -> None:
        super().__init__()
        self.answers: Counter[str] = Counter()
        self.tokens: Counter[str] = Counter()

    def on_receive(self, event: MessageSent) -> None:
        if event.composed:  # the answer of a team or chain: its members have told theirs
            return
        # One message at a time, so no lock. `event.cost` is money, where the price of the model is known.
        self.answers[event.actor] += 1
        self.tokens[event.actor] += event.input_tokens + event.output_tokens


async def main() -> None:
    async with ActorSystem("shop") as system, AgentPool[None](model="offline", system=system) as pool:
        planner, writer = await pool.add_agent("planner"), await pool.add_agent("writer")
        costs = system.start(Costs, name="costs")
        subscription = system.events.subscribe(costs.tell, [MessageSent])
        await planner.run("The office moves in May.")
        await (planner | writer).run("Nobody has booked a van.")

        for name, count in (await costs.proxy().answers).items():
            print(f"{name}: {count} answers")
        print(f"tokens are counted: {(await costs.proxy().tokens)['planner'] > 0}")
        subscription.cancel()


if __name__ == "__main__":
    asyncio.run(main())
