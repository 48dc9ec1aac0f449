"""One process of a cluster: its pool handles what comes and sends to all nodes, until it is told to stop, or killed.

Run it as ``python -m tests.cluster.worker FOLDER NAME ROPE``. It reads one line: ``stop`` has it send nothing more,
wait until nothing is open anywhere, and leave in order.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from actors import Agent, AgentPool, delivery
from actors.app.journal_service import JournalService

NODES = tuple(tuple(f"{kind}{number}" for number in range(4)) for kind in ("source", "target"))
"""Each source passes its answers on to its target."""
WAITING = 40
"""Runs of a sender that it waits for at most."""


class Worker:
    """What one process does.

    Args:
        folder: where the manifest and the log of all processes are.
        name: the name of the process; new for each.
        rope: file descriptor that gets a byte for each line of the log, so that the parent looks; None for none.
    """

    def __init__(self, folder: Path, name: str, rope: int | None = None) -> None:
        self.name = name
        self.stopping = asyncio.Event()
        self._folder = folder
        self._rope = rope
        if rope is not None:
            os.set_blocking(rope, False)
        self._file = os.open(folder / "log", os.O_APPEND | os.O_CREAT | os.O_WRONLY)

    def log(self, what: str, *values: Any) -> None:
        """Add a line to the log of all processes."""
        os.write(self._file, json.dumps([time.monotonic(), self.name, what, *values]).encode() + b"\n")
        if self._rope is not None:
            with suppress(BlockingIOError):
                os.write(self._rope, b".")

    def handler(self, name: str) -> Any:
        """Return the handler of a node: it has an effect."""

        async def handle(prompt: str) -> str:
            self.log("effect", name, prompt, delivery().attempt)
            await asyncio.sleep(0)
            return prompt

        return handle

    async def _add_nodes(self, pool: AgentPool[Any]) -> None:
        for pair in zip(*NODES, strict=True):
            source, target = (
                Agent.from_callback(self.handler(name), name=name, max_concurrency=1, durable=True) for name in pair
            )
            source.connect_to(target)
            await pool.add_node(source)
            await pool.add_node(target)

    async def live(self) -> None:
        """Live until it is told to stop."""
        pool: AgentPool[Any] = AgentPool(self._folder / "agents.yml", exit_timeout=5.0)
        cluster = pool.manifest.cluster
        if cluster is not None and cluster.engine == "postgres":
            await self._add_nodes(pool)
        async with pool:
            self.log("opened")
            reading = asyncio.ensure_future(asyncio.to_thread(sys.stdin.readline))
            reading.add_done_callback(lambda _: self.stopping.set())
            await asyncio.gather(*(self._send(pool, name) for name in NODES[0]))
            self.log("sent")
            service: Any = pool.service(JournalService)
            while await service.journal.counts():
                pass
        self.log("ended")

    async def _send(self, pool: Any, node: str) -> None:
        """Send to a node, wherever it lives: most are submitted, each fifth waits for its answer."""
        chance, number = random.Random(f"{self.name}/{node}"), 0
        while not self.stopping.is_set():
            number += 1
            text = f"{self.name}:{number}"
            try:
                if number % 5:
                    ticket = await pool[node].submit(text, request_id=f"{node}/{text}")
                    self.log("accepted", node, text)
                    if not number % WAITING:
                        await ticket.answer()
                else:
                    answer = await pool[node].run(text, request_id=f"{node}/{text}")
                    self.log("accepted", node, answer.content)
                    if answer.content != text:
                        self.log("wrong", node, text, answer.content)
            except Exception as error:  # it is in the log, and the parent decides
                self.log("refused", node, text, f"{type(error).__name__}: {error}")
            if chance.random() < 0.3:
                await asyncio.sleep(0)


if __name__ == "__main__":
    asyncio.run(Worker(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])).live())
