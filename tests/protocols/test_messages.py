import enum
from datetime import UTC, date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from protocols.cost import TokenCost, TokenUsage
from protocols.messages import ChatMessage, MessageStyle
from protocols.tool_call import ToolCallInfo

COST = TokenCost(TokenUsage(input_tokens=30, output_tokens=12), Decimal("0.00042"))


def answer(content: str = "It is signed.", name: str | None = "analyzer") -> ChatMessage[str]:
    return ChatMessage(
        content,
        "assistant",
        name=name,
        timestamp=datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC),
        model_name="offline",
        cost_info=COST,
        response_time=0.25,
        metadata={"topic": "law"},
        forwarded_from=("reader", "cutter"),
    )


def test_message_ids_are_128_bit_and_differ_for_every_message() -> None:
    ids = {ChatMessage("same", "user").message_id for _ in range(200)}
    assert len(ids) == 200
    assert {len(bytes.fromhex(one)) for one in ids} == {16}


def test_fresh_message_has_the_documented_defaults() -> None:
    message = ChatMessage("x", "user")
    assert (message.metadata, message.forwarded_from, message.tool_calls, message.messages) == ({}, (), (), ())
    assert message.cost_info is None
    assert message.usage == TokenUsage()
    assert message.timestamp.tzinfo is UTC
    assert message.data == message.output == "x"


def test_message_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        answer().content = "other"  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]


def test_default_metadata_is_not_shared_between_messages() -> None:
    first, second = ChatMessage("a", "user"), ChatMessage("b", "user")
    assert first.metadata is not second.metadata


def test_message_with_unhashable_content_can_be_put_into_a_set() -> None:
    message = ChatMessage(["a", "b"], "assistant")
    assert message in {message}


def test_forwarded_copy_carries_the_chain_of_the_previous_message_plus_its_sender() -> None:
    message = ChatMessage("next", "assistant", name="editor")
    assert message.forwarded(answer()).forwarded_from == ("reader", "cutter", "analyzer")
    assert message.forwarded(answer(name=None)).forwarded_from[-1] == "unknown"
    assert message.forwarded_from == ()


def test_request_made_of_an_answer_is_a_users_and_costs_nothing() -> None:
    original = answer()
    request = original.to_request()
    assert (request.role, request.cost_info, request.content) == ("user", None, "It is signed.")
    assert (request.message_id, request.forwarded_from) == (original.message_id, original.forwarded_from)
    assert request.to_request() is request


def test_user_prompt_opens_a_conversation_unless_one_is_given() -> None:
    fresh, other = ChatMessage.user_prompt("q"), ChatMessage.user_prompt("q")
    assert fresh.role == "user"
    assert fresh.conversation_id
    assert fresh.conversation_id != other.conversation_id
    assert ChatMessage.user_prompt("q", "c1").conversation_id == "c1"


def test_tool_calls_can_be_filtered_by_name_and_by_agent() -> None:
    calls = (ToolCallInfo("search", agent_name="a"), ToolCallInfo("add", agent_name="b"))
    message = ChatMessage("x", "assistant", tool_calls=calls)
    assert message.get_tool_calls() == list(calls)
    assert message.get_tool_calls({"add": print}) == [calls[1]]
    assert message.get_tool_calls(agent_name="a") == [calls[0]]
    assert message.get_tool_calls(["add"], "a") == []


def test_text_of_a_list_is_one_item_per_line_when_nobody_knows_who_said_what() -> None:
    assert ChatMessage(["a", "b"], "assistant").text == "a\nb"
    assert ChatMessage(["a", 2], "assistant").text == '["a",2]'


def test_text_of_a_team_answer_is_labelled_blocks_in_member_order() -> None:
    members = (answer("one", "a"), answer("two", "b"))
    message = ChatMessage(["one", "two"], "assistant", associated_messages=members)
    assert message.text == "[a]: one\n\n[b]: two"
    assert str(message) == message.text


def test_text_of_a_team_answer_can_take_the_names_from_the_metadata() -> None:
    message = ChatMessage(["one", "two"], "assistant", metadata={"agent_names": ["a", "b"]})
    assert message.text == "[a]: one\n\n[b]: two"


def test_text_of_teams_and_chains_inside_a_team_is_labelled_at_every_depth() -> None:
    inner = ChatMessage(
        ["x\ny", {"n": 1}], "assistant", name="inner", associated_messages=(answer("x\ny", "a"), answer("", "b"))
    )
    chain = ChatMessage(
        inner.content, "assistant", name="chain", metadata={"execution_order": ["p", "inner"]},
        associated_messages=(answer("plan", "p"), inner),
    )  # fmt: skip
    assert chain.text == inner.text == '[a]: x\ny\n\n[b]: {"n":1}'
    outer = ChatMessage(["one", inner.content], "assistant", associated_messages=(answer("one", "a"), chain))
    assert outer.text == '[a]: one\n\n[chain]:\n  [a]: x\n  y\n\n  [b]: {"n":1}'
    listed = msgspec.structs.replace(
        chain, content=["one", "two"], associated_messages=(answer("plan", "p"), answer("", "q"))
    )
    assert listed.text == "one\ntwo", "the items of a last stage are no answers of the stages"


class _Level(enum.Enum):
    HIGH = "high"


class _Point(NamedTuple):
    x: int


class _Model(BaseModel):
    on: date
    level: _Level


