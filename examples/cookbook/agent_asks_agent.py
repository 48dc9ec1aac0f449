"""The model of one agent asks another agent, and both count as one run.

Prints:
    ask_clerk: the lamp is in row 7
    the answer: In row 7.
    with two requests in all: UsageLimitExceeded
"""

import asyncio

from pydantic_ai import UsageLimitExceeded, UsageLimits

from actors import Agent
from actors.testing.models import scripted_model, tool_call


def boss_and_clerk() -> tuple[Agent, Agent]:
    boss = Agent("boss", model=scripted_model([tool_call("ask_clerk", prompt="Where is it?"), "In row 7."]))
    clerk = Agent("clerk", model=scripted_model(["the lamp is in row 7"]), description="Knows where things are.")
    # The worker begins each call without memory, and ends with the run that asks: deadline, cancellation and limits
    # reach it. A tool of yours that awaits `clerk.run(...)` has to pass them on by itself.
    boss.register_worker(clerk)
    return boss, clerk


async def main() -> None:
    boss, clerk = boss_and_clerk()
    async with boss, clerk:
        message = await boss.run("Where is the lamp?")
        print(f"{message.tool_calls[0].tool_name}: {message.tool_calls[0].result}")
        print(f"the answer: {message.text}")

    boss, clerk = boss_and_clerk()
    async with boss, clerk:
        try:
            await boss.run("Where is the lamp?", usage_limits=UsageLimits(request_limit=2))
        except UsageLimitExceeded as error:
            print(f"with two requests in all: {type(error).__name__}")


if __name__ == "__main__":
    asyncio.run(main())
