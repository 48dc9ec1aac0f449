"""`HostileServer`: a server on loopback that answers requests to models as a test wants, and can break HTTP.

It uses plain sockets of the running event loop: a web framework cannot break off, hang or lie. What it answers is a
script of replies: `actors.testing.openai_answer` makes answers, `actors.testing.faults` breaks them.
"""

import asyncio
import json
import socket
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any, Final, Literal

from actors.runtime.clock import LoopClock
from protocols.clock import Clock, pause

Framing = Literal["length", "chunked", "close", "none"]
"""How the client learns where the body ends; "none" sends the parts without a head."""
Ending = Literal["keep", "close", "reset", "hang"]
"""What follows the parts: the connection stays open, is closed, is reset, or stays silent until the client leaves."""

_RESET: Final = struct.pack("ii", 1, 0)
_MOST_BYTES: Final = 1 << 26
"""Bytes of the head or the body of a request."""


@dataclass(eq=False)
class RecordedRequest:
    """A request as the server saw it, and what became of its connection."""

    number: int
    """Place among all requests, from 1."""
    connection: int
    """Place of its connection among all connections, from 1; two requests with one number shared a connection."""
    at: float
    """When it was complete, in seconds of the server's clock."""
    path: str
    headers: Mapping[str, str]
    """Headers with names in lower case."""
    raw: bytes
    """The body as it came."""
    is_answered: bool = False
    """True once the whole reply was written."""
    closed_at: float | None = None
    """When its connection ended, by whichever side; None while it is open."""
    closed: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    """Set at the end of its connection."""

    @cached_property
    def body(self) -> dict[str, Any]:
        """The values of the body, which is a JSON object."""
        body: dict[str, Any] = json.loads(self.raw)
        return body

    @property
    def model(self) -> str:
        """The model that the request names."""
        return str(self.body.get("model", ""))

    @property
    def is_stream(self) -> bool:
        """True if the request asks for a stream."""
        return bool(self.body.get("stream"))

    @property
    def is_responses(self) -> bool:
        """True for the responses API, False for chat completions."""
        return self.path.endswith("/responses")

    @property
    def prompt(self) -> str:
        """The text of the last message of the user."""
        messages: list[dict[str, Any]] = self.body.get("messages") or self.body.get("input") or []
        content = next((one["content"] for one in reversed(messages) if one.get("role") == "user"), "")
        return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)


@dataclass(frozen=True)
class Response:
    """What the server writes: a head, the parts of a body, and an end, each of which may be wrong."""

    parts: Iterable[bytes] = ()
    """The body; each part is written by itself. A list, unless it is too long for memory."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    framing: Framing = "length"
    every: float = 0.0
    """Seconds of the server's clock before each part."""
    after: int | None = None
    """Number of parts before the end; None for all of them and a proper end of the body."""
    end: Ending = "keep"

    def head(self) -> bytes:
        """Return the status line and the headers."""
        fields: dict[str, object] = {**self.headers}
        match self.framing:
            case "length":
                fields["content-length"] = sum(map(len, self.parts))
            case "chunked":
                fields["transfer-encoding"] = "chunked"
            case "close":
                fields["connection"] = "close"
            case "none":
                return b""
        lines = [f"HTTP/1.1 {self.status} X", *(f"{name}: {value}" for name, value in fields.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def framed(self, part: bytes) -> bytes:
        """Return a part as it is written."""
        return b"%x\r\n%b\r\n" % (len(part), part) if self.framing == "chunked" else part


Reply = Callable[[RecordedRequest], Response]
"""Makes the response to a request. Any function of yours is one."""


class HostileServer:
    """A server of chat completions and responses on ``127.0.0.1`` for the time of an ``async with``.

    Args:
        script: one reply for all requests, or replies in turn, of which the last repeats.
        clock: times pauses and stamps requests; None for that of the running event loop.

    Example:
        ```python
        async with HostileServer([refusal(503), Answer("hello")]) as server, served_model(server) as model:
            assert (await Agent("a", model=model).run("hi")).content == "hello"
        assert len(server.requests) == 2
        ```
    """

    def __init__(self, script: Reply | Sequence[Reply], *, clock: Clock | None = None) -> None:
        self.requests: list[RecordedRequest] = []
        """All requests, oldest first."""
        self.connections = 0
        """Number of connections so far."""
        self.url = ""
        """The base URL for a client, such as the value of ``OPENAI_BASE_URL``; set by ``async with``."""
        self._replies = [script] if callable(script) else list(script)
        self._clock = clock
        self._open: dict[asyncio.Task[object], asyncio.StreamWriter] = {}
        self._arrival = asyncio.Event()

    @property
    def open_connections(self) -> int:
        """Number of connections that are open now."""
        return len(self._open)

    async def arrived(self, number: int) -> RecordedRequest:
        """Wait until so many requests have arrived, and return the last of them."""
        while len(self.requests) < number:
            self._arrival.clear()
            await self._arrival.wait()
        return self.requests[number - 1]

    async def __aenter__(self) -> "HostileServer":
        """Listen on a free port."""
        self.clock = self._clock or LoopClock(asyncio.get_running_loop())
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_MOST_BYTES)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        for task, writer in self._open.items():
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection until one side ends it."""
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        self.connections += 1
        number = self.connections
        try:
            while await self._write(await self._read(reader, number), reader, writer):
                pass
        except (asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            pass  # the client left, or the server closes
        finally:
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()
            for request in self.requests:
                if request.connection == number:
                    request.closed_at = self.clock.now()
                    request.closed.set()
            del self._open[task]

    async def _read(self, reader: asyncio.StreamReader, connection: int) -> RecordedRequest:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = [line.partition(":") for line in lines[1:] if line]
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        number, path = len(self.requests) + 1, lines[0].split(" ")[1]
        self.requests.append(RecordedRequest(number, connection, self.clock.now(), path, headers, raw))
        self._arrival.set()
        return self.requests[-1]

    async def _write(
        self, request: RecordedRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer a request. Return True if the connection stays open."""
        response = self._replies[min(request.number, len(self._replies)) - 1](request)
        writer.write(response.head())
        for part in islice(response.parts, response.after):
            if response.every:
                await pause(self.clock, response.every)
            writer.write(response.framed(part))
            await writer.drain()
        if response.after is None and response.framing == "chunked":
            writer.write(b"0\r\n\r\n")
        request.is_answered = response.after is None and response.end in ("keep", "close")
        await writer.drain()
        if response.end == "hang":
            await reader.read()
        if response.end == "reset":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()
        return response.end == "keep" and response.framing in ("length", "chunked")
