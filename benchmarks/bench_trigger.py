"""How long does an event take from the outside to the first line of its agent's handler?"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.question import Contestant, Question, Target, Unit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

DEBOUNCE = 0.05
"""Seconds of quiet that a file trigger waits for; not counted."""
SECRET = "a secret of reasonable length"

MANIFEST = """
allow_imports: [benchmarks]
agents:
  source: {type: callback, callback: "benchmarks.bench_trigger:said", connections: [{type: node, name: target}]}
  target: {type: callback, callback: "benchmarks.bench_trigger:ignored"}
  reader:
    type: callback
    callback: "benchmarks.bench_trigger:arrived"
    triggers: [TRIGGER]
"""

began = 0.0
"""When the event happened."""
seen: asyncio.Future[float]
"""When the handler was reached."""


def said(text: str) -> str:
    """Answer; the event of a connection trigger is that the answer is passed on."""
    global began  # noqa: PLW0603 - the function of a manifest has no other place
    began = perf_counter()
    return text


def ignored(text: str) -> str:
    """Take the message of the connection."""
    return text


def arrived(text: str) -> str:
    """Take the event."""
    seen.set_result(perf_counter())
    return text


async def measure(count: int, trigger: str, happen: Callable[[Any, Path, int], Awaitable[None]]) -> float:
    """Open a pool whose agent has this trigger, have the event happen again and again, and return the median."""
    global seen  # noqa: PLW0603
    from actors.app import AgentPool, TriggerService
    from actors.config.load import parse_manifest

    with tempfile.TemporaryDirectory() as folder:
        text = MANIFEST.replace("TRIGGER", trigger.replace("ROOT", folder))
        async with AgentPool[None](parse_manifest(text)) as pool:
            triggers = pool.service(TriggerService)
            assert triggers is not None
            await triggers.ready()
            seconds: list[float] = []
            for number in range(count):
                seen = asyncio.get_running_loop().create_future()
                await happen(pool, Path(folder), number)
                seconds.append(await seen - began)
    return statistics.median(seconds) * count


async def webhook(count: int) -> float:
    from actors.app import TriggerService
    from actors.triggers import sign

    body = json.dumps({"order": 7, "items": ["bread", "milk"], "note": "x" * 200}).encode()

    async def happen(pool: Any, _: Path, number: int) -> None:
        global began  # noqa: PLW0603
        reader, writer = await asyncio.open_connection("127.0.0.1", pool.service(TriggerService).plan.sites[0].port)
        headers = sign(SECRET, body, event_id=f"e{number}", timestamp=int(time.time()) + 1)
        lines = ["POST /in HTTP/1.1", "Host: x", "Content-Type: application/json", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        request = "\r\n".join([*lines, "", ""]).encode() + body
        began = perf_counter()
        writer.write(request)
        status = await reader.readline()
        writer.close()
        if b" 202 " not in status:
            msg = f"the webhook was answered {status!r}"
            raise RuntimeError(msg)

    return await measure(count, f"{{type: webhook, name: w, port: 0, path: /in, secret: {SECRET}}}", happen)


async def file(count: int) -> float:
    async def happen(_: Any, folder: Path, number: int) -> None:
        global began  # noqa: PLW0603
        began = perf_counter() + DEBOUNCE
        (folder / f"{number}.md").write_text("changed")

    milliseconds = int(DEBOUNCE * 1_000)
    return await measure(
        count, f'{{type: file, name: f, paths: ["*.md"], root: ROOT, debounce: {milliseconds}}}', happen
    )


async def connection(count: int) -> float:
    async def happen(pool: Any, _: Path, number: int) -> None:
        await pool["source"].run(f"message {number}")

    return await measure(count, "{type: connection, name: c, event: message_forwarded, source: source}", happen)


QUESTION = Question(
    title="From the event to the first line of its agent's handler, in a pool (file: beyond the debounce of 50 ms)",
    unit=Unit.MILLISECONDS,
    count=40,
    batches=1,
    rounds=5,
    quick=4,
    contestants=(
        Contestant(name="webhook", run=webhook, requires="actors"),
        Contestant(name="file", run=file, requires="actors"),
        Contestant(name="connection", run=connection, requires="actors"),
    ),
    targets=tuple(Target(subject=name, at_most=20.0) for name in ("webhook", "file", "connection")),
    note="The value of a batch is its median. The client of the webhook opens a connection for each request.",
)
