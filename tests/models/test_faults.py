"""A provider on a bad day, met by the real client of OpenAI: each fault is one typed error, made of so many requests.

The names F6 to F29 are those of the list of faults that the project keeps.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from pydantic_ai.exceptions import ModelHTTPError, UnexpectedModelBehavior

from actors.agents.agent import Agent
from actors.models.policy import ModelPolicy
from actors.runtime.system import ActorSystem
from actors.testing.faults import closing, cut, events, failing, no_answer, pings, raw, refusal, silence, split
from actors.testing.hostile_server import HostileServer, RecordedRequest, Reply, Response
from actors.testing.models import served_model
from actors.testing.openai_answer import Answer
from protocols import model_errors as errors
from protocols.messages import ChatMessage
from protocols.model_events import ProtocolWarning

CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
AT_ONCE = ModelPolicy(min_wait=0)
GOLDEN = Answer("hé <b>llo</b> 你好", pieces=5)


def piece(text: str, finish: str | None = None) -> dict[str, Any]:
    return {**CHUNK, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


def whole(message: Any, **changes: Any) -> Reply:
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], **changes}
    return raw(json.dumps(body).encode())


class Tools:
    """A tool that counts its calls."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def add(self, a: int) -> int:
        """Add one."""
        self.calls.append(a)
        return a + 1


async def run(
    script: Reply | Sequence[Reply], *, streamed: bool = False, api: Any = "chat", tools: Tools | None = None
) -> tuple[ChatMessage[Any], int]:
    """Return the answer to a run, and how many requests it took."""
    async with HostileServer(script) as server, served_model(server, api=api, key="sk-canary-key") as model:
        agent = Agent("a", model=model, policy=AT_ONCE, session=False, tools=[tools.add] if tools else [], retries=0)
        async with agent:
            if not streamed:
                answer: ChatMessage[Any] = await agent.run("hi")
            else:
                async with agent.run_stream("hi") as stream:
                    async for _ in stream.stream():
                        pass
                assert stream.result is not None
                answer = stream.result
        return answer, len(server.requests)


async def said(agent: Agent[Any, Any], prompt: str, *, streamed: bool) -> str:
    if not streamed:
        return str((await agent.run(prompt)).content)
    async with agent.run_stream(prompt) as stream:
        return "".join([text async for text in stream.stream()])


async def failure(script: Reply, kind: type[Exception], **options: Any) -> tuple[Any, int]:
    """Return the error of a run, and how many requests it took."""
    seen: list[RecordedRequest] = []

    def counted(request: RecordedRequest) -> Response:
        seen.append(request)
        return script(request)

    with pytest.raises(kind) as caught:
        await run(counted, **options)
    assert "canary" not in str(caught.value) + repr(caught.value)
    return caught.value, len(seen)


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.BadRequestError),
        (401, errors.AuthError),
        (403, errors.AuthError),
        (404, errors.BadRequestError),
        (413, errors.BadRequestError),
        (422, errors.BadRequestError),
    ],
)
async def test_f6_a_refusal_is_made_of_one_request_and_says_what_is_wrong(
    status: int, kind: type[Exception], api: Any, *, streamed: bool
) -> None:
    error, requests = await failure(refusal(status, "temperature: no"), kind, api=api, streamed=streamed)

    assert requests == error.attempts == 1
    assert not error.retryable
    assert isinstance(error, ModelHTTPError)
    assert "m" in str(error)
    assert "temperature: no" in str(error)
    assert "127.0.0.1" in str(error)


async def test_f7_a_conversation_that_is_too_long_says_how_long_it_may_be() -> None:
    text = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."
    reply = refusal(400, text, code="context_length_exceeded")
    error, requests = await failure(reply, errors.ContextTooLongError)

    assert (requests, error.tokens, error.limit) == (1, 9000, 8192)


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("streamed", [False, True])
async def test_f11_a_connection_lost_before_an_answer_is_made_again(api: Any, *, streamed: bool) -> None:
    script: list[Reply] = [no_answer(), cut(Answer(), 0), Answer("fine")]
    answer, requests = await run(script, api=api, streamed=streamed)

    assert (answer.content, requests) == ("fine", 3)


