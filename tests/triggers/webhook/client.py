"""A client of the webhooks of a test: well-behaved, or deciding over every byte."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2

from actors.config.trigger import WebhookTrigger
from actors.triggers.webhook.signature import sign
from tests.support.waiting import TIMEOUT
from tests.triggers.started import RecordingNode, StartedTriggers, start_triggers

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from actors.runtime.system import ActorSystem

NOW = 1_700_000_000
BODY = b'{"order": 7}'


def hook(path: str = "/in", *, name: str = "w", port: int = 0, **keys: Any) -> WebhookTrigger:
    if "insecure" not in keys:
        keys.setdefault("secret", ("secret",))
    return WebhookTrigger(type="webhook", name=name, port=port, path=path, **keys)


def signed(body: bytes = BODY, *, event_id: str = "e1", **more: str) -> dict[str, str]:
    return {**sign("secret", body, event_id=event_id, timestamp=NOW), "content-type": "application/json", **more}


async def open_stage(system: ActorSystem, node: RecordingNode, *hooks: WebhookTrigger) -> StartedTriggers:
    stage = await start_triggers(system, hooks or [hook()], node, wall=lambda: NOW)
    await stage.ready()
    return stage


@asynccontextmanager
async def client(stage: StartedTriggers) -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=stage.plan.sites[0].url, timeout=TIMEOUT, trust_env=False) as opened:
        yield opened


class Raw:
    """A connection to the server whose every byte the test decides."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def until_closed(self) -> bytes:
        async with asyncio.timeout(TIMEOUT):
            try:
                return await self._reader.read()
            except ConnectionResetError:
                return b""

    async def status(self) -> int:
        async with asyncio.timeout(TIMEOUT):
            line = await self._reader.readline()
        return int(line.split()[1]) if line else 0


@asynccontextmanager
async def raw(stage: StartedTriggers) -> AsyncGenerator[Raw]:
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.plan.sites[0].port)
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()


def head(length: int | None = None, **extra: str) -> bytes:
    lines = ["POST /in HTTP/1.1", "Host: x", *(f"{name}: {value}" for name, value in signed().items())]
    lines.append("Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in extra.items()]
    return "\r\n".join([*lines, "", ""]).encode()


async def reading(stage: StartedTriggers) -> None:
    """Let the server read what was sent: it answers a request that was sent after."""
    async with client(stage) as http:
        await http.get("/")
