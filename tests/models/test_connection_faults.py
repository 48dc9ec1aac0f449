"""A provider that cannot be reached: the error says what failed, nothing insecure is tried, and no limit is exceeded.

The names F10 to F24 are those of the list of faults that the project keeps.
"""

import asyncio
import json
import socket
import ssl
import traceback
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.models import override_allow_model_requests

from actors import Agent, Model, ModelPolicy
from actors.models.resolve import close_models
from actors.testing.clock import ManualClock
from actors.testing.settle import settle
from protocols.model_errors import ModelCallError, UpstreamConnectionError, UpstreamTimeoutError
from tests.support.certificates import certificate
from tests.support.policy import Start

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]
TWICE = ModelPolicy(attempts=2, min_wait=0)
_CHOICE = {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}
_BODY = json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [_CHOICE]})


def agent(host: str, port: int, *, scheme: str = "https") -> Agent[Any, Any]:
    return Agent(
        "a", model=Model("openai-chat:m", base_url=f"{scheme}://{host}:{port}/v1"), policy=TWICE, session=False
    )


async def failure(made: Agent[Any, Any]) -> ModelCallError:
    with pytest.raises(ModelCallError) as caught:
        await made.run("hi")
    return caught.value


@pytest.fixture(autouse=True)
async def own_clients() -> AsyncGenerator[None]:
    with override_allow_model_requests(True):
        yield
    await close_models()


@asynccontextmanager
async def listening(handler: Handler, context: ssl.SSLContext | None = None) -> AsyncGenerator[int]:
    """Serve each connection by a handler; yields the port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await handler(reader, writer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(_BODY)}\r\n\r\n"
    writer.write((head + _BODY).encode())
    await writer.drain()


async def test_f10_a_refused_connection_is_tried_again_and_told_as_such() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        error = await failure(agent("127.0.0.1", free.getsockname()[1], scheme="http"))

    assert isinstance(error, UpstreamConnectionError)
    assert (error.attempts, error.phase, error.retryable) == (2, "connect", True)
    assert "model 'm': connect failed: All connection attempts failed (127.0.0.1:" in str(error)


async def run_into(limit: float, model: Model, start: Start, clock: ManualClock) -> ModelCallError:
    """Return the error of a run whose time passes on the manual clock, and on no other one."""
    run = asyncio.create_task(failure(start(model, policy=ModelPolicy(first_byte=limit, attempts=1))))
    while clock.next_due is None:
        await settle()
    await clock.advance(limit)
    return await run


async def test_f10_a_server_that_accepts_no_connection_costs_no_more_than_the_limit(
    start: Start, manual_clock: ManualClock
) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}/v1"
        error = await run_into(3, Model("openai-chat:m", base_url=url), start, manual_clock)
        for one in waiting:
            one.close()

    assert isinstance(error, UpstreamTimeoutError)
    assert error.phase == "first_byte"


async def test_f22_a_name_that_does_not_exist_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object, **__: object) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", refuse)
    error = await failure(agent("models.test", 8080, scheme="http"))

    assert isinstance(error, UpstreamConnectionError)
    assert f"model 'm': connect failed: [Errno {socket.EAI_NONAME}] Name or service not known" in str(error)
    assert "models.test:8080" in str(error)


async def test_f22_a_resolver_that_hangs_costs_no_more_than_the_limit(
    start: Start, manual_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(*_: object, **__: object) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", hang)
    error = await run_into(3, Model("openai-chat:m", base_url="http://models.test/v1"), start, manual_clock)

    assert isinstance(error, UpstreamTimeoutError)
    assert error.phase == "first_byte"


@pytest.mark.parametrize(
    ("host", "days", "trusted", "reason"),
    [
        ("localhost", 9, False, "self-signed certificate"),
        ("127.0.0.1", 9, True, "certificate is not valid for '127.0.0.1'"),
        ("localhost", -1, True, "certificate has expired"),
    ],
)
async def test_f23_a_certificate_that_cannot_be_trusted_ends_the_request_with_its_reason(
    host: str, days: int, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, trusted: bool
) -> None:
    context = certificate(tmp_path / "own.pem", "localhost", days=days)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "own.pem"))
    served: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(1)
        await answer(reader, writer)

    async with listening(serve, context) as port:
        error = await failure(agent(host, port))

    assert isinstance(error, UpstreamConnectionError)
    assert (error.attempts, error.retryable, served) == (1, False, [])
    assert reason in str(error)


async def test_f23_a_certificate_that_is_trusted_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = certificate(tmp_path / "own.pem", "localhost", days=9)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "own.pem"))
    async with listening(answer, context) as port:
        assert (await agent("localhost", port).run("hi")).content == "hello"


async def test_f23_a_server_without_tls_is_told_as_such() -> None:
    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with listening(refuse) as port:
        error = await failure(agent("127.0.0.1", port))

    assert isinstance(error, UpstreamConnectionError)
    assert "SSL" in str(error)


async def test_f23_a_handshake_that_hangs_costs_no_more_than_the_limit(start: Start, manual_clock: ManualClock) -> None:
    left = asyncio.Event()

    async def until_left(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()
        left.set()

    async with listening(until_left) as port:
        model = Model("openai-chat:m", base_url=f"https://127.0.0.1:{port}/v1")
        error = await run_into(3, model, start, manual_clock)
        await left.wait()

    assert isinstance(error, UpstreamTimeoutError)
    assert error.phase == "first_byte"


async def test_f24_a_proxy_that_refuses_is_told_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()

    async with listening(refuse) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:canary@127.0.0.1:{port}")
        error = await failure(agent("models.test", 443))

    assert isinstance(error, UpstreamConnectionError)
    assert [head.split(b"\r\n")[0] for head in asked] == [b"CONNECT models.test:443 HTTP/1.1"] * 2
    assert "407 Proxy Authentication Required" in str(error)
    assert "canary" not in "".join(traceback.format_exception(error))
