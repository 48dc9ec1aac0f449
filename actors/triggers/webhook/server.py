"""The webhook trigger: one server for all webhooks of a port, owned by one supervised actor."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import h11
import uvicorn
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from actors.triggers.source import TriggerSource
from actors.triggers.webhook.decision import (
    COMPRESSED,
    HEAD_TOO_LARGE,
    TOO_LARGE,
    TOO_MANY,
    TOO_SLOW,
    TWO_LENGTHS,
    WRONG_METHOD,
    Answer,
    WebhookDesk,
)
from protocols.triggers import TriggerError

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from starlette.types import Message, Receive, Scope, Send

    from actors.runtime.clock import Clock, TimerHandle
    from actors.triggers.webhook.decision import Webhook
    from actors.triggers.webhook.signature import Headers

MOST_CONNECTIONS: Final = 1_000
"""Connections that are open at the same time; further ones are closed at once."""
MOST_REQUESTS: Final = 100
"""Requests whose bodies are read at the same time; further ones are answered with 429."""
BACKLOG: Final = 1_024
"""Connections that wait to be taken."""
HEADER_BYTES: Final = 16_384
"""Most bytes of request line and headers together."""
MOST_HEADERS: Final = 100
"""Headers of one request."""
MOST_THROWN_AWAY: Final = 16_000_000
"""Bytes of a refused body that are read all the same: most clients look for an answer only when they have sent all."""
GRACE: Final = 2
"""Seconds that requests in hand have to end when the server stops."""


class WebhookSite:
    """Where a server listens, and for which webhooks; it outlives restarts of the server."""

    def __init__(self, host: str, port: int, desk: WebhookDesk) -> None:
        """Take address and webhooks; port 0 takes any free one, and the same one again after a restart."""
        self.host = host
        self.port = port
        """The port; 0 until the server has listened for the first time, if any will do."""
        self.desk = desk
        self.requests = 0
        """Requests that were answered."""

    @property
    def url(self) -> str:
        """Where it is reached."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def bind(self) -> socket.socket:
        """Open the port.

        Raises:
            TriggerError: It is taken, not permitted, or no address of this machine.
        """
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        # With the protocol named, asyncio switches off the delay of small packets; else each answer takes 40 ms.
        opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            if os.name == "posix":
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind((self.host, self.port))
            opened.listen(BACKLOG)
        except OSError as error:
            opened.close()
            why = error.strerror or str(error)
            msg = f"webhooks cannot listen on {self.url}: {why}; stop what uses it, or choose another port"
            raise TriggerError(msg) from error
        self.port = int(opened.getsockname()[1])
        return opened


class WebhookServer(TriggerSource):
    """Owns the server of a port. It listens beside its start, so it holds up nobody."""

    def __init__(self, site: WebhookSite, webhooks: Sequence[Webhook]) -> None:
        super().__init__([webhook.trigger for webhook in webhooks])
        self._site = site

    async def observe(self) -> None:
        """Listen until cancelled; then requests in hand are answered and everything is closed."""
        opened = self._site.bind()
        try:
            server = _Server(_config(self._site, self.system.clock))
            serving = asyncio.ensure_future(server.serve(sockets=[opened]))
            serving.add_done_callback(lambda _: server.listening.set())
            try:
                await server.listening.wait()
                self.established()
                await asyncio.shield(serving)
            finally:
                server.stop()
                await serving
        finally:
            opened.close()


