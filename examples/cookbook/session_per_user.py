"""One agent serves many people, and each has a memory of their own.

Prints:
    alice: 4 messages, bob: 2
    at the same time: 2
    alice after forget: 0
"""

import asyncio

from actors import Agent
from actors.testing import settle
from actors.testing.models import slow_model


async def main() -> None:
    async with Agent("helper", model="offline", history_limit=50, session_ttl=3600) as helper:
        await helper.run("My number is 17.", session="alice")
        await helper.run("My number is 18.", session="bob")
        await helper.run("Which number is mine?", session="alice")
        print(f"alice: {len(helper.sessions.get('alice'))} messages, bob: {len(helper.sessions.get('bob'))}")

        # Runs of one session follow each other, since each reads what the last one wrote. Different sessions do not
        # wait for each other; without `session=` all would share one memory, and one queue.
        model = slow_model(go := asyncio.Event())
        runs = [asyncio.create_task(helper.run("Hello", session=name, model=model)) for name in ("alice", "bob")]
        await settle()  # until all actors wait
        print(f"at the same time: {model.waiting}")
        go.set()
        await asyncio.gather(*runs)

        helper.sessions.forget("alice")  # such as when she asks for it
        print(f"alice after forget: {len(helper.sessions.get('alice'))}")


if __name__ == "__main__":
    asyncio.run(main())
