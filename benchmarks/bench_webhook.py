"""How many signed webhooks a second does one port accept, how soon do their runs begin, and is any of them lost?

Prints JSON lines. The client is a process of its own with keep-alive connections; its requests are signed beforehand.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from pydantic import SecretStr

from actors.config.queue import QueueSpec
from actors.config.trigger import WebhookTrigger
from actors.runtime.system import ActorSystem
from actors.supervision.supervisor import Supervisor
from actors.triggers import Ready, TriggerRequest, plan_triggers, sign

if TYPE_CHECKING:
    from protocols.ids import RunId
    from protocols.triggers import TriggerEvent

REQUESTS = 10_000
REPEATS = 3
SECRET = "a secret of reasonable length"
BODY = json.dumps({"order": 7, "items": ["bread", "milk"], "note": "x" * 200}).encode()


def request(event_id: str) -> bytes:
    headers = sign(SECRET, BODY, event_id=event_id, timestamp=int(time.time()) + 1)
    lines = ["POST /in HTTP/1.1", "Host: localhost", "Content-Type: application/json", f"Content-Length: {len(BODY)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + BODY


async def call(port: int, requests: list[bytes], statuses: list[int], delays: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for each in requests:
        start = time.perf_counter()
        writer.write(each)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        delays.append(time.perf_counter() - start)
        statuses.append(int(head.split()[1]))
    writer.close()


async def client(port: int, connections: int, name: str) -> None:
    """Send all requests over so many connections, and say how long it took and what the answers were."""
    share = REQUESTS // connections
    batches = [[request(f"{name}-{c}-{n}") for n in range(share)] for c in range(connections)]
    statuses: list[int] = []
    delays: list[float] = []
    start = time.perf_counter()
    await asyncio.gather(*(call(port, batch, statuses, delays) for batch in batches))
    seconds = time.perf_counter() - start
    counts = {str(status): statuses.count(status) for status in set(statuses)}
    print(json.dumps({"seconds": seconds, "statuses": counts, "answer": statistics.median(delays)}))


class Node:
    """Stands for an agent: counts its runs and how late they begin."""

    def __init__(self) -> None:
        self.runs = 0
        self.delays: list[float] = []

    async def __call__(self, prompt: str, *, run_id: RunId, event: TriggerEvent) -> None:
        """Run."""
        self.runs += 1
        self.delays.append(time.time() - event.time)


async def measure(connections: int) -> dict[str, object]:
    """Serve, have the client call, and wait until everything that was accepted has run."""
    node = Node()
    config = WebhookTrigger(
        type="webhook", name="hook", port=0, path="/in", secret=(SecretStr(SECRET),),
        concurrency=100, queue=QueueSpec(capacity=REQUESTS),
    )  # fmt: skip
    plan = plan_triggers([TriggerRequest("node", config, node)])
    async with ActorSystem("bench") as system:
        supervisor = await system.start(Supervisor, ([child.spec() for child in plan.children],)).ready()
        children = await supervisor.proxy().children()
        await children[-1].ref.ask(Ready())
        command = [sys.executable, __file__, "--client", str(plan.sites[0].port), "--connections", str(connections)]
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        output, _ = await process.communicate()
        found = json.loads(output)
    numbers = plan.triggers[0].statistics()
    accepted = found["statuses"].get("202", 0)
    return {
        "accepted_per_second": round(accepted / found["seconds"], 1),
        "accepted": accepted,
        "lost": accepted - numbers.completed - numbers.failed - numbers.dead_lettered,
        "statuses": found["statuses"],
        "answer_ms": round(found["answer"] * 1_000, 2),
        "run_begins_after_ms": round(statistics.median(node.delays) * 1_000, 2),
    }


async def main() -> None:
    """Ask with few and with many connections."""
    for connections in (1, 10, 50):
        results = [await measure(connections) for _ in range(REPEATS)]
        middle = sorted(results, key=lambda result: str(result["accepted_per_second"]).zfill(12))[REPEATS // 2]
        line = {"bench": "webhook", "connections": connections, **middle, "python": platform.python_version()}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--client", type=int, metavar="PORT", help="be the client")
    parser.add_argument("--connections", type=int, default=10)
    arguments = parser.parse_args()
    if arguments.client:
        asyncio.run(client(arguments.client, arguments.connections, str(time.time_ns())))
    else:
        asyncio.run(main())