@pytest.mark.parametrize("end", ["reset", "close"])
@pytest.mark.parametrize(("api", "after"), [("chat", 3), ("responses", 5)])
async def test_f11_a_connection_lost_within_an_answer_is_an_error_with_its_text(end: Any, api: Any, after: int) -> None:
    reply = cut(Answer("hello you", pieces=3), after, end=end)
    error, requests = await failure(reply, errors.StreamInterruptedError, api=api, streamed=True)

    assert (requests, error.partial) == (1, "hello ")


@pytest.mark.parametrize(("api", "after"), [("chat", 3), ("responses", 5)])
async def test_f12_the_end_of_a_connection_is_not_the_end_of_an_answer(api: Any, after: int) -> None:
    reply = cut(Answer("hello you", pieces=3), after, end="close", framing="close")
    error, requests = await failure(reply, errors.StreamInterruptedError, api=api, streamed=True)

    assert (requests, error.partial) == (1, "hello ")
    assert "the stream ended before its answer did" in str(error)


@pytest.mark.parametrize(
    ("ends", "text"),
    [
        ([piece("hello"), "[DONE]"], "hello"),
        ([piece("hello"), piece("", "stop")], "hello"),
        ([piece("hello"), piece("", "stop"), "[DONE]", "[DONE]"], "hello"),
        ([piece("hello"), "[DONE]", piece("more")], "hello"),
    ],
)
async def test_f13_an_end_that_is_odd_and_harmless_is_an_end(ends: Sequence[Any], text: str) -> None:
    assert ((await run(events(*ends, framing="close"), streamed=True))[0]).content == text


@pytest.mark.parametrize(
    ("ends", "text", "problems"),
    [
        ([piece("hello"), piece("", "stop"), "[DONE]"], "hello", []),
        ([piece("hello", "stop"), "[DONE]"], "hello", []),
        ([piece("hello"), "[DONE]"], "hello", ["'[DONE]' without a finish_reason"]),
        (
            [piece("hello", "stop"), piece(" you"), piece(" all"), "[DONE]"],
            "hello you all",
            ["text after the finish_reason"],
        ),
    ],
)
async def test_f13_what_is_odd_about_a_stream_is_told(
    ends: Sequence[Any], text: str, problems: list[str], actor_system: ActorSystem
) -> None:
    told: list[ProtocolWarning] = []
    actor_system.events.subscribe(told.append, (ProtocolWarning,))
    async with HostileServer(events(*ends)) as server, served_model(server) as model:
        agent = Agent("a", model=model, session=False)
        actor_system.start(agent.factory())
        assert await said(agent, "hi", streamed=True) == text

    assert [one.problem for one in told] == problems
    assert all(one.actor == "a" and one.run_id and one.endpoint.startswith("127.0.0.1:") for one in told)


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize(
    ("code", "kind"),
    [("server_error", errors.OverloadedError), ("rate_limit_exceeded", errors.RateLimitedError)],
)
async def test_f14_an_error_within_a_stream_is_that_of_its_status(code: str, kind: Any, api: Any) -> None:
    first: list[Reply] = [failing(Answer(), 0, code=code), Answer("fine")]
    answer, requests = await run(first, api=api, streamed=True)
    assert (answer.content, requests) == ("fine", 2)

    reply = failing(Answer("hello you", pieces=3), 3 if api == "chat" else 5, code=code)
    error, requests = await failure(reply, kind, api=api, streamed=True)
    assert (requests, error.partial) == (1, "hello ")


ODD: dict[str, Callable[[bytes], bytes]] = {
    "crlf": lambda body: body.replace(b"\n", b"\r\n"),
    "cr": lambda body: body.replace(b"\n", b"\r"),
    "mark": lambda body: b"\xef\xbb\xbf" + body,
    "tight": lambda body: body.replace(b"data: ", b"data:"),
    "comment": lambda body: b": hello\n\nevent: message\nid: 7\n" + body,
    "no end": lambda body: body.rstrip(b"\n"),
    "lines": lambda body: body.replace(b'"created"', b'\ndata: "created"'),
}


