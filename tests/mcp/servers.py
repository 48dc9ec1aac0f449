"""What tests of servers of tools need: a port that hears of calls, and a server on HTTP that goes and comes back."""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import uvicorn

from actors.mcp.server import McpServer
from tests.mcp.script import make_server

SCRIPT = Path(__file__).with_name("script.py")


def script_server(**options: object) -> McpServer:
    return McpServer(SCRIPT, name="calc", **options)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


class Listener:
    """Hears what the tool `hang` says."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.lines: asyncio.Queue[str] = asyncio.Queue()

    async def started(self) -> int:
        return int(await self.lines.get())

    async def heard(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            self.lines.put_nowait(line.decode().strip())
        self.lines.put_nowait("closed")
        writer.close()


@asynccontextmanager
async def listener() -> AsyncGenerator[Listener]:
    listening = Listener(0)
    server = await asyncio.start_server(listening.heard, "127.0.0.1", 0)
    listening.port = server.sockets[0].getsockname()[1]
    async with server:
        yield listening


def children() -> list[int]:
    """Return the processes that this one has started and that are not reaped, zombies included."""
    return [child.pid for child in psutil.Process(os.getpid()).children()]


class HttpServer:
    """A server on loopback, in this process. It keeps its address."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/mcp"
        self._server: uvicorn.Server | None = None
        self._task: asyncio.Task[None] | None = None

    async def come(self) -> None:
        listening = socket.socket()  # it takes connections from now on, whenever the server comes to them
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", self.port))
        listening.listen()
        config = uvicorn.Config(make_server().streamable_http_app(), log_level="critical", timeout_graceful_shutdown=0)
        self._server = uvicorn.Server(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[listening]))

    async def go(self) -> None:
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await self._task
            self._server = None


@asynccontextmanager
async def http_server() -> AsyncGenerator[HttpServer]:
    server = HttpServer()
    await server.come()
    try:
        yield server
    finally:
        await server.go()
