"""How many signed webhooks a second does one port accept, and is any of them lost?

The client is a process of its own with keep-alive connections; its requests are signed beforehand.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.question import Contestant, Question, Target, Unit

if TYPE_CHECKING:
    from protocols.ids import RunId
    from protocols.triggers import TriggerEvent

SECRET = "a secret of reasonable length"
BODY = json.dumps({"order": 7, "items": ["bread", "milk"], "note": "x" * 200}).encode()


def request(event_id: str) -> bytes:
    from actors.triggers import sign

    headers = sign(SECRET, BODY, event_id=event_id, timestamp=int(time.time()) + 1)
    lines = ["POST /in HTTP/1.1", "Host: localhost", "Content-Type: application/json", f"Content-Length: {len(BODY)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + BODY


async def call(port: int, requests: list[bytes], statuses: list[int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for each in requests:
        writer.write(each)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        statuses.append(int(head.split()[1]))
    writer.close()


async def client(port: int, connections: int, count: int) -> None:
    """Send so many requests over so many connections, and say how long it took and what the answers were."""
    share = count // connections
    batches = [[request(f"{c}-{n}") for n in range(share)] for c in range(connections)]
    statuses: list[int] = []
    start = time.perf_counter()
    await asyncio.gather(*(call(port, batch, statuses) for batch in batches))
    seconds = time.perf_counter() - start
    sys.stdout.write(json.dumps({"seconds": seconds, "accepted": statuses.count(202), "answers": len(statuses)}))


async def serve(count: int, connections: int) -> float:
    """Serve, have the client call, wait until everything that was accepted has run, and return the client's seconds."""
    from pydantic import SecretStr

    from actors.config.trigger import WebhookTrigger
    from actors.config.value import QueueSpec
    from actors.runtime.system import ActorSystem
    from actors.supervision.supervisor import Supervisor
    from actors.triggers import Ready, TriggerRequest, plan_triggers

    runs: list[RunId] = []

    async def node(prompt: str, *, run_id: RunId, event: TriggerEvent) -> None:
        runs.append(run_id)

    config = WebhookTrigger(
        type="webhook", name="hook", port=0, path="/in", secret=(SecretStr(SECRET),),
        concurrency=100, queue=QueueSpec(capacity=count),
    )  # fmt: skip
    plan = plan_triggers([TriggerRequest("node", config, node)])
    async with ActorSystem("bench") as system:
        supervisor = await system.start(Supervisor, ([child.spec() for child in plan.children],)).ready()
        children = await supervisor.proxy().children()
        await children[-1].ref.ask(Ready())
        command = [
            sys.executable,
            "-m",
            "benchmarks.bench_webhook",
            str(plan.sites[0].port),
            str(connections),
            str(count),
        ]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=subprocess.PIPE, cwd=Path(__file__).parent.parent
        )
        output, _ = await process.communicate()
    found = json.loads(output)
    numbers = plan.triggers[0].statistics()
    ended = numbers.completed + numbers.failed + numbers.dead_lettered
    if not found["accepted"] == numbers.accepted == ended == len(set(runs)) == count == found["answers"]:
        msg = f"{found} of {count}, but {numbers} and {len(set(runs))} runs"
        raise RuntimeError(msg)
    return float(found["seconds"])


QUESTION = Question(
    title="One signed webhook of 300 bytes, accepted over loopback and run; the client is another process",
    unit=Unit.MICROSECONDS,
    count=10_000,
    batches=1,
    rounds=3,
    contestants=tuple(
        Contestant(name=name, run=partial(serve, connections=connections), requires="actors")
        for name, connections in (("10 connections", 10), ("1 connection", 1), ("50 connections", 50))
    ),
    targets=tuple(
        Target(subject=name, at_most=1_000.0) for name in ("10 connections", "1 connection", "50 connections")
    ),
    note="1,000 us is 1,000 requests a second. A round in which one request is lost, or runs twice, fails.",
)

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("connections", type=int)
    parser.add_argument("count", type=int)
    arguments = parser.parse_args()
    asyncio.run(client(arguments.port, arguments.connections, arguments.count))
