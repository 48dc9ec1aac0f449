"""Cancel requests of disconnected clients, and with them the runs that they wait for."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_GONE = "http.disconnect"


class CancelOnDisconnect:
    """Middleware that cancels the handling of a request when its client closes the connection before the answer.

    Otherwise a web framework finishes the request, and tokens are paid for an answer without a reader. Work after the
    answer (background tasks of Starlette) is not cancelled, nor are runs that the handler does not wait for.

    Example:
        ```python
        app.add_middleware(CancelOnDisconnect)
        ```
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange, limit = _Exchange(receive, send), asyncio.timeout(None)
        try:
            async with limit:
                watch = asyncio.create_task(exchange.watch(limit), name="client of a request")
                try:
                    await self._app(scope, exchange.receive, exchange.send)
                finally:
                    watch.cancel()
                    await asyncio.wait([watch])
        except TimeoutError:
            if not limit.expired():
                raise


class _Exchange:
    """The messages of one request, read ahead to notice the end of the connection: at most one piece of the body."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._queue: asyncio.Queue[Message | Exception] = asyncio.Queue()
        self._is_answered = False

    async def watch(self, limit: asyncio.Timeout) -> None:
        """Read until the client disconnects; then let the limit expire, unless the answer is complete."""
        try:
            while (message := await self._receive())["type"] != _GONE:
                self._queue.put_nowait(message)
                if message.get("more_body", False):
                    await self._queue.join()
        except Exception as error:  # `receive` raises it
            self._queue.put_nowait(error)
            return
        self._queue.put_nowait(message)
        if not self._is_answered:
            limit.reschedule(asyncio.get_running_loop().time())

    async def receive(self) -> Message:
        """Return the next message to the application."""
        message = await self._queue.get()
        self._queue.task_done()
        if isinstance(message, Exception):
            self._queue.put_nowait(message)  # every time
            raise message
        if message["type"] == _GONE:
            self._queue.put_nowait(message)
        return message

    async def send(self, message: Message) -> None:
        """Send a message of the application."""
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._is_answered = True
        await self._send(message)
