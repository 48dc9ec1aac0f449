"""`dashboard`: a pool as a web page, an application that other applications can mount."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from actors.config.manifest import secrets_in
from actors.dashboard.actions import Actions
from actors.dashboard.conversations import Conversations
from actors.dashboard.feed import Feed
from actors.dashboard.guard import Guard, check_token, new_token
from actors.http.body_limit import BodyLimit
from actors.http.head_check import known_hosts
from actors.http.server import SERVER_END, private_socket, running_server
from actors.pool.pool import AgentPool
from actors.web.health import check_pool
from protocols.plain_text import one_line
from protocols.redaction import redact

MOST_STREAMS: Final = 32
"""Streams at the same time; further viewers are refused with 503."""
STALLED: Final = 60.0
"""Seconds after which a stream ends whose client takes nothing, such as that of a laptop that sleeps."""
MOST_BODY: Final = 100_000
"""Bytes of the body of an action."""
_TYPES: Final[Mapping[str, str]] = {
    "html": "text/html; charset=utf-8", "js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml", "json": "application/json", "txt": "text/plain; charset=utf-8", "png": "image/png",
}  # fmt: skip


def dashboard(
    pool: AgentPool[Any], *, token: str | None = None, hosts: Iterable[str] = (), can_act: bool = True
) -> Starlette:
    """Return an application that shows a pool, live. It may be mounted below any path.

    It works only while someone looks. It belongs on the event loop of the pool; a pool that does not run is answered
    with 503.

    Args:
        pool: the pool.
        token: what viewers must know: they open the page once with ``?token=...``; None for a new one, which
            ``state.token`` of the application tells.
        hosts: names in the Host header that are answered, apart from ``localhost`` and addresses.
        can_act: False for a page that only shows: all actions are refused with 403.

    Raises:
        ValueError: the token has less than 16 characters or others than those of ASCII, or a host is more than a name.

    Example:
        ```python
        app = Starlette(lifespan=lifespan(pool), routes=[Mount("/agents", dashboard(pool, token=secret))])
        ```
    """
    given = new_token() if token is None else check_token(token)
    app = _application(pool, can_act, Middleware(Guard, token=given, hosts=known_hosts(hosts)))
    app.state.token = given
    return app


@asynccontextmanager
async def serve_monitor(
    pool: AgentPool[Any], path: Path | str, *, reason: Callable[[], str] = str
) -> AsyncGenerator[None]:
    """Let `understage top`, `approvals`, `approve` and `deny` reach a running pool, until the end of the block.

    The dashboard of the pool is served at a path that only the user of this process can open (mode 0600), which takes
    the place of the token. It works only while someone looks.

    Args:
        pool: the pool, on the running event loop.
        path: of the socket; one that a killed process has left there is replaced.
        reason: called at the end of the block; `understage top` shows the text as the reason of the end.

    Raises:
        OSError: the socket cannot be made there, or another process uses it.

    Example:
        ```python
        async with AgentPool(manifest) as pool, serve_monitor(pool, "/run/shop/pool.sock"):
            await serve_customers(pool)
        ```
    """
    with private_socket(Path(path)) as opened:
        app = _application(pool, can_act=True, guard=Middleware(Guard, token=None), reason=reason)
        async with running_server(app, opened, grace=1):
            yield


def _application(pool: AgentPool[Any], can_act: bool, guard: Middleware, reason: Callable[[], str] = str) -> Starlette:
    check_pool(pool, "the dashboard")
    redact.learn_environment()
    redact.learn(secrets_in(pool.manifest))
    feed = Feed(pool, can_act=can_act)
    page = _Page(pool, feed, reason)
    routes = [
        Route("/", page.index, methods=["GET"]),
        Route("/static/{path:path}", page.static, methods=["GET"]),
        Route("/api/stream", page.stream, methods=["GET"]),
        *Conversations(pool).routes(),
        *Actions(pool, can_act=can_act, replayed=feed.read_dead_letters).routes(),
    ]
    app = Starlette(routes=routes, middleware=[guard, Middleware(BodyLimit, max_bytes=MOST_BODY)])
    app.state.feed = feed
    return app


class _Page:
    """The page, its files, and its stream."""

    def __init__(self, pool: AgentPool[Any], feed: Feed, reason: Callable[[], str]) -> None:
        self._pool = pool
        self._feed = feed
        self._reason = reason

    @cached_property
    def _files(self) -> dict[str, bytes]:
        return dict(_all_files(files("actors.dashboard") / "static"))

    async def index(self, _request: Request) -> Response:
        return self._file("index.html")

    async def static(self, request: Request) -> Response:
        return self._file(request.path_params["path"])

    def _file(self, path: str) -> Response:
        data = self._files.get(path)
        if data is None:
            return JSONResponse({"error": "there is no such file"}, 404)
        return Response(data, media_type=_TYPES.get(path.rpartition(".")[2], "application/octet-stream"))

    async def stream(self, request: Request) -> Response:
        if not self._pool.is_open:
            return JSONResponse({"error": f"pool {self._pool.name!r} does not run"}, 503)
        if self._feed.viewers >= MOST_STREAMS:
            return JSONResponse({"error": f"{MOST_STREAMS} viewers look already; close one of their tabs"}, 503)
        return _Stream(_told(self._feed, request.scope, self._reason), media_type="text/event-stream")


class _Stream(StreamingResponse):
    """A stream that is closed when its client has gone or takes nothing any more, also in the midst of a message."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def taken(message: Message) -> None:
            async with asyncio.timeout(STALLED):
                await send(message)

        told: Any = self.body_iterator
        try:
            with suppress(TimeoutError, ClientDisconnect):
                await super().__call__(scope, receive, taken)
        finally:
            await told.aclose()


async def _told(feed: Feed, scope: Mapping[str, Any], reason: Callable[[], str]) -> AsyncGenerator[bytes]:
    """Yield what one viewer is told, until the server ends, and at last why."""
    end: asyncio.Event | None = scope.get("extensions", {}).get(SERVER_END)
    viewer = feed.join()
    ending = None if end is None else asyncio.create_task(end.wait(), name="dashboard stream end")
    try:
        if ending is not None:
            ending.add_done_callback(lambda _: viewer.end())
        async for message in viewer.messages():
            yield message
        if end is not None and end.is_set() and (why := one_line(redact(reason()))):
            yield f"event: end\nreason: {why}\n\n".encode()
    finally:
        feed.leave(viewer)
        if ending is not None:
            ending.cancel()


def _all_files(folder: Traversable, below: str = "") -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.is_dir():
            found += _all_files(entry, f"{below}{entry.name}/")
        else:
            found.append((f"{below}{entry.name}", entry.read_bytes()))
    return found
