"""A team answers although one of its members fails.

Prints:
    writer: It has to be there on Friday.
    without stock: the warehouse does not answer
    refused: team 'strict': 1 member(s) failed: stock: the warehouse does not answer
"""

import asyncio

from actors import Agent, Team
from protocols.errors import MemberError


def look(_text: str) -> str:
    raise ConnectionError("the warehouse does not answer")


async def main() -> None:
    writer = Agent("writer", model="offline", system_prompt="One sentence.")
    stock = Agent.from_callback(look, name="stock")
    order = "Ada orders a lamp. It has to be there on Friday."

    async with Team([writer, stock], name="desk") as desk:
        message = await desk.run(order)
        for answer in message.associated_messages:
            print(f"{answer.name}: {answer.text}")
        # The failure is not lost: show it to whoever reads the answer, or it looks complete.
        for name, error in message.metadata["errors"].items():
            print(f"without {name}: {error}")

    # Where half an answer is worse than none, the policy says so, and the run fails.
    async with Team([writer, stock], name="strict", policy="all") as strict:
        try:
            await strict.run(order)
        except MemberError as error:
            print(f"refused: {error}")


if __name__ == "__main__":
    asyncio.run(main())
