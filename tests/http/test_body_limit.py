"""Bodies that are too large or come too slowly, on a real server and message by message."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from actors.web import BodyLimit, CancelOnDisconnect
from tests.web.server import request_bytes, serve_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.types import Message, Receive, Scope, Send

LIMIT = 1_000


async def size(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def ignore(_request: Request) -> Response:
    return PlainTextResponse("ignored")


def starlette(**limits: Any) -> Starlette:
    app = Starlette(routes=[Route("/size", size, methods=["POST"]), Route("/ignore", ignore, methods=["POST"])])
    app.add_middleware(BodyLimit, max_bytes=LIMIT, **limits)
    return app


def fastapi(**limits: Any) -> FastAPI:
    app = FastAPI()

    @app.post("/size")
    async def length(body: dict[str, str]) -> int:
        return len(body["text"])

    app.add_middleware(BodyLimit, max_bytes=LIMIT, **limits)
    return app


async def pieces(count: int, of: int = 100) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * of


@pytest.mark.parametrize("number", [0, LIMIT - 1, LIMIT])
async def test_a_body_within_the_limit_passes(number: int) -> None:
    async with serve_app(starlette()) as stage, stage.client() as http:
        known = await http.post("/size", content=b"x" * number)
        chunked = await http.post("/size", content=pieces(number, of=1))

    assert (known.text, chunked.text) == (str(number), str(number))


@pytest.mark.parametrize("make", [starlette, fastapi])
async def test_a_body_that_says_it_is_too_large_is_refused_unread(make: Any) -> None:
    head = request_bytes("POST", "/size", Content_Length=str(10**9))
    async with serve_app(make()) as stage, stage.raw(head) as (reader, _):
        answer = await asyncio.wait_for(reader.read(), 20)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer
    assert answer.endswith(b'{"detail":"the body is larger than 1000 bytes"}')


@pytest.mark.parametrize("make", [starlette, fastapi])
@pytest.mark.parametrize("cancels", [True, False])
async def test_a_body_in_pieces_is_refused_when_it_has_grown_too_large(make: Any, cancels: bool) -> None:
    app = make()
    if cancels:
        app.add_middleware(CancelOnDisconnect)
    head = request_bytes("POST", "/size", Transfer_Encoding="chunked", Content_Type="application/json")
    async with serve_app(app) as stage, stage.raw(head) as (reader, writer):
        writer.write((b"64\r\n" + b"x" * 100 + b"\r\n") * 11)  # and it never ends
        answer = await asyncio.wait_for(reader.read(), 20)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer
    assert b"larger than 1000 bytes" in answer


@pytest.mark.parametrize("make", [starlette, fastapi])
async def test_a_body_that_does_not_come_is_refused(make: Any) -> None:
    head = request_bytes("POST", "/size", b"{", Content_Length="100", Content_Type="application/json")
    async with serve_app(make(timeout=0.05)) as stage, stage.raw(head) as (reader, _):
        answer = await asyncio.wait_for(reader.read(), 20)

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"within 0.05 seconds" in answer


async def test_an_application_that_does_not_read_is_not_disturbed() -> None:
    async with serve_app(starlette(timeout=0.01)) as stage, stage.client() as http:
        assert (await http.post("/ignore", content=b"x" * LIMIT)).text == "ignored"


# -- message by message ---------------------------------------------------------------------------------------------


def piece(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


SCOPE: Scope = {"type": "http", "headers": []}


class Client:
    """The other end of one request."""

    def __init__(self, *messages: Message) -> None:
        self.messages = list(messages)
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        if not self.messages:
            await asyncio.Event().wait()
        return self.messages.pop(0)

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])


async def read_all(_scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    await PlainTextResponse("read")({"type": "http"}, receive, send)


async def test_an_application_without_a_framework_is_protected_as_well() -> None:
    client = Client(*[piece(b"x" * 100) for _ in range(20)])
    await BodyLimit(read_all, max_bytes=LIMIT)(SCOPE, client.receive, client.send)

    assert client.status == 413
    assert len(client.messages) == 9, "one piece too many was read, and no more"


async def test_the_refusal_stays_however_often_the_body_is_asked_for() -> None:
    seen: list[int] = []

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        for _ in range(3):
            try:
                await receive()
            except Exception as error:
                seen.append(getattr(error, "status_code", 0))

    client = Client(piece(b"x" * 2_000), piece(b"", more=False))
    await BodyLimit(app, max_bytes=LIMIT)(SCOPE, client.receive, client.send)

    assert seen == [413, 413, 413]


async def test_after_the_body_the_client_may_be_waited_for_without_limit() -> None:
    client = Client(piece(b"x", more=False))
    waiting = asyncio.Event()

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        await receive()
        waiting.set()
        await receive()

    handling = asyncio.create_task(BodyLimit(app, timeout=1e-9)(SCOPE, client.receive, client.send))
    await waiting.wait()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not handling.done()
    handling.cancel()
    await asyncio.wait([handling])


async def test_what_is_refused_after_the_answer_began_is_an_error_of_the_application() -> None:
    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await receive()

    client = Client(piece(b"x" * 2_000))
    with pytest.raises(Exception, match="larger than 1000 bytes"):
        await BodyLimit(app, max_bytes=LIMIT)(SCOPE, client.receive, client.send)


async def test_a_time_out_of_the_server_is_not_taken_for_a_slow_body() -> None:
    async def broken() -> Message:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        await BodyLimit(read_all)(SCOPE, broken, Client().send)


async def test_what_is_no_request_passes_through() -> None:
    seen: list[str] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope["type"])

    await BodyLimit(app)({"type": "lifespan"}, Client().receive, Client().send)

    assert seen == ["lifespan"]


@pytest.mark.parametrize("limits", [{"max_bytes": -1}, {"timeout": 0.0}, {"timeout": float("nan")}])
def test_an_impossible_limit_is_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="BodyLimit: max_bytes must be >= 0"):
        BodyLimit(read_all, **limits)