@pytest.mark.parametrize("change", ODD.values(), ids=ODD)
async def test_f15_a_stream_of_events_is_read_as_its_standard_says(change: Callable[[bytes], bytes]) -> None:
    def odd(request: RecordedRequest) -> Response:
        response = GOLDEN(request)
        return raw(change(b"".join(response.parts)), content_type="text/event-stream", framing="close")(request)

    assert (await run(odd, streamed=True))[0].content == GOLDEN.text


async def test_f15_a_stream_is_the_same_wherever_it_is_cut() -> None:
    for size in (1, 2, 3, 5, 7, 64):
        assert (await run(split(GOLDEN, size), streamed=True))[0].content == GOLDEN.text


@pytest.mark.parametrize(
    "data",
    ["{oops", "[" * 200_000, '{"created": ' + "9" * 5_000 + "}", '{"choices": 7}', '"text"'],
    ids=["garbled", "deep", "long", "type", "text"],
)
@pytest.mark.parametrize("begun", [False, True])
async def test_f16_garbage_within_a_stream_is_a_bad_response_and_the_agent_lives(data: str, *, begun: bool) -> None:
    reply = events(*([piece("hel")] if begun else []), data)
    error, requests = await failure(reply, errors.BadResponseError, streamed=True)

    assert requests == (1 if begun else 2)
    assert error.partial == ("hel" if begun else None)
    assert len(error.sample) <= 2_000


@pytest.mark.parametrize("begun", [False, True])
async def test_f16_bytes_that_are_no_text_are_a_bad_response(*, begun: bool) -> None:
    good = b"data: " + json.dumps(piece("hel")).encode() + b"\n\n"
    reply = raw((good if begun else b"") + b'data: {"a": "\xff"}\n\n', content_type="text/event-stream")
    _, requests = await failure(reply, errors.BadResponseError, streamed=True)

    assert requests == (1 if begun else 2)


@pytest.mark.parametrize(
    "reply",
    [
        whole({"role": "assistant", "content": [{"type": "text", "text": "hello"}]}),
        whole({"content": "hello"}, unheard_of=[1], usage={"prompt_tokens": "11", "completion_tokens": "7"}),
        whole({"role": "assistant", "content": "hello", "unheard_of": 1}, id=None, created=None),
    ],
)
async def test_f17_what_is_odd_and_clear_is_read(reply: Reply) -> None:
    answer, requests = await run(reply)
    assert (answer.content, requests) == ("hello", 1)


@pytest.mark.parametrize(
    "reply",
    [raw(b"{}"), raw(b'{"choices": []}'), whole(None), whole([1]), raw(b"[]"), raw(b'"x"'), raw(b"")],
)
async def test_f17_what_lacks_an_answer_is_a_bad_response_and_asked_for_once_more(reply: Reply) -> None:
    error, requests = await failure(reply, errors.BadResponseError)
    assert (requests, error.attempts) == (2, 2)


@pytest.mark.parametrize(
    "body",
    [{}, {"output": None}, {"output": [{"type": "message"}]}, [1], "text"],
    ids=json.dumps,
)
async def test_f17_a_response_that_lacks_an_answer_is_a_bad_response(body: Any) -> None:
    error, requests = await failure(raw(json.dumps(body).encode()), errors.BadResponseError, api="responses")
    assert (requests, error.attempts) == (2, 2)
    assert "m" in str(error)


@pytest.mark.parametrize("data", ["7", '{"type": "response.created"}', '{"type": "response.completed", "response": 7}'])
async def test_f17_an_event_that_cannot_be_read_is_a_bad_response(data: str) -> None:
    reply = events(data)
    error, requests = await failure(reply, errors.BadResponseError, api="responses", streamed=True)
    assert (requests, error.attempts) == (2, 2)


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("streamed", [False, True])
async def test_f18_a_page_is_a_bad_response(api: Any, *, streamed: bool) -> None:
    reply = raw(b"<html>Log in to this network</html>", content_type="text/html")
    _, requests = await failure(reply, errors.BadResponseError, api=api, streamed=streamed)

    assert requests == 2


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    "call", [("add", '{"a": 1'), ("add", "[1]"), ("add", '{"a": "x"}'), ("unheard_of", {})], ids=str
)
async def test_f19_a_call_that_cannot_be_made_is_not_made(call: tuple[str, Any], *, streamed: bool) -> None:
    tools = Tools()
    with pytest.raises(UnexpectedModelBehavior, match="max"):
        await run([Answer(None, calls=[call]), Answer("fine")], streamed=streamed, tools=tools)
    assert tools.calls == []


