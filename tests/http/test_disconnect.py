"""A client that goes away takes its run with it, and nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from actors.testing.models import echo_model, slow_model
from actors.web import CancelOnDisconnect
from tests.support.waiting import wait_until
from tests.web.server import make_app, make_pool, request_bytes, serve_app

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import Message, Receive, Scope, Send

pytestmark = pytest.mark.usefixtures("no_leaked_actors")

POST = request_bytes("POST", "/ask/helper", b"hello", Content_Length="5")


@pytest.mark.parametrize(
    ("request_of_client", "runs"),
    [
        (POST, 1),
        (request_bytes("GET", "/ask/helper?q=hello"), 1),
        (request_bytes("GET", "/ask/both?q=hello"), 2),
        (request_bytes("GET", "/tell?q=hello"), 1),
        (request_bytes("POST", "/ask/helper", b"5\r\nhello\r\n0\r\n\r\n", Transfer_Encoding="chunked"), 1),
    ],
    ids=["post", "get", "team", "stream", "chunked"],
)
async def test_the_run_of_a_client_that_has_gone_is_cancelled(
    tmp_path: Path, request_of_client: bytes, runs: int
) -> None:
    model = slow_model(asyncio.Event())
    pool = make_pool(tmp_path, model)
    async with serve_app(make_app(pool)) as stage:
        async with stage.raw(request_of_client):
            await wait_until(lambda: model.waiting == runs)
            assert model.cancelled == 0
        await wait_until(lambda: model.cancelled == runs)
        await wait_until(lambda: not stage.server.server_state.tasks)

    assert model.waiting == 0


async def test_other_clients_get_their_answers(tmp_path: Path) -> None:
    release = asyncio.Event()
    model = slow_model(release)
    async with serve_app(make_app(make_pool(tmp_path, model))) as stage, stage.client() as http:
        answers = [asyncio.create_task(http.post("/ask/helper", content=f"q{number}")) for number in range(20)]
        async with stage.raw(POST):
            await wait_until(lambda: model.waiting == 21)
        await wait_until(lambda: model.cancelled == 1)
        release.set()
        texts = [(await answer).text for answer in answers]

    assert texts == [f"q{number}" for number in range(20)]
    assert model.cancelled == 1


async def test_concurrent_requests_keep_their_answers_apart(tmp_path: Path) -> None:
    async with serve_app(make_app(make_pool(tmp_path, echo_model()))) as stage, stage.client() as http:
        answers = await asyncio.gather(*(http.post("/ask/helper", content=f"q{n}" * 100) for n in range(100)))

    assert [answer.text for answer in answers] == [f"q{number}" * 100 for number in range(100)]


async def test_a_client_that_has_its_answer_may_go(tmp_path: Path) -> None:
    async with serve_app(make_app(make_pool(tmp_path, echo_model()))) as stage:
        for _ in range(10):
            async with stage.raw(POST) as (reader, _):
                head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")


# -- the middleware alone -------------------------------------------------------------------------------------------


class Client:
    """The other end of one request, message by message."""

    def __init__(self, *messages: Message) -> None:
        self.inbox: asyncio.Queue[Message] = asyncio.Queue()
        self.sent: list[Message] = []
        for message in messages:
            self.inbox.put_nowait(message)

    async def receive(self) -> Message:
        return await self.inbox.get()

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    def leave(self) -> None:
        self.inbox.put_nowait({"type": "http.disconnect"})


def piece(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


SCOPE: Scope = {"type": "http"}


async def test_a_body_is_read_one_piece_ahead_and_no_more() -> None:
    go_on = asyncio.Event()
    seen: list[bytes] = []

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        await go_on.wait()
        while (message := await receive()).get("more_body"):
            seen.append(message["body"])
        seen.append(message["body"])

    client = Client(*(piece(bytes([65 + number]), more=number < 9) for number in range(10)))
    handling = asyncio.create_task(CancelOnDisconnect(app)(SCOPE, client.receive, client.send))
    for _ in range(20):
        await asyncio.sleep(0)
    assert client.inbox.qsize() == 9
    go_on.set()
    await handling

    assert b"".join(seen) == b"ABCDEFGHIJ"


async def test_work_after_the_answer_is_left_alone() -> None:
    done = asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        client.leave()
        for _ in range(20):
            await asyncio.sleep(0)
        done.set()

    client = Client(piece(b"", more=False))
    await CancelOnDisconnect(app)(SCOPE, client.receive, client.send)

    assert done.is_set()


async def test_a_time_out_of_the_application_is_not_hidden() -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise TimeoutError("its own")

    client = Client(piece(b"", more=False))
    with pytest.raises(TimeoutError, match="its own"):
        await CancelOnDisconnect(app)(SCOPE, client.receive, client.send)


async def test_a_cancellation_from_outside_is_one() -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        await asyncio.Event().wait()

    client = Client(piece(b"", more=False))
    handling = asyncio.create_task(CancelOnDisconnect(app)(SCOPE, client.receive, client.send))
    await asyncio.sleep(0)
    handling.cancel()

    with pytest.raises(asyncio.CancelledError):
        await handling


async def test_the_disconnect_can_be_read_as_often_as_one_likes() -> None:
    seen: list[str] = []

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.extend([(await receive())["type"] for _ in range(3)])
            raise

    client = Client(piece(b"", more=False))
    handling = asyncio.create_task(CancelOnDisconnect(app)(SCOPE, client.receive, client.send))
    await asyncio.sleep(0)
    client.leave()
    await handling

    assert seen == ["http.request", "http.disconnect", "http.disconnect"]


async def test_what_is_no_request_passes_through() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, _send: Send) -> None:
        seen.append(f"{scope['type']} {receive.__name__}")

    await CancelOnDisconnect(app)({"type": "lifespan"}, Client().receive, Client().send)

    assert seen == ["lifespan receive"]
