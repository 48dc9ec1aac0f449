"""A real server on loopback with a pool in it, and clients whose every byte a test decides."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from actors.config.load import load_manifest
from actors.pool.pool import AgentPool
from actors.web import CancelOnDisconnect, health_routes, lifespan
from tests.support.waiting import TIMEOUT, wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from starlette.requests import Request


MANIFEST = """
name: web
agents:
  helper: {session: false}
  other: {session: false}
teams:
  both: {mode: parallel, members: [helper, other]}
"""


def make_pool(folder: Path, model: Any = "offline", **options: Any) -> AgentPool[None]:
    file = folder / "agents.yml"
    file.write_text(MANIFEST, encoding="utf-8")
    return AgentPool[None](load_manifest(file), model=model, **options)


def make_app(pool: AgentPool[None], **health: Any) -> Starlette:
    async def ask(request: Request) -> Response:
        body = await request.body()
        node = pool[request.path_params["node"]]
        return PlainTextResponse((await node.run(body.decode() or request.query_params["q"])).text)

    async def tell(request: Request) -> Response:
        async def pieces() -> AsyncIterator[str]:
            async with pool["helper"].run_stream(request.query_params["q"]) as stream:
                async for piece in stream.stream():
                    yield piece

        return StreamingResponse(pieces())

    routes = [Route("/ask/{node}", ask, methods=["GET", "POST"]), Route("/tell", tell), *health_routes(pool, **health)]
    app = Starlette(routes=routes, lifespan=lifespan(pool))
    app.add_middleware(CancelOnDisconnect)
    return app


class _Server(uvicorn.Server):
    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()


class RunningServer:
    """A server that listens."""

    def __init__(self, port: int, server: uvicorn.Server) -> None:
        self.port = port
        self.server = server

    @asynccontextmanager
    async def client(self) -> AsyncGenerator[httpx2.AsyncClient]:
        url = f"http://127.0.0.1:{self.port}"
        async with httpx2.AsyncClient(base_url=url, timeout=TIMEOUT, trust_env=False) as opened:
            yield opened

    @asynccontextmanager
    async def raw(self, data: bytes) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """Send bytes; the connection is closed at the end of the block."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            await writer.drain()
            yield reader, writer
        finally:
            writer.close()
            await writer.wait_closed()


@asynccontextmanager
async def serve_app(app: Any, **options: Any) -> AsyncGenerator[RunningServer]:
    """Serve an application until the end of the block."""
    opened = socket.create_server(("127.0.0.1", 0))
    settings: dict[str, Any] = {
        "http": "h11",
        "ws": "none",
        "log_config": None,
        "timeout_graceful_shutdown": 5,
        **options,
    }
    config = uvicorn.Config(app, **settings)
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[opened]))
    try:
        await wait_until(lambda: server.started or serving.done())
        yield RunningServer(int(opened.getsockname()[1]), server)
    finally:
        server.should_exit = True
        await serving
        opened.close()


def request_bytes(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
