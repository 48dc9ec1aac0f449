"""Requests whose heads are too large, or ambiguous about the length of the body, never reach the application."""

from typing import Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

HEADER_BYTES: Final = 16_384
"""Bytes of request line and headers together."""
MOST_HEADERS: Final = 100
"""Headers of one request."""


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