class _Note:
    def __str__(self) -> str:
        return "note"


_RING: list[object] = []
_RING.append(_RING)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (_Level.HIGH, "high"),
        (True, "true"),
        (None, "null"),
        (1.5, "1.5"),
        (_Note(), "note"),
        ([_Note()], '["note"]'),
        ((1, "a"), '[1,"a"]'),
        (_Point(1), "[1]"),
        ({1}, "[1]"),
        (range(2), "[0,1]"),
        (MappingProxyType({"a": [_Point(1)]}), '{"a":[[1]]}'),
        ({(1, 2): {3}}, '{"1,2":[3]}'),
        ({"a": 10**30}, f'{{"a":{10**30}}}'),
        (["\ud83d", 1], '["\\ud83d",1]'),
        ({"m": _Model(on=date(2026, 1, 2), level=_Level.HIGH)}, '{"m":{"on":"2026-01-02","level":"high"}}'),
    ],
)  # fmt: skip
def test_structured_values_are_json_at_every_depth(value: object, text: str) -> None:
    assert ChatMessage(value, "assistant").text == text


def test_text_of_a_list_that_contains_itself_ends() -> None:
    assert "..." in ChatMessage(_RING, "assistant").text


@given(st.text())
def test_byte_count_is_the_length_in_utf8(text: str) -> None:
    assert ChatMessage(text, "user").byte_count == len(text.encode("utf-8", "surrogatepass"))


def test_byte_count_of_a_list_is_that_of_its_text_form() -> None:
    assert ChatMessage(["é"], "user").byte_count == len("['é']".encode())


def test_simple_format_is_sender_and_text() -> None:
    assert answer().format() == "analyzer: It is signed."
    assert ChatMessage("hi", "user").format() == "user: hi"


def test_detailed_format_has_one_fact_per_line_and_extras_on_request() -> None:
    plain = answer().format("detailed")
    assert plain.splitlines() == [
        "from: analyzer",
        "role: assistant",
        "time: 2026-03-04 05:06:07",
        "model: offline",
        "via: reader > cutter",
        "",
        "It is signed.",
    ]
    full = answer().format("detailed", show_metadata=True, show_costs=True).splitlines()
    assert set(full) - set(plain.splitlines()) == {
        "tokens: 42 (30 in, 12 out)",
        "cost: $0.000420",
        "response time: 0.25 s",
        "topic: law",
    }


def test_markdown_format_has_a_heading_the_text_and_the_extras() -> None:
    lines = answer().format("markdown", show_metadata=True).splitlines()
    assert lines[0] == "## analyzer"
    assert "It is signed." in lines
    assert "- **topic**: law" in lines


def test_format_says_so_when_the_price_is_unknown() -> None:
    message = msgspec.structs.replace(answer(), cost_info=TokenCost(TokenUsage(1, 1), cost_known=False))
    assert "cost: unknown" in message.format("detailed", show_costs=True)


def test_custom_format_fills_a_template_of_either_kind() -> None:
    assert answer().format("custom", template="{name}>{content} {{x}} {n:>3}", variables={"n": 7}) == (
        "analyzer>It is signed. {x}   7"
    )
    assert answer().format("custom", template="$name costs $$ ${tokens}") == "analyzer costs $ 42"


def test_custom_format_knows_every_documented_field() -> None:
    fields = (
        "content", "name", "role", "timestamp", "time", "model", "message_id", "conversation_id", "forwarded_from",
        "cost", "tokens", "response_time", "metadata",
    )  # fmt: skip
    template = "|".join(f"{{{field}}}" for field in fields)
    for message in (answer(), ChatMessage("", "user")):
        assert message.format("custom", template=template).count("|") == len(fields) - 1


@pytest.mark.parametrize(
    ("style", "template", "words"),
    [
        ("custom", None, "needs a template"),
        ("fancy", None, "unknown message style 'fancy'"),
        ("custom", "{sender}", "unknown field 'sender'"),
        ("custom", "$sender", "unknown field 'sender'"),
        ("custom", "{name.__class__}", "not a plain field name"),
        ("custom", "{name[0]}", "not a plain field name"),
        ("custom", "{0}", "not a plain field name"),
        ("custom", "{}", "not a plain field name"),
        ("custom", "{name", "cannot be used"),
        ("custom", "$", "cannot be used"),
        ("custom", "{name:{content.__class__}}", "not a plain field name"),
        ("custom", "{name:>{content}}", "cannot be used"),
    ],
)
def test_format_refuses_what_it_cannot_render(style: Any, template: str | None, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("{", r"\{")):
        answer().format(style, template=template)


@given(st.sampled_from(["simple", "detailed", "markdown"]), st.text())
def test_every_builtin_style_contains_the_text(style: MessageStyle, text: str) -> None:
    assert text in ChatMessage(text, "user").format(style, show_costs=True, show_metadata=True)


def test_message_survives_json() -> None:
    message = answer()
    assert msgspec.json.decode(msgspec.json.encode(message), type=ChatMessage[str]) == message


def test_the_repr_of_a_message_is_short() -> None:
    answer = ChatMessage("x" * 1_000, "assistant", name="clerk", metadata={"secret": "s"})

    assert repr(answer) == f"ChatMessage('{'x' * 78}…, 'assistant', name='clerk')"
    assert repr(ChatMessage("hi", "user")) == "ChatMessage('hi', 'user')"
