"""Task 12: a memory for each user."""

import asyncio

from actors import Agent


async def main() -> None:
    """Talk to two people."""
    async with Agent("helper", model="offline") as helper:
        await helper.run("My number is 17.", session="alice")
        await helper.run("My number is 18.", session="bob")
        await helper.run("Which number is mine?", session="alice")
        for user in ("alice", "bob"):
            print(user, len(helper.sessions.get(user)))


asyncio.run(main())
