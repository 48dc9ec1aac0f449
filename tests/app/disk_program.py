"""A program for tests whose disk gets full: runs an agent until history has no room, then gives it room again."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from pathlib import Path

from actors import Agent, AgentPool
from actors.app import HistoryService
from actors.config.load import load_manifest

RUNS = 300
ROOM = 64 * 1024
"""Bytes that the files may still grow by."""


def echo(text: str) -> str:
    """Say it again, at length."""
    return f"{text} {'x' * 2_000}"


async def main(file: str) -> None:
    """Say as JSON what became of runs and messages."""
    async with AgentPool[None](load_manifest(file)) as pool:
        await pool.add_node(Agent.from_callback(echo))
        history = pool.service(HistoryService)
        assert history is not None
        biggest = max(path.stat().st_size for path in Path(file).parent.iterdir())
        resource.setrlimit(resource.RLIMIT_FSIZE, (biggest + ROOM, resource.RLIM_INFINITY))
        answers = [await pool["echo"].run(f"run {number}") for number in range(RUNS)]
        (writer,) = history.writers
        while not (full := writer.statistics()).failures:
            await asyncio.wait({asyncio.ensure_future(history.flush(timeout=1.0))}, timeout=0.01)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await history.flush()
        (store,) = history.stores
        stored = await store.count()
        sys.stdout.write(json.dumps({"answers": len(answers), "error": full.last_error, "stored": stored}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
