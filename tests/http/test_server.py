"""The server as a process: SIGTERM ends it in order, within its limit, with exit code 0."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx2

from tests.cli.conftest import ROOT, environment
from tests.support.waiting import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

PROGRAM = """
import asyncio, sys
from fastapi import FastAPI
from actors import Agent, AgentPool
from actors.web import CancelOnDisconnect, lifespan, serve

def read(text):
    print("reading", flush=True)
    return sys.stdin.readline().strip()

async def forever(text):
    print("waiting", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        print("cancelled", flush=True)

pool = AgentPool(exit_timeout=5)
app = FastAPI(lifespan=lifespan(pool))
agents = [Agent.from_callback(read, name="reader", blocking=True), Agent.from_callback(forever, name="waiter")]

@app.get("/{name}")
async def ask(name: str) -> str:
    if name not in pool:
        await pool.add_node(next(agent for agent in agents if agent.name == name))
    return (await pool[name].run("go")).text

serve(app, port=0, grace=1 if "waiter" in sys.argv else 20)
print("ended in order; pool running:", pool.is_running, flush=True)
"""


@asynccontextmanager
async def service(*arguments: object) -> AsyncGenerator[tuple[asyncio.subprocess.Process, str]]:
    """Start a program that serves; give it and where it is reached."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *map(str, arguments),
        cwd=ROOT,
        env=environment(PORT="0"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(TIMEOUT * 3):
            yield process, await _url(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _url(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    while line := (await process.stderr.readline()).decode():
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        if found:
            return found[0]
    raise AssertionError("the server did not start")


async def test_a_request_in_hand_is_answered_before_the_end() -> None:
    async with service("-c", PROGRAM) as (process, url), httpx2.AsyncClient(timeout=TIMEOUT, trust_env=False) as http:
        assert process.stdin is not None
        assert process.stdout is not None
        asking = asyncio.create_task(http.get(f"{url}/reader"))
        assert await process.stdout.readline() == b"reading\n"
        process.send_signal(signal.SIGTERM)
        process.stdin.write(b"the answer\n")
        answer = await asking
        out, _ = await process.communicate()

    assert (answer.status_code, answer.json()) == (200, "the answer")
    assert (process.returncode, out) == (0, b"ended in order; pool running: False\n")


async def test_what_does_not_end_is_cancelled_within_the_limit() -> None:
    async with (
        service("-c", PROGRAM, "waiter") as (process, url),
        httpx2.AsyncClient(timeout=TIMEOUT, trust_env=False) as http,
    ):
        assert process.stdout is not None
        asking = asyncio.create_task(http.get(f"{url}/waiter"))
        assert await process.stdout.readline() == b"waiting\n"
        process.send_signal(signal.SIGTERM)
        await asyncio.wait([asking])
        out, _ = await process.communicate()

    assert asking.exception() is not None or asking.result().status_code == 500
    assert (process.returncode, out) == (0, b"cancelled\nended in order; pool running: False\n")


async def test_a_port_in_use_ends_with_a_message_and_a_failure() -> None:
    busy = socket.create_server(("127.0.0.1", 0))
    port = busy.getsockname()[1]
    program = f"from fastapi import FastAPI\nfrom actors.web import serve\nserve(FastAPI(), port={port})"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=ROOT, env=environment(), stderr=asyncio.subprocess.PIPE
    )
    _, err = await process.communicate()
    busy.close()

    assert process.returncode not in {0, None}
    assert b"address already in use" in err
    assert b"Traceback" not in err
