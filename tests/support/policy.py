"""What tests of the policy of models share."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic_ai.exceptions import ModelHTTPError, ModelRateLimitError

from actors import Agent, ModelPolicy
from actors.testing.clock import ManualClock
from actors.testing.settle import settle

BUSY = ModelHTTPError(503, "m")
NO_WAIT = ModelPolicy(min_wait=0)

Start = Callable[..., Agent[Any, Any]]
"""Starts an agent with a model on the manual clock of the test."""


def limited(seconds: object) -> ModelHTTPError:
    return ModelHTTPError.for_category(
        ModelRateLimitError, status_code=429, model_name="m", headers={"retry-after": str(seconds)}
    )


async def ended(run: Awaitable[Any], clock: ManualClock) -> Any:
    """Move the clock until a run has ended."""
    task = asyncio.ensure_future(run)
    for _ in range(1_000):
        await settle()
        if task.done():
            return await task
        await clock.advance(clock.next_due - clock.now() if clock.next_due is not None else 0.0)
    task.cancel()
    raise AssertionError("the run waits for something else than the clock")


async def text_of(agent: Agent[Any, Any]) -> str:
    async with agent.run_stream("x") as stream:
        return "".join([piece async for piece in stream.stream()])
