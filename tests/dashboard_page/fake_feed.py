"""A server that speaks the contract of the dashboard, whose every message a test decides."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

import actors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.requests import Request

    Row = dict[str, Any]
    Rows = Mapping[str, Row]

STATIC = Path(actors.__file__).parent / "dashboard" / "static"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PART_ROWS = 500


class FakeFeed:
    """The tables, the streams that are open, and what the page has asked for."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Row]] = {}
        self.seq = 0
        self.opened = 0
        self.refusal = 0
        self.posts: list[tuple[str, Any]] = []
        self.answer: tuple[int, Row] = (200, {"ok": True, "text": "done"})
        self.conversations: list[Row] = []
        self.messages: list[Row] = []
        self.queries: list[str] = []
        self._streams: list[asyncio.Queue[bytes | None]] = []

    @property
    def open_streams(self) -> int:
        return len(self._streams)

    def put(self, **tables: Rows) -> None:
        """Set rows, and tell it to every stream as one delta."""
        for name, rows in tables.items():
            self.tables.setdefault(name, {}).update(rows)
        self.send({name: {"set": dict(rows)} for name, rows in tables.items()})

    def remove(self, table: str, *keys: str) -> None:
        for key in keys:
            del self.tables[table][key]
        self.send({table: {"set": {}, "gone": list(keys)}})

    def send(self, changes: Row) -> None:
        self.seq += 1
        for stream in self._streams:
            stream.put_nowait(_frame("delta", self.seq, changes))

    def snapshot(self) -> None:
        """Send everything anew, as to a client that was too slow."""
        for stream in self._streams:
            for frame in self._snapshot():
                stream.put_nowait(frame)

    def lose(self) -> None:
        """Count a message that no stream gets: a gap for each."""
        self.seq += 1

    def hang_up(self) -> None:
        for stream in self._streams:
            stream.put_nowait(None)

    def app(self) -> Starlette:
        routes = [
            Route("/", self._page),
            Route("/api/stream", self._stream),
            Route("/api/conversations", self._conversations),
            Route("/api/conversations/{id:path}", self._transcript),
            Route("/api/{action:path}", self._post, methods=["POST"]),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]
        return Starlette(routes=[Mount("/board", _protected(Starlette(routes=routes)))])

    async def _page(self, request: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def _stream(self, request: Request) -> Response:
        self.opened += 1
        if self.refusal:
            return Response(status_code=self.refusal)
        return StreamingResponse(self._frames(), media_type="text/event-stream")

    async def _frames(self) -> AsyncIterator[bytes]:
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._streams.append(queue)
        try:
            yield b"retry: 1000\n\n: hello\n\n"
            for frame in self._snapshot():
                yield frame
            while (told := await queue.get()) is not None:
                yield told
        finally:
            self._streams.remove(queue)

    def _snapshot(self) -> list[bytes]:
        parts = _parts(self.tables)
        return [_frame("snapshot", self.seq, part, part=n, parts=len(parts)) for n, part in enumerate(parts)]

    async def _conversations(self, request: Request) -> Response:
        self.queries.append(request.query_params["query"])
        wanted = request.query_params["query"].lower()
        found = [row for row in self.conversations if wanted in row["title"].lower()]
        return JSONResponse({"conversations": found, "more": False})

    async def _transcript(self, request: Request) -> Response:
        return JSONResponse({"id": request.path_params["id"], "messages": self.messages})

    async def _post(self, request: Request) -> Response:
        raw = request.scope["raw_path"].decode().partition("/api/")[2]
        self.posts.append((raw, await request.json()))
        status, told = self.answer
        return JSONResponse(told, status)


def _protected(app: Any) -> Any:
    """Add the headers of the contract to every answer."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                extra = {"content-security-policy": POLICY, "x-content-type-options": "nosniff"}
                message["headers"] += [(name.encode(), value.encode()) for name, value in extra.items()]
            await send(message)

        await app(scope, receive, with_headers)

    return answer


def _parts(tables: Mapping[str, Rows]) -> list[Row]:
    parts: list[Row] = []
    for name, rows in tables.items():
        keys = list(rows)
        slices = (keys[start : start + PART_ROWS] for start in range(0, len(keys), PART_ROWS))
        parts += [{name: {"set": {key: rows[key] for key in some}}} for some in slices]
    return parts or [{}]


def _frame(event: str, seq: int, tables: Row, *, part: int = 0, parts: int = 1) -> bytes:
    message = {"seq": seq, "now": time.time(), "tables": tables, "part": part, "parts": parts}
    return f"event: {event}\ndata: {json.dumps(message)}\n\n".encode()
