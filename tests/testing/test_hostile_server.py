"""The server of models for tests: what it answers, what it records, and how it breaks."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Literal

import httpx2
import pytest
import pytest_asyncio

from actors.agents.agent import Agent
from actors.testing.clock import ManualClock
from actors.testing.faults import (
    chaos,
    closing,
    cut,
    events,
    failing,
    no_answer,
    pings,
    raw,
    refusal,
    silence,
    slow,
    split,
)
from actors.testing.hostile_server import HostileServer, RecordedRequest, Reply, Response
from actors.testing.models import served_model
from actors.testing.openai_answer import Answer

Api = Literal["chat", "responses"]
ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
APIS = pytest.mark.parametrize("api", ["chat", "responses"])
STREAMED = pytest.mark.parametrize("streamed", [False, True])

pytestmark = pytest.mark.usefixtures("no_leaked_actors")


def add(a: int) -> int:
    """Add one."""
    return a + 1


@pytest_asyncio.fixture
async def client() -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=5) as made:
        yield made


async def ask(client: httpx2.AsyncClient, server: HostileServer, **changes: Any) -> httpx2.Response:
    return await client.post(f"{server.url}/chat/completions", json={**ASK, **changes})


async def run(
    script: Reply | Sequence[Reply], api: Api, *, streamed: bool, tools: Any = ()
) -> tuple[Any, HostileServer]:
    async with HostileServer(script) as server, served_model(server, api=api) as model:
        async with Agent("a", model=model, tools=tools) as agent:
            if not streamed:
                return await agent.run("hi"), server
            async with agent.run_stream("hi") as stream:
                text = "".join([part async for part in stream.stream()])
        assert stream.result is not None
        assert text == stream.result.content
        return stream.result, server


@APIS
@STREAMED
async def test_the_client_of_openai_reads_answers_in_both_apis(api: Api, *, streamed: bool) -> None:
    answer, server = await run(Answer("hellö you", usage=(3, 4)), api, streamed=streamed)

    assert (answer.content, answer.finish_reason) == ("hellö you", "stop")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (3, 4)
    (request,) = server.requests
    assert (request.is_stream, request.is_responses, request.prompt) == (streamed, api == "responses", "hi")
    assert request.is_answered


@APIS
@STREAMED
async def test_the_client_of_openai_makes_the_tool_calls_of_an_answer(api: Api, *, streamed: bool) -> None:
    script = [Answer(None, calls=[("add", {"a": 1}), ("add", '{"a": 2}')]), Answer("done")]
    answer, server = await run(script, api, streamed=streamed, tools=[add])

    assert answer.content == "done"
    assert sorted(call.result for call in answer.tool_calls) == [2, 3]  # in the order of their ends
    assert len(server.requests) == 2


@APIS
@STREAMED
async def test_an_answer_can_end_for_another_reason_and_without_usage(api: Api, *, streamed: bool) -> None:
    answer, _ = await run(Answer("cut", finish="length", usage=None), api, streamed=streamed)

    assert (answer.content, answer.finish_reason, answer.usage.total_tokens) == ("cut", "length", 0)


async def test_replies_come_in_turn_and_the_last_repeats(client: httpx2.AsyncClient) -> None:
    async with HostileServer([refusal(503), refusal(429, headers={"retry-after": "2"}), Answer()]) as server:
        answers = [await ask(client, server) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [503, 429, 200, 200]
    assert answers[1].headers["retry-after"] == "2"


async def test_a_reply_is_any_function_of_the_request(client: httpx2.AsyncClient) -> None:
    def echo(request: RecordedRequest) -> Response:
        return Answer(f"{request.number}: {request.prompt} {request.headers['x-user']}")(request)

    async with HostileServer(echo) as server:
        client.headers["x-user"] = "bob"
        assert "1: hi bob" in (await ask(client, server)).text


async def test_requests_are_recorded_with_their_connection_and_their_times(client: httpx2.AsyncClient) -> None:
    clock = ManualClock(7.0)
    async with HostileServer(Answer(), clock=clock) as server:
        await ask(client, server)
        await clock.advance(1)
        await ask(client, server)
        first, second = server.requests
        assert (first.at, second.at, first.closed_at) == (7.0, 8.0, None)
        assert first.connection == second.connection == server.connections == server.open_connections == 1
        assert first.path == "/v1/chat/completions"
        assert first.body == ASK
        await client.aclose()
        await first.closed.wait()
        assert first.closed_at == 8.0
        assert server.open_connections == 0


async def test_the_server_sees_a_client_leave_while_it_is_silent() -> None:
    async with HostileServer(silence()) as server, served_model(server) as model, Agent("a", model=model) as agent:
        task = asyncio.create_task(agent.run("hi"))
        request = await server.arrived(1)
        assert not request.closed.is_set()
        task.cancel()
        await request.closed.wait()
        assert not request.is_answered
        await asyncio.wait({task})


async def test_the_end_of_the_server_closes_what_is_open(client: httpx2.AsyncClient) -> None:
    async with HostileServer(silence()) as server:
        task = asyncio.create_task(ask(client, server))
        request = await server.arrived(1)

    assert request.closed.is_set()
    with pytest.raises(httpx2.TransportError):
        await task
    with pytest.raises(httpx2.ConnectError):
        await ask(client, server)


@pytest.mark.parametrize(
    "reply",
    [
        no_answer(),
        cut(Answer(), 0),
        cut(split(Answer(), 10), 3),
        cut(split(Answer(), 10), 3, end="close"),
        cut(Answer("hello"), 3, end="close", framing="chunked"),
        raw(b"gopher\r\n\r\n", framing="none"),
    ],
)
async def test_a_broken_reply_is_an_error_of_http(reply: Reply, client: httpx2.AsyncClient) -> None:
    async with HostileServer(reply) as server:
        with pytest.raises(httpx2.TransportError):
            await ask(client, server, stream=True)


async def test_a_reply_that_is_cut_at_the_end_of_its_connection_looks_whole(client: httpx2.AsyncClient) -> None:
    async with HostileServer(cut(Answer("hello"), 3, end="close", framing="close")) as server:
        answer = await ask(client, server, stream=True)

    assert answer.text.count("data: ") == 3
    assert "[DONE]" not in answer.text


async def test_a_connection_is_closed_between_two_requests(client: httpx2.AsyncClient) -> None:
    async with HostileServer([closing(Answer()), Answer()]) as server:
        answer = await ask(client, server)
        assert "connection" not in answer.headers
        await server.requests[0].closed.wait()
        await ask(client, server)

    assert [request.connection for request in server.requests] == [1, 2]


async def test_bytes_are_split_anywhere(client: httpx2.AsyncClient) -> None:
    async with HostileServer([Answer("hé"), split(Answer("hé"))]) as server:
        texts = [(await ask(client, server, stream=True)).text for _ in range(2)]

    assert texts[0].replace("answer_1", "answer_2") == texts[1]


async def test_pauses_follow_the_clock_of_the_server(client: httpx2.AsyncClient) -> None:
    clock = ManualClock()
    reply = slow(events("one", "two"), 5)
    async with HostileServer(reply, clock=clock) as server, client.stream("POST", server.url, json=ASK) as response:
        parts = response.aiter_bytes()
        for text in (b"data: one\n\n", b"data: two\n\n"):
            await clock.advance(5)
            assert await anext(parts) == text


@STREAMED
async def test_pings_keep_a_connection_busy_without_content(client: httpx2.AsyncClient, *, streamed: bool) -> None:
    async with HostileServer(pings(0)) as server:
        async with client.stream("POST", server.url, json={**ASK, "stream": streamed}) as response:
            parts = response.aiter_bytes()
            read = b"".join([await anext(parts) for _ in range(3)])
        await server.requests[0].closed.wait()

    assert read.replace(b": ping\n\n", b"").strip() == b""


@APIS
async def test_an_error_comes_in_the_middle_of_a_stream(api: Api, client: httpx2.AsyncClient) -> None:
    path = "responses" if api == "responses" else "chat/completions"
    async with HostileServer(failing(Answer(), 2, "busy", code=503)) as server:
        streamed = await client.post(f"{server.url}/{path}", json={**ASK, "stream": True})
        plain = await client.post(f"{server.url}/{path}", json=ASK)

    assert streamed.text.count("data: ") == 3
    assert json.loads(streamed.text.rpartition("data: ")[2])["message" if api == "responses" else "error"]
    assert plain.json()["error"]["code"] == 503


@pytest.mark.parametrize("seed", [1, 2])
def test_chaos_of_one_seed_is_the_same_each_time(seed: int) -> None:
    def drawn(seed: int) -> list[Response]:
        reply, request = chaos(seed), RecordedRequest(1, 1, 0.0, "/v1/chat/completions", {}, json.dumps(ASK).encode())
        return [reply(request) for _ in range(50)]

    assert drawn(seed) == drawn(seed) != drawn(seed + 1)
    assert len({(one.status, one.end, one.framing) for one in drawn(seed)}) > 5
