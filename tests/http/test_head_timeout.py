"""Clients that do not say what they want in time."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from actors.http.head_timeout import LimitedProtocol
from tests.web.server import request_bytes, serve_app

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request

    from tests.web.server import RunningServer

GET = request_bytes("GET", "/")


@asynccontextmanager
async def hasty(
    release: asyncio.Event | None = None, begun: asyncio.Event | None = None
) -> AsyncGenerator[RunningServer]:
    """A server that waits a moment for the head of a request."""

    async def answer(_request: Request) -> Response:
        if begun is not None:
            begun.set()
        if release is not None:
            await release.wait()
        return PlainTextResponse("here")

    class Hasty(LimitedProtocol):
        patience = 0.05

    async with serve_app(Starlette(routes=[Route("/", answer)]), http=Hasty) as stage:
        yield stage


@pytest.mark.parametrize("sent", [b"", b"GET / HT", GET[:-2], GET + b"GET /again"])
async def test_a_head_that_does_not_come_ends_the_connection(sent: bytes) -> None:
    async with hasty() as stage, stage.raw(sent) as (reader, _):
        answer = await asyncio.wait_for(reader.read(), 20)

    assert answer.startswith(b"HTTP/1.1 200") == sent.startswith(GET)
    assert (b"HTTP/1.1 408" in answer) == (sent not in {b"", GET})


async def test_a_request_in_hand_may_take_its_time() -> None:
    release, begun = asyncio.Event(), asyncio.Event()
    async with hasty(release, begun) as stage, stage.raw(GET) as (reader, _):
        await begun.wait()
        connection = cast("LimitedProtocol", next(iter(stage.server.server_state.connections)))
        assert not connection.is_waiting
        release.set()
        answer = await asyncio.wait_for(reader.readuntil(b"here"), 20)

    assert answer.startswith(b"HTTP/1.1 200")
