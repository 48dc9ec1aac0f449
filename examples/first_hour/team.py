"""Task 7: a team that survives a failure."""

import asyncio

from actors import Agent, Team


def broken(_text: str) -> str:
    """Fail."""
    raise ConnectionError("closed")


async def main() -> None:
    """Run it."""
    reader = Agent("reader", model="offline", system_prompt="One sentence.")
    async with Team([reader, Agent.from_callback(broken)]) as team:
        message = await team.run("Cats sleep for many hours of every day. Dogs do not.")
    for answer in message.associated_messages:
        print(f"{answer.name}: {answer.text}")
    for name, error in message.metadata["errors"].items():
        print(f"failed: {name}: {error}")


asyncio.run(main())
