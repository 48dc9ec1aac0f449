"""What a provider's client reads is limited: bytes after decompression, lines of a stream, and where a stream ends."""

import gzip
import tracemalloc
import zlib
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from itertools import repeat
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from pydantic_ai import ModelAPIError
from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.messages import ModelRequest
from pydantic_ai.models import Model, override_allow_model_requests

from actors.agents.agent import Agent
from actors.models.byte_limit import limit_client, most_bytes
from actors.models.policy import ModelPolicy
from actors.models.resolve import close_models, resolve_model
from actors.testing.faults import events, raw, refusal, split
from actors.testing.hostile_server import Framing, HostileServer, RecordedRequest, Reply, Response
from actors.testing.models import served_model
from actors.testing.openai_answer import EVENTS, JSON, Answer
from protocols.model_errors import BadResponseError, ResponseTooLargeError, StreamInterruptedError

MEGABYTE = 1 << 20
HI = [ModelRequest.user_text_prompt("hi")]
ONCE: Any = {"max_retries": 0}


@pytest_asyncio.fixture
async def client() -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=5) as made:
        yield limit_client(made)


@pytest_asyncio.fixture(params=["openai-chat:m", "openai-responses:m"])
async def model(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Model]:
    SCRIPT[:] = [Answer()]

    def scripted(asked: RecordedRequest) -> Response:
        return SCRIPT[0](asked)

    async with HostileServer(scripted) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
        with override_allow_model_requests(True):
            yield resolve_model(request.param)
        await close_models()


SCRIPT: list[Reply] = []


def bomb(_: RecordedRequest) -> Response:
    return raw(BOMB, headers={"content-encoding": "gzip"})(_)


BOMB = gzip.compress(b'{"x": "' + b"a" * (100 * MEGABYTE), compresslevel=9)


def endless_body(_: RecordedRequest) -> Response:
    return Response(repeat(b" " * MEGABYTE, 1_000), 200, JSON, "chunked")


def endless_line(_: RecordedRequest) -> Response:
    return Response(repeat(b"data: " + b"a" * MEGABYTE, 50), 200, EVENTS, "chunked")


def causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


async def failure(model: Model, *, streamed: bool) -> BaseException:
    """Ask once, and return what the request fails with."""
    with pytest.raises((ModelAPIError, ResponseTooLargeError)) as caught:
        await (read_stream(model) if streamed else model_request(model, HI, model_settings=ONCE))
    return caught.value


async def read_stream(model: Model) -> str:
    async with model_request_stream(model, HI, model_settings=ONCE) as stream:
        async for _ in stream:
            pass
        return stream.get().text or ""


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("reply", [bomb, endless_body, endless_line])
async def test_a_huge_answer_is_cut_off_and_little_of_it_is_kept(reply: Reply, model: Model, *, streamed: bool) -> None:
    await model_request(model, HI)
    SCRIPT[0] = reply
    tracemalloc.start()
    try:
        error = await failure(model, streamed=streamed)
        assert tracemalloc.get_traced_memory()[1] < 64 * MEGABYTE
    finally:
        tracemalloc.stop()
    assert any(isinstance(one, ResponseTooLargeError) for one in causes(error))
    SCRIPT[0] = Answer("still here")
    assert (await model_request(model, HI)).text == "still here"


async def test_a_stream_that_never_ends_is_cut_off(model: Model) -> None:
    SCRIPT[0] = raw(*[b": ping\n\n" * 1_000] * 100, content_type="text/event-stream", framing="chunked")
    token = most_bytes.set(100_000)
    error = await failure(model, streamed=True)
    most_bytes.reset(token)
    assert "answered more than 100000 bytes, and the rest was not read" in str(error)


