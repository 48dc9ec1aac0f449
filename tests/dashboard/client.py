"""A client of the dashboard of a pool on a real server, and its stream read by hand."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2

from actors.dashboard import dashboard
from actors.http import bind, running_server
from tests.support.waiting import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

    from starlette.types import ASGIApp

    from actors.dashboard.feed import Feed
    from actors.pool.pool import AgentPool

TOKEN = "a-token-of-this-test"


class Site:
    """A served dashboard and a client that holds the token."""

    def __init__(
        self, http: httpx2.AsyncClient, port: int, base: str, feed: Feed, stop: Callable[[], Awaitable[None]]
    ) -> None:
        self.http = http
        self.port = port
        self.base = base
        self.feed = feed
        self.stop = stop
        """Ends the server."""

    async def post(self, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, Any]]:
        """Do an action as the page does it."""
        origin = {"origin": f"http://127.0.0.1:{self.port}", **headers}
        answer = await self.http.post(f"{self.base}/api/{path}", json=body or {}, headers=origin)
        return answer.status_code, answer.json()

    @asynccontextmanager
    async def stream(self) -> AsyncGenerator[Frames]:
        """Open the stream."""
        async with self.http.stream("GET", f"{self.base}/api/stream") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream"), await answer.aread()
            yield Frames(answer.aiter_lines())


class Frames:
    """The frames of a stream, read one by one, and what they add up to."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines
        self.tables: dict[str, dict[str, Any]] = {}
        self.seqs: list[int] = []
        self.sizes: list[int] = []

    async def next(self) -> tuple[str, dict[str, Any]]:
        """Return the next frame: its event and its data."""
        event = ""
        async with asyncio.timeout(TIMEOUT):
            async for line in self._lines:
                name, _, value = line.partition(": ")
                if name == "event":
                    event = value
                elif name == "data":
                    data = json.loads(value)
                    self._apply(event, data)
                    return event, data
        raise EOFError

    def _apply(self, event: str, data: dict[str, Any]) -> None:
        if event == "snapshot" and not data["part"]:
            self.tables = {}
        self.seqs.append(data["seq"])
        self.sizes.append(sum(len(change["set"]) for change in data["tables"].values()))
        for name, change in data["tables"].items():
            table = self.tables.setdefault(name, {})
            table.update(change["set"])
            for key in change["gone"]:
                table.pop(key, None)

    async def until(self, condition: Callable[[dict[str, Any]], object]) -> dict[str, dict[str, Any]]:
        """Read frames until the tables meet a condition; return them."""
        async with asyncio.timeout(TIMEOUT):
            while not self.tables or not condition(self.tables):
                await self.next()
        return self.tables


@asynccontextmanager
async def site(
    pool: AgentPool[Any],
    *,
    wrap: Callable[[ASGIApp], ASGIApp] | None = None,
    base: str = "",
    grace: int = 1,
    **options: Any,
) -> AsyncGenerator[Site]:
    """Serve the dashboard of a pool that runs."""
    options.setdefault("token", TOKEN)
    app = dashboard(pool, **options)
    opened = bind("127.0.0.1", 0)
    port = opened.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    async with httpx2.AsyncClient(base_url=url, timeout=TIMEOUT, trust_env=False) as http, AsyncExitStack() as stack:
        await stack.enter_async_context(running_server(app if wrap is None else wrap(app), opened, grace=grace))
        await http.get(f"{base}/?token={app.state.token}")
        yield Site(http, port, base, app.state.feed, stack.aclose)
