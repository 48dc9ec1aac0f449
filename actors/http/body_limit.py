"""Requests whose bodies are too large, or come too slowly, are refused before they fill the memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES: Final = 1_000_000
"""Bytes of a body."""
PATIENCE: Final = 10.0
"""Seconds that reading a body may wait for the client altogether."""
_TOO_LARGE: Final = 413
_TOO_SLOW: Final = 408


class BodyLimit:
    """Middleware that answers 413 to a body that is too large, and 408 to one that comes too slowly.

    A body whose length is announced is refused before any of it is read, one that comes in pieces as soon as it has
    grown too large; at most one piece too many is held. Time counts only while the application waits for the client.
    The connection is closed after the answer.

    Example:
        ```python
        app.add_middleware(BodyLimit, max_bytes=100_000)
        ```
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int = MOST_BYTES, timeout: float = PATIENCE) -> None:
        """Take the application.

        Args:
            app: what to protect.
            max_bytes: of one body.
            timeout: seconds that one body may keep the application waiting.

        Raises:
            ValueError: a limit is negative, or the time is not positive.
        """
        if max_bytes < 0 or not timeout > 0:
            text = f"BodyLimit: max_bytes must be >= 0 and timeout > 0 seconds, not {max_bytes!r} and {timeout!r}"
            raise ValueError(text)
        self._app = app
        self._max_bytes = max_bytes
        self._timeout = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(receive, send, self._max_bytes, self._timeout)
        if _announced(scope) > self._max_bytes:
            await _refusal(body.too_large())(scope, receive, send)
            return
        try:
            await self._app(scope, body.receive, body.send)
        except HTTPException as error:
            if error is not body.refused or body.is_answered:
                raise
            await _refusal(error)(scope, receive, send)


class _Body:
    """The body of one request, as it is read."""

    def __init__(self, receive: Receive, send: Send, max_bytes: int, timeout: float) -> None:
        self.refused: HTTPException | None = None
        self.is_answered = False
        self._receive = receive
        self._send = send
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._size = 0
        self._waited = 0.0
        self._is_complete = False

    async def receive(self) -> Message:
        if self.refused is not None:
            raise self.refused
        if self._is_complete:
            return await self._receive()
        message = await self._next()
        self._size += len(message.get("body", b""))
        if self._size > self._max_bytes:
            raise self.too_large()
        self._is_complete = not message.get("more_body", False)
        return message

    async def _next(self) -> Message:
        now = asyncio.get_running_loop().time
        began = now()
        limit = asyncio.timeout(max(0.0, self._timeout - self._waited))
        try:
            async with limit:
                return await self._receive()
        except TimeoutError as error:
            if not limit.expired():
                raise
            text = f"the body did not come within {self._timeout:g} seconds"
            raise self._refuse(_TOO_SLOW, text) from error
        finally:
            self._waited += now() - began

    async def send(self, message: Message) -> None:
        self.is_answered = True
        await self._send(message)

    def too_large(self) -> HTTPException:
        return self._refuse(_TOO_LARGE, f"the body is larger than {self._max_bytes} bytes")

    def _refuse(self, status: int, text: str) -> HTTPException:
        self.refused = HTTPException(status, text, {"connection": "close"})
        return self.refused


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0


def _refusal(error: HTTPException) -> JSONResponse:
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)