@pytest.mark.parametrize("name", ["openai-chat:m", "openai:m"])
@pytest.mark.parametrize("streamed", [False, True])
async def test_the_policy_of_an_agent_limits_the_bytes_of_its_answers(
    name: str, monkeypatch: pytest.MonkeyPatch, *, streamed: bool
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    async with HostileServer(Answer("a" * 5_000)) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        with override_allow_model_requests(True):
            strict = Agent("a", model=name, policy=ModelPolicy(max_response_bytes=4_000))
            with pytest.raises(ResponseTooLargeError, match="answered more than 4000 bytes") as caught:
                await (read_run(strict) if streamed else strict.run("hi"))
            assert (await Agent("b", model=name).run("hi")).content == "a" * 5_000
        await close_models()
    assert (caught.value.attempts, caught.value.retryable, len(server.requests)) == (1, False, 2)


@pytest.mark.parametrize("streamed", [False, True])
async def test_the_client_of_a_model_object_is_limited_once(*, streamed: bool) -> None:
    async with HostileServer(Answer("a" * 5_000)) as server, served_model(server, api="responses") as made:
        for _ in range(3):
            agent = Agent("a", model=made, policy=ModelPolicy(max_response_bytes=4_000))
            with pytest.raises(ResponseTooLargeError, match="answered more than 4000 bytes"):
                await (read_run(agent) if streamed else agent.run("hi"))
        assert made.provider is not None
        hooks: dict[str, Any] = made.provider.client._client.event_hooks
    assert len(hooks["response"]) == 1
    assert [request.headers["accept-encoding"] for request in server.requests] == ["identity"] * 3


async def read_run(agent: Agent[Any, Any]) -> None:
    async with agent.run_stream("hi") as stream:
        async for _ in stream.stream():
            pass


async def test_a_page_in_the_place_of_an_answer_is_told_with_its_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    async with HostileServer(raw(b"<p>Log in</p>", content_type="text/html")) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        agent = Agent("a", model="openai-chat:m", policy=ModelPolicy(min_wait=0))
        page = pytest.raises(BadResponseError, match="answered a page of 'text/html' instead")
        with override_allow_model_requests(True), page as caught:
            await agent.run("hi")
        await close_models()
    assert (caught.value.sample, caught.value.attempts) == ("<p>Log in</p>", 2)


async def read(client: httpx2.AsyncClient, reply: Reply) -> httpx2.Response:
    async with HostileServer(reply) as server:
        answer = await client.post(f"{server.url}/chat/completions", json={"model": "m", "stream": True})
    assert server.requests[0].headers["accept-encoding"] == "identity"
    return answer


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_an_answer_that_is_compressed_unasked_is_read(coding: str, client: httpx2.AsyncClient) -> None:
    text = b"{}" * MEGABYTE
    body = gzip.compress(text) if coding == "gzip" else zlib.compress(text)
    answer = await read(client, raw(body, headers={"content-encoding": coding}))

    assert answer.content == text


@pytest.mark.parametrize(("most", "fits"), [(100, True), (99, False)])
async def test_the_limit_is_a_number_of_bytes(most: int, client: httpx2.AsyncClient, *, fits: bool) -> None:
    token = most_bytes.set(most)
    try:
        answer = await read(client, raw(b"a" * 100))
        assert fits
        assert len(answer.content) == 100
    except ResponseTooLargeError:
        assert not fits
    most_bytes.reset(token)


@pytest.mark.parametrize("size", [1, 2, 3, 100])
async def test_the_mark_at_the_begin_of_a_stream_is_left_out_wherever_it_is_cut(
    size: int, client: httpx2.AsyncClient
) -> None:
    reply = raw(b"\xef\xbb\xbf" + b"data: \xef\xbb\xbfh\n\n", content_type="text/event-stream", framing="chunked")
    answer = await read(client, split(reply, size))

    assert answer.content == b"data: \xef\xbb\xbfh\n\n"


async def test_a_page_is_told_from_an_answer(client: httpx2.AsyncClient) -> None:
    with pytest.raises(BadResponseError, match=r"127.0.0.1:\d+ answered a page of 'text/html; x' instead") as caught:
        await read(client, raw(b"<p>Log in</p>" * 1_000, content_type="text/html; x"))
    assert caught.value.sample == ("<p>Log in</p>" * 1_000)[:2_000]
    assert (await read(client, raw(b"<p>busy</p>", status=503, content_type="text/html"))).status_code == 503


async def streamed(reply: Reply) -> str:
    async with HostileServer(reply) as server, served_model(server) as made:
        return await read_stream(resolve_model(made))


CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
HEL: dict[str, Any] = {**CHUNK, "choices": [{"index": 0, "delta": {"content": "hel"}, "finish_reason": None}]}
END: dict[str, Any] = {**CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


@pytest.mark.parametrize("after", [2, 3, 4])
@pytest.mark.parametrize("framing", ["close", "chunked"])
async def test_a_stream_that_ends_before_its_answer_is_no_answer(after: int, framing: Framing) -> None:
    reply = events(HEL, HEL, {**HEL, "choices": []}, {**CHUNK, "choices": []}, framing=framing)
    with pytest.raises(StreamInterruptedError, match="model 'm': the stream ended before its answer did"):
        await streamed(lambda request: replace(reply(request), parts=list(reply(request).parts)[:after]))


@pytest.mark.parametrize("ends", [["[DONE]"], [END], [END, "[DONE]"], [END, "[DONE]", "[DONE]"]])
@pytest.mark.parametrize("size", [1, 7, 1_000])
async def test_a_reason_or_the_last_event_ends_a_stream(ends: list[Any], size: int) -> None:
    assert await streamed(split(events(HEL, *ends, framing="close"), size)) == "hel"


async def test_the_last_event_inside_a_text_ends_nothing() -> None:
    said: dict[str, Any] = {**CHUNK, "choices": [{"index": 0, "delta": {"content": "data: [DONE]\n"}}]}
    with pytest.raises(StreamInterruptedError):
        await streamed(events(said, framing="close"))


@pytest.mark.usefixtures("no_leaked_actors")
async def test_a_client_that_is_opened_again_is_limited_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    async with HostileServer(raw(b"a" * 1_000)) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        made = resolve_model("openai-chat:m")
        await close_models()
        token = most_bytes.set(10)
        with override_allow_model_requests(True):
            async with made:
                error = await failure(made, streamed=False)
        most_bytes.reset(token)
    assert any(isinstance(one, ResponseTooLargeError) for one in causes(error))


async def test_a_proxy_of_the_environment_is_used_and_its_password_is_in_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with HostileServer(refusal(407, "who are you?")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("//", "//user:proxy-canary@").removesuffix("/v1"))
        monkeypatch.setenv("OPENAI_BASE_URL", "http://models.invalid/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
        with override_allow_model_requests(True):
            error = await failure(resolve_model("openai-chat:m"), streamed=False)
        await close_models()
    assert [request.path for request in proxy.requests] == ["http://models.invalid/v1/chat/completions"]
    assert "canary" not in "".join(map(repr, causes(error))) + str(error)
