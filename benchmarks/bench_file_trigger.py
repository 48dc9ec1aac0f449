"""How long after a change of a file does its run begin, beyond the debounce, and what does watching cost meanwhile?

Prints JSON lines.
"""

from __future__ import annotations

import asyncio
import json
import platform
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from actors.config.trigger import FileTrigger
from actors.runtime.system import ActorSystem
from actors.supervision.supervisor import Supervisor
from actors.triggers import Ready, TriggerRequest, plan_triggers

if TYPE_CHECKING:
    from protocols.ids import RunId
    from protocols.triggers import TriggerEvent

CHANGES = 30
IDLE = 3.0
"""Seconds."""


class Node:
    """Stands for an agent: says when its run began."""

    def __init__(self) -> None:
        self.began: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def __call__(self, prompt: str, *, run_id: RunId, event: TriggerEvent) -> None:
        """Run."""
        self.began.set_result(time.perf_counter())


def used() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def measure(debounce: float) -> None:
    """Change files one by one, then change nothing."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for number in range(200):
            (root / f"folder{number}").mkdir()
        node = Node()
        config = FileTrigger(type="file", name="files", paths=("**/*.md",), debounce=debounce * 1_000)
        plan = plan_triggers([TriggerRequest("node", config, node)], root=root)
        async with ActorSystem("bench") as system:
            supervisor = await system.start(Supervisor, ([child.spec() for child in plan.children],)).ready()
            await (await supervisor.proxy().children())[-1].ref.ask(Ready())
            delays: list[float] = []
            for number in range(CHANGES):
                node.began = asyncio.get_running_loop().create_future()
                start = time.perf_counter()
                (root / f"folder{number}" / "a.md").write_text("changed")
                delays.append(await node.began - start - debounce)
            before = used()
            await asyncio.sleep(IDLE)
            idle = used() - before
    line = {
        "bench": "file trigger",
        "debounce_ms": debounce * 1_000,
        "beyond_debounce_ms": round(statistics.median(delays) * 1_000, 1),
        "idle_cpu_percent": round(idle / IDLE * 100, 2),
        "folders": 200,
        "python": platform.python_version(),
    }
    print(json.dumps(line), flush=True)


async def main() -> None:
    """Ask with a short, a middling and the default debounce."""
    for debounce in (0.02, 0.1, 1.6):
        await measure(debounce)


if __name__ == "__main__":
    asyncio.run(main())
