"""Heads that are too large or ambiguous, at whatever application."""

from __future__ import annotations

import asyncio

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from actors.http import bind, running_server


async def answer(_request: object) -> Response:
    return PlainTextResponse("here")


async def answer_to(*headers: str) -> bytes:
    app = Starlette(routes=[Route("/", answer, methods=["POST"])])
    with bind("127.0.0.1", 0) as opened:
        port = opened.getsockname()[1]
        async with running_server(app, opened, grace=1):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write("\r\n".join(["POST / HTTP/1.1", "Host: x", "Connection: close", *headers, "", ""]).encode())
            try:
                return await asyncio.wait_for(reader.read(), 20)
            finally:
                writer.close()


@pytest.mark.parametrize(
    ("headers", "start"),
    [
        ([], b"HTTP/1.1 200"),
        ([f"h{number}: x" for number in range(98)], b"HTTP/1.1 200"),
        ([f"h{number}: x" for number in range(99)], b"HTTP/1.1 431"),
        (["Content-Length: 5", "Transfer-Encoding: chunked"], b"HTTP/1.1 400"),
    ],
)
async def test_a_head_is_answered_or_refused(headers: list[str], start: bytes) -> None:
    assert (await answer_to(*headers)).startswith(start)
