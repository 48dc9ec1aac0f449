"""A job is accepted with a ticket, survives the process, and has its effect once.

Prints:
    the same run: True
    after the restart: paid 5
    payments: 1
"""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from actors import Agent, AgentPool, Durable, MessageNode, delivery

payments: dict[str, int] = {}  # the bank: it takes the same key only once


def pay(amount: str) -> str:
    # At least once is what any queue can promise. The key is the same in each repetition, so the bank does it once.
    payments.setdefault(delivery().key, int(amount))
    return f"paid {amount}"


async def clerk_of(pool: AgentPool[None]) -> MessageNode[Any, Any]:
    await pool.add_node(Agent.from_callback(pay, name="clerk", durable=Durable(retries=2)))
    return pool["clerk"]


async def main(folder: Path) -> None:
    async with AgentPool[None](journal=folder / "orders.journal") as pool:
        clerk = await clerk_of(pool)
        # When `submit` returns, the job is on disk: only now tell the customer "accepted".
        ticket = await clerk.submit("5", request_id="order-17")
        again = await clerk.submit("5", request_id="order-17")  # the customer has clicked twice
        print(f"the same run: {ticket.run_id == again.run_id}")
        await ticket.answer(timeout=60)

    # Another process, hours later: who has the number of the order has its answer.
    async with AgentPool[None](journal=folder / "orders.journal") as pool:
        await clerk_of(pool)
        print(f"after the restart: {(await pool.ticket('order-17').answer(timeout=60)).content}")
    print(f"payments: {len(payments)}")


if __name__ == "__main__":
    with TemporaryDirectory() as made:
        asyncio.run(main(Path(made)))
