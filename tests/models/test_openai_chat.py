"""Servers that speak the chat completions of OpenAI only nearly."""

from typing import Any

import pytest
from pydantic_ai.exceptions import ModelHTTPError, UnexpectedModelBehavior

from actors.agents.agent import Agent
from protocols.messages import ChatMessage
from tests.support.openai_server import call, chat_model, chunks, completion, serving

HELLO = completion({"content": "hello"})


def add(a: int) -> int:
    """Add one."""
    return a + 1


def calling(*calls: dict[str, Any]) -> dict[str, Any]:
    return completion({"tool_calls": list(calls)})


@pytest.mark.parametrize(
    "answer",
    [
        {**HELLO, "id": None},
        {**HELLO, "id": 7},
        {**HELLO, "model": None},
        {**HELLO, "object": "text"},
        {**HELLO, "created": None},
        {**HELLO, "usage": {"prompt_tokens": None, "completion_tokens": 1}},
        {key: value for key, value in HELLO.items() if key not in ("id", "object", "created", "model")},
        completion({"content": "hello", "role": None}),
        completion({"content": "hello", "tool_calls": []}),
        completion({"content": [{"type": "text", "text": "hello"}]}),
        completion({"content": "<think>so</think>hello"}),
        {**HELLO, "choices": [{"message": {"content": "hello"}}]},
    ],
)
async def test_what_can_be_read_of_an_odd_answer_is_read(answer: dict[str, Any]) -> None:
    async with chat_model(answer) as model:
        assert (await Agent("a", model=model).run("hi")).content == "hello"


@pytest.mark.parametrize(
    "calls",
    [
        [call("add", '{"a": 1}', id=None)],
        [call("add", {"a": 1}, id="x")],
        [call("add", '{"a": 1}', id=7)],
        [{"function": {"name": "add", "arguments": '{"a": 1}'}}],
        [call("add", {"a": 1}, id=""), call("add", {"a": 2}, id="")],
    ],
)
async def test_tool_calls_without_an_id_and_with_arguments_as_objects_are_made(calls: list[dict[str, Any]]) -> None:
    async with chat_model(calling(*calls), HELLO) as model:
        answer = await Agent("a", model=model, tools=[add]).run("hi")
    assert answer.content == "hello"
    assert [made.result for made in answer.tool_calls] == [2, 3][: len(calls)]
    assert len({made.tool_call_id for made in answer.tool_calls}) == len(calls)


UNREADABLE: list[dict[str, Any]] = [
    {**HELLO, "choices": []},
    {**HELLO, "choices": None},
    {"error": {"message": "overloaded"}},
    {**HELLO, "choices": [{}]},
    {**HELLO, "choices": [None]},
    {**HELLO, "choices": "hello"},
    calling({"function": None}),
    {},
]


@pytest.mark.parametrize("answer", UNREADABLE)
async def test_what_cannot_be_read_is_an_error_of_the_server_and_names_the_model(answer: dict[str, Any]) -> None:
    async with chat_model(answer) as model:
        with pytest.raises(UnexpectedModelBehavior, match=r"server|response"):
            await Agent("a", model=model, tools=[add], retries=0).run("hi")


async def streamed(model: Any, tools: Any = ()) -> tuple[str, ChatMessage[str]]:
    async with Agent("a", model=model, tools=tools).run_stream("hi") as stream:
        text = "".join([part async for part in stream.stream()])
    assert stream.result is not None
    return text, stream.result


@pytest.mark.parametrize("size", range(1, 12))
async def test_thoughts_of_a_stream_are_no_text_wherever_the_stream_is_cut(size: int) -> None:
    said = "<think>so <b>it</b> is</think>he<llo <thi"
    pieces = [said[place : place + size] for place in range(0, len(said), size)]
    async with chat_model(chunks(*({"content": piece} for piece in pieces))) as model:
        text, answer = await streamed(model)
    assert text == answer.content == "he<llo <thi"


@pytest.mark.parametrize(
    "calls",
    [
        [[call("add", '{"a":', index=0, id=None)], [{"index": 0, "function": {"arguments": " 1}"}}]],
        [[call("add", {"a": 1}, index=0, id="x"), call("add", {"a": 2}, index=0, id="y")]],
        [[call("add", '{"a": 1}', index=0, id="x")], [call("add", '{"a": 2}', index=0, id="y")]],
        [[call("add", '{"a": 1}', id="x")], [call("add", '{"a": 2}', id="y")]],
        [[call("add", '{"a": 1}', index=None), call("add", '{"a": 2}', index=None)]],
        [[call("add", '{"a"', index=0, id="x")], [call("", ": 1}", index=0, id="x")]],
    ],
)
async def test_streamed_tool_calls_are_told_apart_by_id_or_name(calls: list[list[dict[str, Any]]]) -> None:
    async with chat_model(chunks(*({"tool_calls": some} for some in calls)), chunks({"content": "hello"})) as model:
        text, answer = await streamed(model, [add])
    assert text == "hello"
    assert [made.result for made in answer.tool_calls] in ([2], [2, 3])
    assert len(answer.tool_calls) == str(calls).count("'add'")


async def test_a_stream_without_usage_or_with_empty_numbers_is_read() -> None:
    last: dict[str, Any] = {"choices": [], "usage": {"prompt_tokens": None, "completion_tokens": 3}}
    async with chat_model([*chunks({"content": "hello"}), {"choices": None}, last]) as model:
        assert (await streamed(model))[0] == "hello"


async def test_a_stream_that_cannot_be_read_is_an_error_of_the_server() -> None:
    async with chat_model([*chunks({"content": "hel"}), {"choices": [7]}]) as model:
        with pytest.raises(UnexpectedModelBehavior, match="malformed"):
            await streamed(model)


@pytest.mark.parametrize("name", ["openai:llama", "openai-responses:llama"])
async def test_a_server_without_the_responses_api_is_told_apart(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(404) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        with pytest.raises(ModelHTTPError) as caught:
            await Agent("a", model=name).run("hi")
    assert any("openai-chat:llama" in note for note in caught.value.__notes__)
