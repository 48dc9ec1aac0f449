"""Messages as JSON: by themselves, by msgspec, by pydantic, and from a route of FastAPI."""

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from fastapi import FastAPI
from pydantic import BaseModel, TypeAdapter
from starlette.testclient import TestClient

from protocols.cost import TokenCost, TokenUsage
from protocols.json_value import as_json
from protocols.messages import ChatMessage
from protocols.response import AgentResponse, TeamResponse
from protocols.tool_call import ToolCallInfo


class City(BaseModel):
    name: str


@dataclasses.dataclass
class Trip:
    to: City


class Point(msgspec.Struct):
    x: object


class Unreadable:
    def __str__(self) -> str:
        raise ValueError


OSLO = City(name="Oslo")
CONTENTS: list[tuple[object, object]] = [
    ("text", "text"),
    (OSLO, {"name": "Oslo"}),
    ([OSLO, "b"], [{"name": "Oslo"}, "b"]),
    (Trip(OSLO), {"to": {"name": "Oslo"}}),
    (Point(OSLO), {"x": {"name": "Oslo"}}),
    (MappingProxyType({"a": OSLO}), {"a": {"name": "Oslo"}}),
    (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00Z"),
    (Path("a"), "a"),
    (b"\xff", "_w=="),
    (float("nan"), None),
    ({(1, 2): 3}, {"1,2": 3}),
    (2**90, 2**90),
    (ValueError("no"), "no"),
    (Unreadable(), "<Unreadable>"),
]


def message(content: object) -> ChatMessage[Any]:
    return ChatMessage(
        content,
        "assistant",
        metadata={"k": content},
        cost_info=TokenCost(TokenUsage(1, 2)),
        associated_messages=(ChatMessage(content, "user", messages=("secret",)),),
        tool_calls=(ToolCallInfo("t", {"a": content}, content),),
        messages=("secret",),
    )


@pytest.mark.parametrize(("content", "expected"), CONTENTS)
def test_a_message_with_any_content_has_a_form_in_json(content: object, expected: object) -> None:
    written = message(content).to_dict()

    assert json.loads(json.dumps(written, allow_nan=False)) == written
    assert [written["content"], written["metadata"]["k"], written["tool_calls"][0]["result"]] == [expected] * 3
    assert written["associated_messages"][0]["content"] == expected


def test_messages_of_the_model_are_written_on_demand_only() -> None:
    assert "secret" not in message("a").to_json()
    assert message("a").to_dict(model_messages=True)["messages"] == ["secret"]


def test_msgspec_encodes_what_to_dict_returns_and_takes_a_hook() -> None:
    for value, hook in ((message(OSLO).to_dict(), None), (message(OSLO), as_json)):
        assert msgspec.json.decode(msgspec.json.encode(value, enc_hook=hook))["content"] == {"name": "Oslo"}


def test_a_model_of_pydantic_contains_a_message() -> None:
    adapter = TypeAdapter(ChatMessage[Any])
    sent = message("a")

    back = adapter.validate_json(adapter.dump_json(sent))

    assert back.content == "a"
    assert back.cost_info == sent.cost_info
    assert adapter.json_schema()["type"] == adapter.json_schema(mode="serialization")["type"] == "object"
    with pytest.raises(ValueError, match="role"):
        adapter.validate_python({"content": "a"})


def test_a_route_returns_a_message_with_and_without_an_annotation() -> None:
    app = FastAPI()

    async def bare() -> Any:
        return message(OSLO)

    async def declared() -> ChatMessage[Any]:
        return message(OSLO)

    async def team() -> list[AgentResponse[Any]]:
        return TeamResponse([AgentResponse("a", message(OSLO))])

    for route in (bare, declared, team):
        app.get(f"/{route.__name__}")(route)
    client = TestClient(app)
    bare_answer, declared_answer, members, schema = (
        client.get(path).json() for path in ("/bare", "/declared", "/team", "/openapi.json")
    )

    assert bare_answer["content"] == declared_answer["content"] == {"name": "Oslo"}
    assert members[0]["message"]["content"] == {"name": "Oslo"}
    assert schema["paths"].keys() == {"/bare", "/declared", "/team"}
