"""Connections with limits: heads that are clear, small and in time, no endless refused body, not too many at once."""

import asyncio
from typing import Any, Final

import h11
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from protocols.clock import Clock, TimerHandle

HEADER_BYTES: Final = 16_384
"""Bytes of request line and headers together."""
MOST_HEADERS: Final = 100
"""Headers of one request."""
HEAD_PATIENCE: Final = 10.0
"""Seconds from the beginning of a connection, or the end of an answer, to the end of the next head."""
MOST_THROWN_AWAY: Final = 16_000_000
"""Bytes of a refused body that the server still reads: most clients look for an answer only after the last byte."""
_TOO_SLOW: Final = b'{"error":"the request took too long to arrive"}'
_SLOW_HEAD: Final = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(_TOO_SLOW), _TOO_SLOW)
)


class HeadLimit:
    """Middleware that answers 431 to too many headers, and 400 to a request with both a length and chunks."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        refused = _refused(scope["headers"]) if scope["type"] == "http" else None
        await (refused or self._app)(scope, receive, send)


def _refused(headers: list[tuple[bytes, bytes]]) -> JSONResponse | None:
    if len(headers) > MOST_HEADERS or sum(len(name) + len(value) for name, value in headers) > HEADER_BYTES:
        return _answer(431, "the headers are too large")
    if {b"content-length", b"transfer-encoding"} <= {name for name, _ in headers}:  # a second request may hide there
        return _answer(400, "a length and chunks do not go together")
    return None


def _answer(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": message}, status, {"connection": "close"})


class LimitedProtocol(H11Protocol):
    """uvicorn's protocol, which closes a connection whose next head takes too long.

    uvicorn alone waits forever for a client that sends nothing, or a byte now and then. A client that has sent a part
    of a head is answered with 408; a silent client gets no answer.
    """

    patience = HEAD_PATIENCE
    """Seconds that a head may take."""
    most_connections: int | None = None
    """Open connections; the server closes further ones at once. None for no limit."""
    clock: Clock | None = None
    """Measures `patience`; the event loop by default."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.app = HeadLimit(self.app)
        self.access_log = self.access_log and self.config.access_log
        self._deadline: TimerHandle | None = None
        self._is_over = False
        self._thrown_away = 0

    @property
    def is_waiting(self) -> bool:
        """True while the connection waits for the head of a request."""
        return self._deadline is not None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first head, unless there are too many connections."""
        super().connection_made(transport)
        if self.most_connections is not None and len(self.connections) > self.most_connections:
            transport.abort()
            return
        self._look()

    def data_received(self, data: bytes) -> None:
        """Stop the wait when a request is complete; count what follows a refused one."""
        super().data_received(data)
        self._look()
        if self._deadline is not None and self.conn.their_state is h11.SEND_BODY:
            self._thrown_away += len(data)
            if self._thrown_away > MOST_THROWN_AWAY:
                self.transport.close()

    def on_response_complete(self) -> None:
        """Wait for the next head."""
        super().on_response_complete()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the wait."""
        self._is_over = True
        self._look()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection to another protocol."""
        self._is_over = True
        self._look()
        super().handle_websocket_upgrade(event)

    def _look(self) -> None:
        """Start the wait for a head, or stop it."""
        is_answering = bool(self.cycle) and not self.cycle.response_complete
        if is_answering:
            self._thrown_away = 0
        if is_answering or self._is_over:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None
        elif self._deadline is None:
            self._deadline = (self.clock or self.loop).call_later(self.patience, self._expire)

    def _expire(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            self.transport.write(_SLOW_HEAD)
        self.transport.close()
