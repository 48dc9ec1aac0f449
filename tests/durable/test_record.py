"""What is kept of a run and of an answer, and what is refused."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from pydantic import BaseModel
from pydantic_ai.messages import BinaryContent, ImageUrl, ModelRequest, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models.test import TestModel
from pydantic_ai.toolsets import FunctionToolset
from pydantic_ai.usage import RunUsage, UsageLimits

from actors import Budget, ChatMessage
from actors.agents.memory import dump_messages
from actors.durable.record import (
    MAX_ANSWER,
    UndecodableError,
    by_value,
    decode_answer,
    decode_run,
    encode_answer,
    encode_run,
    needs_reading,
    readable,
)
from actors.prompts.input_message import input_message
from actors.runs.request import NO_OPTIONS, RunOptions, RunRequest
from protocols.content_text import value_text
from protocols.cost import TokenCost, TokenUsage
from protocols.errors import PromptError
from protocols.journal import NotDurableError
from protocols.tool_call import ToolCallInfo
from tests.durable.requests import CLERK, request

HISTORY = (ModelRequest([UserPromptPart("hello")]), ModelResponse([TextPart("good day")]))


class Order(BaseModel):
    number: int
    goods: list[str] = []


class Parcel(msgspec.Struct):
    number: int
    order: Order


@dataclass
class Address:
    street: str
    raw: bytes = b"\xff"


class Spoken:
    def __prompt__(self) -> str:
        return "spoken"


def again(run: RunRequest) -> RunRequest:
    return decode_run(encode_run(run), CLERK)


text = st.text(st.characters(codec="utf-8"), max_size=20)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=4,
)
counts = st.integers(1, 10**9)
moments = st.datetimes(timezones=st.just(UTC))
costs = st.builds(TokenCost, st.builds(TokenUsage, counts, counts), st.decimals(0, 9, places=6), st.booleans(), counts)
calls = st.builds(
    ToolCallInfo,
    text,
    st.dictionaries(text, plain, max_size=2),
    plain,
    text,
    text,
    moments,
    st.floats(0, 9),
    text,
    text,
)
message_fields: Any = {
    "content": plain, "role": st.sampled_from(["user", "assistant", "system"]), "name": st.none() | text,
    "conversation_id": st.none() | text, "message_id": text, "timestamp": moments,
    "metadata": st.dictionaries(text, plain, max_size=3), "cost_info": st.none() | costs,
    "response_time": st.none() | st.floats(0, 1e6), "forwarded_from": st.lists(text, max_size=3).map(tuple),
    "tool_calls": st.lists(calls, max_size=2).map(tuple), "messages": st.sampled_from([(), HISTORY]),
    "model_name": st.none() | text, "provider_name": st.none() | text,
    "provider_details": st.none() | st.dictionaries(text, plain, min_size=1, max_size=2),
    "provider_response_id": st.none() | text, "finish_reason": st.none() | text,
}  # fmt: skip
bare_messages = st.builds(ChatMessage[Any], **message_fields)
messages = st.builds(
    ChatMessage[Any], associated_messages=st.lists(bare_messages, max_size=2).map(tuple), **message_fields
)
limits = st.builds(
    UsageLimits, cost_limit=st.none() | st.decimals(0, 9, places=2), request_limit=st.none() | counts,
    tool_calls_limit=st.none() | counts, count_tokens_before_request=st.booleans(),
)  # fmt: skip
budgets = st.builds(
    Budget,
    tokens=counts,
    cost=st.none() | st.decimals(1, 9, places=2) | st.floats(0.1, 9),
    per=st.sampled_from([None, "day"]),
)
KEPT: dict[str, Any] = {
    "model": text, "store_history": st.booleans(), "usage_limits": limits, "budget": budgets,
    "timeout": st.none() | st.floats(0, 1e6), "message_history": st.sampled_from([(), HISTORY]), "session": text,
    "fresh": st.just(True), "conversation_id": text, "message_id": text, "instructions": text | st.lists(text),
    "include_agent_tools": st.just(False), "model_settings": st.dictionaries(text, plain, max_size=3),
    "metadata": st.dictionaries(text, plain, max_size=3), "wait_for_connections": st.booleans(),
    "require_all": st.booleans(),
}  # fmt: skip
REFUSED: dict[str, Any] = {
    "output_type": Order, "deps": {"a": 1}, "usage": RunUsage(), "tools": [print], "toolsets": [FunctionToolset()],
}  # fmt: skip


OF_THE_MAILBOX = {"request_id", "durable"}  # what the durable mailbox reads, and takes off before the run is kept


def test_every_option_of_a_run_is_kept_or_refused() -> None:
    assert KEPT.keys() | REFUSED.keys() == set(RunOptions.__struct_fields__) - OF_THE_MAILBOX


@given(st.fixed_dictionaries({}, optional=KEPT))
def test_kept_options_come_back(options: dict[str, Any]) -> None:
    found, kept = again(request("x", **options)).options, RunOptions(**options)

    for name in RunOptions.__struct_fields__:
        value, expected = getattr(found, name), getattr(kept, name)
        assert (tuple(value) if name == "message_history" and name in options else value) == expected


@pytest.mark.parametrize("name", REFUSED)
def test_an_option_that_belongs_to_the_process_is_refused(name: str) -> None:
    with pytest.raises(
        NotDurableError, match=rf"node 'clerk': .*option {name} .*pass durable=False to run it in memory"
    ):
        encode_run(request("x", **{name: REFUSED[name]}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", TestModel()),
        ("budget", ("a ledger",)),
        ("instructions", [lambda: "now"]),
        ("metadata", {"a": object()}),
        ("model_settings", {"extra_body": {"at": datetime(2026, 1, 1, tzinfo=UTC)}}),
        ("model_settings", {"logit_bias": {17: 1}}),
    ],
)
def test_a_value_of_an_option_that_would_not_come_back_is_refused(name: str, value: Any) -> None:
    with pytest.raises(NotDurableError, match=f"'clerk': the option {name} cannot be kept"):
        encode_run(request("x", **{name: value}))


def test_ids_and_the_number_of_connections_come_back() -> None:
    run = request("a", "b")
    found = again(run)

    assert found.node is CLERK
    assert found.prompts == run.prompts
    assert (found.run_id, found.conversation_id, found.parent_run_id) == ("1" * 32, "c1", "2" * 32)
    assert found.hops == 3
    assert found.options is NO_OPTIONS
    assert found.downstream is not run.downstream


@given(st.lists(text | plain | st.lists(bare_messages, max_size=2), min_size=1, max_size=3))
def test_prompts_of_text_data_and_messages_come_back(prompts: list[Any]) -> None:
    run = request(*prompts)

    assert list(again(run).prompts) == prompts


@given(messages)
def test_a_run_of_a_kept_message_reads_the_same_input(message: ChatMessage[Any]) -> None:
    sent = replace(message, content="text")
    found, read = (input_message(prompts, "c1") for prompts in (again(request(sent)).prompts, [sent]))

    assert isinstance(found, ChatMessage)
    assert isinstance(read, ChatMessage)
    assert replace(found, timestamp=sent.timestamp) == replace(read, timestamp=sent.timestamp)


def test_of_a_forwarded_message_the_work_behind_it_is_left_out() -> None:
    sent = ChatMessage("done", "assistant", "writer", messages=HISTORY * 1000)

    assert len(encode_run(request(sent))) < 500


@pytest.mark.parametrize(
    ("prompt", "value"),
    [
        (Order(number=1, goods=["tea"]), {"number": 1, "goods": ["tea"]}),
        (Parcel(2, Order(number=1)), {"number": 2, "order": {"number": 1, "goods": []}}),
        (Address("high"), {"street": "high", "raw": "/w=="}),
        ({1: Decimal("1.5"), "at": datetime(2026, 1, 2, tzinfo=UTC)}, {"1": "1.5", "at": "2026-01-02T00:00:00Z"}),
        ({"many": deque([1, 2]), "none": None}, {"many": [1, 2], "none": None}),
        (2**80, 2**80),
    ],
)
def test_data_is_kept_by_value_and_reads_the_same_for_a_model(prompt: Any, value: Any) -> None:
    run = request(prompt)
    found = by_value(run, encode_run(run))

    assert found.prompts == (value,)
    assert found.downstream is run.downstream
    assert value_text(value) == value_text(prompt)


def test_a_float_that_json_has_no_number_for_comes_back() -> None:
    assert math.isnan(again(request({"x": math.nan})).prompts[0]["x"])


def test_pictures_come_back_beside_text() -> None:
    parts: list[Any] = [
        "see",
        BinaryContent(b"\x00\xff", media_type="image/png"),
        [ImageUrl("https://example.com/a.png")],
    ]
    found: Any = again(request(parts)).prompts[0]
    picture = found[1]

    assert found[0] == "see"
    assert (picture.data, picture.media_type) == (b"\x00\xff", "image/png")
    assert found[2] == [ImageUrl("https://example.com/a.png")]


@pytest.mark.parametrize("prompt", [object(), {"a": object()}, [print], Order, "\ud800", {"file": Path("a")}])
def test_a_prompt_that_cannot_be_kept_is_refused(prompt: Any) -> None:
    with pytest.raises(NotDurableError, match=r"'clerk': the prompt cannot be kept: .*; pass durable=False"):
        encode_run(request(prompt))


def test_a_large_run_is_refused_with_its_size() -> None:
    with pytest.raises(NotDurableError, match=r"'clerk': the run has 1.1 KiB, .* at most 1000 bytes \(max_message\)"):
        encode_run(request("x" * 1000), max_message=1000)


@pytest.mark.parametrize(
    ("field", "says"), [("sink", "streamed"), ("follower", "streamed"), ("route", "with its chain")]
)
def test_a_run_that_others_follow_is_refused(field: str, says: str) -> None:
    with pytest.raises(NotDurableError, match=f"'clerk': .*{says}.*; pass durable=False to run it in memory"):
        encode_run(replace(request("x"), **{field: object()}))


async def test_files_are_read_when_a_run_is_accepted(tmp_path: Path) -> None:
    file = tmp_path / "order.txt"
    file.write_text("17 chairs")
    run = request("book", [file])
    found = await readable(run)
    file.unlink()

    assert needs_reading(run)
    assert not needs_reading(found)
    (content,) = again(found).prompts
    assert content.startswith("book")
    assert "17 chairs" in content


async def test_the_file_in_a_message_is_read_and_the_rest_stays(tmp_path: Path) -> None:
    file = tmp_path / "order.txt"
    file.write_text("17 chairs")
    sent = ChatMessage(file, "assistant", "writer")
    found = await readable(request(sent))

    assert again(found).prompts == (replace(sent, content=found.prompts[0].content),)
    assert "17 chairs" in found.prompts[0].content


async def test_an_object_with_a_prompt_of_its_own_is_its_text() -> None:
    assert (await readable(request(Spoken()))).prompts == ("spoken",)


async def test_a_run_without_files_is_not_changed() -> None:
    run = request("a", ["b", {"c": 1}], ChatMessage("d", "user"))

    assert await readable(run) is run


@pytest.mark.parametrize("depth", [b"bytes", 1])
async def test_what_no_run_reads_is_refused_when_it_is_accepted(depth: Any) -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(PromptError):
        await readable(request(endless if depth == 1 else depth))


@given(messages)
def test_an_answer_comes_back(message: ChatMessage[Any]) -> None:
    found = decode_answer(encode_answer(message))

    assert replace(found, messages=()) == replace(message, messages=())
    assert dump_messages(found.messages) == dump_messages(message.messages)


def test_data_in_an_answer_is_kept_by_value() -> None:
    assert decode_answer(encode_answer(ChatMessage(Order(number=1), "assistant"))).content == {"number": 1, "goods": []}


def test_a_large_answer_is_said_to_be_in_the_history() -> None:
    data = encode_answer(ChatMessage("x" * MAX_ANSWER, "assistant", message_id="m17"))

    assert len(data) < 200
    with pytest.raises(
        UndecodableError, match=r"the answer 'm17' is not in the journal: it has 262,\d+ bytes.*history"
    ):
        decode_answer(data)


@pytest.mark.parametrize("content", [object(), "\ud800"])
def test_an_answer_that_json_cannot_hold_is_said_to_be_in_the_history(content: Any) -> None:
    with pytest.raises(UndecodableError, match=r"the answer 'm17' is not in the journal: .*; read it in the history"):
        decode_answer(encode_answer(ChatMessage(content, "assistant", message_id="m17")))
