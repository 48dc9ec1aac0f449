"""Two pools with the same node, one of which keeps what it says: what the questions on history time."""

from __future__ import annotations

import tempfile
from contextlib import AsyncExitStack
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors import Agent

TEXT = "The supplier delivers within ten days. The contract must be signed by May. Cats sleep for many hours."
SLICE = 80
"""Runs of one pool before it is the other one's turn: fewer messages than are written at once, for the time of writing
is counted or not, but never left to chance."""


def callable_agent() -> Agent[Any, Any]:
    """A function, the quickest node there is."""
    from actors import Agent

    return Agent.from_callback(str.upper, name="node")


def offline_agent() -> Agent[Any, Any]:
    """An agent on the offline model. It remembers little, so that its runs do not grow."""
    from actors import Agent

    return Agent("node", model="offline", system_prompt="One sentence.", history_limit=4)


async def ratio(
    make: Callable[[], Agent[Any, Any]],
    count: int,
    *,
    clock: Callable[[], float] = perf_counter,
    is_written: bool = False,
) -> float:
    """Return how much longer runs take whose messages are kept, times `count`; both pools take turns in one process.

    Args:
        make: makes the node.
        count: runs of each pool.
        clock: `perf_counter` or `process_time`.
        is_written: whether the time counts until the messages are in the file, not only until the answers are there.
    """
    from actors import AgentPool
    from actors.app import HistoryService
    from actors.config.load import parse_manifest

    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            pools: list[AgentPool[None]] = []
            for storage in ("{}", f"storage: {{type: sqlite, path: {folder}/history.db}}"):
                pools.append(await stack.enter_async_context(AgentPool[None](parse_manifest(storage))))
                await pools[-1].add_node(make())
            totals = [0.0, 0.0]
            for first in range(0, count, SLICE):
                for place in (0, 1) if first // SLICE % 2 else (1, 0):
                    node, history = pools[place]["node"], pools[place].service(HistoryService)
                    assert history is not None
                    started = clock()
                    for _ in range(min(SLICE, count - first)):
                        await node.run(TEXT)
                    if is_written:
                        await history.flush()
                    totals[place] += clock() - started
                    await history.flush()
            return count * totals[1] / totals[0]


__all__ = ["callable_agent", "offline_agent", "perf_counter", "process_time", "ratio"]