async def test_f19_no_call_of_a_stream_that_was_cut_is_made() -> None:
    tools = Tools()
    answer = Answer(None, calls=[("add", {"a": 1}), ("add", {"a": 2})])
    reply = cut(answer, 4, end="close", framing="close")
    error, _ = await failure(reply, errors.StreamInterruptedError, streamed=True, tools=tools)
    assert tools.calls == []
    assert error.partial == ""


@pytest.mark.parametrize("streamed", [False, True])
async def test_f19_an_answer_with_very_many_calls_makes_none(*, streamed: bool) -> None:
    tools = Tools()
    reply = Answer(None, calls=[("add", {"a": 1})] * 101)
    _, requests = await failure(reply, errors.BadResponseError, streamed=streamed, tools=tools)
    assert (tools.calls, requests) == ([], 1)


@pytest.mark.parametrize("streamed", [False, True])
async def test_f21_an_answer_that_ran_out_of_tokens_says_so(*, streamed: bool) -> None:
    answer, requests = await run(Answer("hello", finish="length"), streamed=streamed)
    assert (answer.content, answer.finish_reason, requests) == ("hello", "length", 1)


@pytest.mark.parametrize("streamed", [False, True])
async def test_f21_an_answer_that_a_filter_ended_is_an_error(*, streamed: bool) -> None:
    error, requests = await failure(
        Answer("hel", finish="content_filter"), errors.ContentFilteredError, streamed=streamed
    )
    assert (error.partial, requests) == ("hel", 1)


@pytest.mark.parametrize("streamed", [False, True])
async def test_f26_a_kept_connection_that_the_server_closed_is_replaced(*, streamed: bool) -> None:
    async with HostileServer(closing(Answer())) as server, served_model(server) as model:
        agent = Agent("a", model=model, policy=ModelPolicy(attempts=2), session=False)
        assert [await said(agent, "hi", streamed=streamed) for _ in range(5)] == ["hello"] * 5
        await agent.stop()
    assert len(server.requests) == server.connections == 5


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("reply", [silence(), cut(Answer(), 0, end="hang"), pings(0.001)])
@pytest.mark.parametrize("streamed", [False, True])
async def test_f28_the_connection_of_a_cancelled_run_is_closed(reply: Reply, api: Any, *, streamed: bool) -> None:
    async with HostileServer(reply) as server, served_model(server, api=api) as model:
        agent = Agent("a", model=model)
        task = asyncio.ensure_future(said(agent, "hi", streamed=streamed))
        request = await server.arrived(1)
        task.cancel()
        await request.closed.wait()
        await asyncio.wait({task})
        assert task.cancelled()
        assert agent.history == ()
        await agent.stop()
    assert len(server.requests) == 1


@pytest.mark.parametrize("streamed", [False, True])
async def test_f29_the_answer_of_a_run_that_gave_up_reaches_no_other(*, streamed: bool) -> None:
    def echo(request: RecordedRequest) -> Response:
        reply = Answer(f"for {request.prompt}")
        return cut(reply, 0, end="hang")(request) if request.number == 1 else reply(request)

    async with HostileServer(echo) as server, served_model(server) as model:
        agent = Agent("a", model=model, session=False)
        late = asyncio.ensure_future(said(agent, "one", streamed=streamed))
        first = await server.arrived(1)
        late.cancel()
        await first.closed.wait()
        assert await said(agent, "two", streamed=streamed) == "for two"
        await agent.stop()
    assert [request.connection for request in server.requests] == [1, 2]