class _Server(uvicorn.Server):
    """A server that leaves the signals alone and sleeps until it is told to end."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self._exit = asyncio.Event()

    def stop(self) -> None:
        self.should_exit = True
        self.listening.set()
        self._exit.set()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def main_loop(self) -> None:
        await self.on_tick(0)
        self.listening.set()
        await self._exit.wait()


_SLOW_HEAD: Final = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(TOO_SLOW.body), TOO_SLOW.body)
)


class _Connection(H11Protocol):
    """A connection that is closed when the head of a request takes too long, or when there are too many."""

    clock: Clock
    timeout: float

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.access_log = False
        self._deadline: TimerHandle | None = None
        self._thrown_away = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
            return
        self._arm()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        is_in_hand = bool(self.cycle) and not self.cycle.response_complete
        if is_in_hand:
            self._disarm()
            self._thrown_away = 0
            return
        self._arm()
        if self.conn.their_state is h11.SEND_BODY:  # the rest of a body that was refused
            self._thrown_away += len(data)
            if self._thrown_away > MOST_THROWN_AWAY:
                self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def _arm(self) -> None:
        if self._deadline is None:
            self._deadline = self.clock.call_later(self.timeout, self._expire)

    def _expire(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            self.transport.write(_SLOW_HEAD)  # part of a head has come; who has sent nothing is told nothing
        self.transport.close()

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _config(site: WebhookSite, clock: Clock) -> uvicorn.Config:
    connection = type("_Connection", (_Connection,), {"clock": clock, "timeout": site.desk.timeout})
    return uvicorn.Config(
        WebhookApp(site, clock),
        http=connection,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        h11_max_incomplete_event_size=HEADER_BYTES,
        timeout_graceful_shutdown=GRACE,
    )


class _DisconnectedError(Exception):
    """The client has gone; there is nobody to answer."""


class WebhookApp:
    """The ASGI application of one server: reads a request within its limits and has the desk answer it."""

    def __init__(self, site: WebhookSite, clock: Clock) -> None:
        """Take the webhooks, and the clock that ends slow requests."""
        self._site = site
        self._clock = clock
        self._reading = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            answer = await self._answer(scope, receive)
        except _DisconnectedError:
            return
        headers = {name.decode(): value.decode() for name, value in answer.headers}
        response = Response(answer.body, answer.status, headers, media_type="application/json")
        self._site.requests += 1
        await response(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        refused = self._refused(scope)
        if refused is not None:
            return refused
        self._reading += 1
        try:
            body = await self._read(receive)
        except TimeoutError:
            return TOO_SLOW
        finally:
            self._reading -= 1
        if body is None:
            return TOO_LARGE
        return self._site.desk.answer(scope["path"], scope["headers"], body)

    def _refused(self, scope: Scope) -> Answer | None:
        """Return why the body is not even read; the same for all paths."""
        headers: Headers = scope["headers"]
        if len(headers) > MOST_HEADERS or sum(len(name) + len(value) for name, value in headers) > HEADER_BYTES:
            return HEAD_TOO_LARGE
        if {b"content-length", b"transfer-encoding"} <= {name for name, _ in headers}:
            return TWO_LENGTHS
        if scope["method"] != "POST":
            return WRONG_METHOD
        if any(name == b"content-encoding" and value.strip().lower() != b"identity" for name, value in headers):
            return COMPRESSED
        if _announced(headers) > self._site.desk.max_bytes:
            return TOO_LARGE
        return TOO_MANY if self._reading >= MOST_REQUESTS else None

    async def _read(self, receive: Receive) -> bytes | None:
        """Return the whole body, None if it is too large; both limits hold while it comes in."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(None) as limit:
            timer = self._clock.call_later(self._site.desk.timeout, lambda: limit.reschedule(loop.time()))
            try:
                return await self._collect(receive)
            finally:
                timer.cancel()

    async def _collect(self, receive: Receive) -> bytes | None:
        parts: list[bytes] = []
        size = 0
        while True:
            message: Message = await receive()
            if message["type"] == "http.disconnect":
                raise _DisconnectedError
            part: bytes = message.get("body", b"")
            size += len(part)
            if size > self._site.desk.max_bytes:
                return None
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts)


def _announced(headers: Headers) -> int:
    """Return the length that the request says it has; 0 for none. The parser has checked that it is a number."""
    return max((int(value) for name, value in headers if name == b"content-length"), default=0)
