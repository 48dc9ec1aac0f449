"""What does a viewer of the dashboard cost the runs, and what does the dashboard cost without one?"""

from __future__ import annotations

from contextlib import asynccontextmanager
from time import process_time
from typing import TYPE_CHECKING, Any

from benchmarks.question import Contestant, Question, Target, Unit

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from actors.agents.agent import Agent


@asynccontextmanager
async def _agent(*, is_served: bool, viewers: int = 0) -> AsyncGenerator[Agent[object, str]]:
    """Open a pool with one agent, the feed of its dashboard, and viewers that take every message."""
    import asyncio

    from actors import Agent, AgentPool
    from actors.dashboard import dashboard

    async def look(viewer: Any) -> None:
        async for _ in viewer.messages():
            pass

    async with AgentPool[None]() as pool:
        agent = Agent.from_callback(str.upper, name="upper")
        await pool.add_node(agent)
        feed: Any = dashboard(pool).state.feed if is_served else None
        seen = [feed.join() for _ in range(viewers)]
        looking = [asyncio.create_task(look(viewer)) for viewer in seen]
        for viewer in seen:
            await viewer.is_ready.wait()
        yield agent
        for viewer in seen:
            viewer.end()
            feed.leave(viewer)
        await asyncio.gather(*looking)


async def _runs(count: int, *, is_served: bool, viewers: int = 0) -> float:
    async with _agent(is_served=is_served, viewers=viewers) as agent:
        started = process_time()
        for _ in range(count):
            await agent.run("a line of text")
        return process_time() - started


async def ours(count: int) -> float:
    return await _runs(count, is_served=True, viewers=1)


async def unwatched(count: int) -> float:
    return await _runs(count, is_served=True)


async def without(count: int) -> float:
    return await _runs(count, is_served=False)


QUESTION = Question(
    title="One run of a callable, with a viewer of the dashboard",
    unit=Unit.MICROSECONDS,
    count=20_000,
    batches=5,
    rounds=3,
    is_interleaved=True,
    contestants=(
        Contestant(name="ours", run=ours, requires="starlette"),
        Contestant(name="dashboard without a viewer", run=unwatched, requires="starlette"),
        Contestant(name="without a dashboard", run=without, requires="starlette"),
    ),
    targets=(
        Target(against="without a dashboard", at_most=1.2),
        Target(subject="dashboard without a viewer", against="without a dashboard", at_most=1.05),
    ),
    note="CPU time of the process, the viewer included. A run of a callable is the cheapest there is.",
)
