"""Bound what an agent may spend, and how fast it may ask.

Prints:
    answered: 2, refused: 1
    the budget of node 'helper' is used up: 2 requests, spent 2
    three requests of one a second took 2 seconds
"""

import asyncio

from actors import ActorSystem, Agent, AgentPool, Budget, ModelPolicy, RateLimits
from actors.testing import ManualClock
from actors.testing.models import echo_model
from protocols.model_errors import BudgetExceededError


async def spend() -> None:
    budget = Budget(requests=2, per="day")  # or tokens=2_000_000, cost=20
    async with Agent("helper", model="offline", budget=budget, session=False) as helper:
        runs = (helper.run(f"Question {number}?") for number in range(3))
        outcomes = await asyncio.gather(*runs, return_exceptions=True)
    refused = [one for one in outcomes if isinstance(one, BudgetExceededError)]
    print(f"answered: {len(outcomes) - len(refused)}, refused: {len(refused)}")
    print(refused[0])


async def wait() -> None:
    # Limits belong to the endpoint: all agents with its address and key share them, and take turns.
    policy = ModelPolicy(limits=RateLimits(requests_per_minute=60))
    clock = ManualClock()  # a program leaves it out, and really waits
    async with AgentPool(system=ActorSystem("pool", clock=clock)) as pool:
        helper = await pool.add_agent("helper", model=echo_model(), policy=policy, session=False)
        runs = asyncio.gather(*(helper.run(f"Question {number}?") for number in range(3)))
        seconds = 0
        while not runs.done():
            await clock.advance(1)
            seconds += 1
        print(f"three requests of one a second took {seconds} seconds")


if __name__ == "__main__":
    asyncio.run(spend())
    asyncio.run(wait())
