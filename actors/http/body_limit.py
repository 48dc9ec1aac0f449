"""Limits on the body of a request: its size, and the time that the application waits for it."""

import asyncio
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from protocols.clock import Clock

MOST_BYTES: Final = 1_000_000
"""Bytes of a body."""
PATIENCE: Final = 10.0
"""Seconds that the application waits for one body altogether."""
TOO_LARGE: Final = 413
"""Status of a refused size."""
TOO_SLOW: Final = 408
"""Status of a body that takes too long."""


class BodyLimit:
    """Middleware that answers 413 to a body that is too large, and 408 to one that comes too slowly.

    An announced length is refused before the body is read. A body in pieces is refused at the piece that exceeds the
    limit. Time counts only while the application waits for the client. The connection is closed after the answer.

    Example:
        ```python
        app.add_middleware(BodyLimit, max_bytes=100_000)
        ```
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int = MOST_BYTES, timeout: float = PATIENCE) -> None:
        """Check the limits.

        Args:
            app: the application to protect.
            max_bytes: bytes of one body.
            timeout: seconds that the application waits for one body.

        Raises:
            ValueError: a limit is negative, or the time is not positive.
        """
        if max_bytes < 0 or not timeout > 0:
            message = f"BodyLimit: max_bytes must be >= 0 and timeout > 0 seconds, not {max_bytes!r} and {timeout!r}"
            raise ValueError(message)
        self._app = app
        self._max_bytes = max_bytes
        self._timeout = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = LimitedBody(scope, receive, max_bytes=self._max_bytes, timeout=self._timeout)
        is_answered = False

        async def answer(message: Message) -> None:
            nonlocal is_answered
            is_answered = True
            await send(message)

        try:
            body.check_length()
            await self._app(scope, body.receive, answer)
        except HTTPException as error:
            if error is not body.refused or is_answered:
                raise
            await JSONResponse({"detail": error.detail}, error.status_code, error.headers)(scope, receive, send)


class LimitedBody:
    """The body of one request, counted and timed while the application reads it with `receive`."""

    def __init__(
        self, scope: Scope, receive: Receive, *, max_bytes: int, timeout: float, clock: Clock | None = None
    ) -> None:
        """Wrap the body of a request.

        Args:
            scope: the request.
            receive: returns the next message of the server.
            max_bytes: bytes of the body.
            timeout: seconds that `receive` waits altogether.
            clock: measures the time; that of the event loop by default.
        """
        self.refused: HTTPException | None = None
        """The error of `check_length` or `receive`. Each later call raises it again."""
        self._scope = scope
        self._receive = receive
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._clock = clock
        self._size = 0
        self._waited = 0.0
        self._is_complete = False

    def check_length(self) -> None:
        """Compare the announced length with the limit.

        Raises:
            HTTPException: the body is too large (413).
        """
        for name, value in self._scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value[:20]) > self._max_bytes:
                raise self._too_large()

    async def receive(self) -> Message:
        """Return the next message.

        Raises:
            HTTPException: the body is too large (413), or too slow (408).
        """
        if self.refused is not None:
            raise self.refused
        if self._is_complete:
            return await self._receive()
        message = await self._next()
        self._size += len(message.get("body", b""))
        if self._size > self._max_bytes:
            raise self._too_large()
        self._is_complete = not message.get("more_body", False)
        return message

    async def _next(self) -> Message:
        loop = asyncio.get_running_loop()
        now = loop.time if self._clock is None else self._clock.now
        began = now()
        limit = asyncio.timeout(None)
        left = max(0.0, self._timeout - self._waited)
        timer = (self._clock or loop).call_later(left, lambda: limit.reschedule(loop.time()))
        try:
            async with limit:
                return await self._receive()
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise self._refuse(TOO_SLOW, f"the body did not come within {self._timeout:g} seconds") from error
        finally:
            timer.cancel()
            self._waited += now() - began

    def _too_large(self) -> HTTPException:
        return self._refuse(TOO_LARGE, f"the body is larger than {self._max_bytes} bytes")

    def _refuse(self, status: int, message: str) -> HTTPException:
        self.refused = HTTPException(status, message, {"connection": "close"})
        return self.refused
