import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_ai.messages import (
    BinaryContent,
    ImageUrl,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.usage import RequestUsage

from actors.agents.memory import DEFAULT_LIMIT, Memory, dump_messages, first_turn, load_messages
from protocols.ring import weight


def turn(number: int, tools: int = 0) -> list[ModelMessage]:
    messages: list[ModelMessage] = [ModelRequest([UserPromptPart(f"q{number}")])]
    for place in range(tools):
        messages.append(ModelResponse([ToolCallPart("tool", {}, f"{number}-{place}")]))
        messages.append(ModelRequest([ToolReturnPart("tool", "done", f"{number}-{place}")]))
    messages.append(ModelResponse([TextPart(f"a{number}")]))
    return messages


def call_ids(messages: tuple[ModelMessage, ...], kind: type[ToolCallPart] | type[ToolReturnPart]) -> list[str]:
    return [part.tool_call_id for message in messages for part in message.parts if isinstance(part, kind)]


def test_a_history_keeps_whole_runs_in_order() -> None:
    history, first, second = Memory(), turn(1), turn(2)
    history.add(first)
    history.add(second)

    assert history.messages == (*first, *second)
    assert history.limit == DEFAULT_LIMIT == 200


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.integers(1, 20))
def test_a_history_stays_bounded_and_never_parts_a_call_from_its_return(tools: list[int], limit: int) -> None:
    history = Memory(limit)

    for number, count in enumerate(tools):
        history.add(turn(number, count))

    last = len(turn(0, tools[-1]))
    assert len(history) <= max(limit, last)
    assert isinstance(history.messages[0].parts[0], UserPromptPart)
    assert call_ids(history.messages, ToolCallPart) == call_ids(history.messages, ToolReturnPart)
    assert history.messages[-1].parts[0] == TextPart(f"a{len(tools) - 1}")


def test_a_summary_takes_the_place_of_what_is_forgotten() -> None:
    forgotten: list[int] = []

    def summarise(messages: object) -> list[ModelMessage]:
        forgotten.append(len(list(messages)))  # type: ignore[call-overload]
        return [ModelRequest([UserPromptPart("summary")])]

    history = Memory(4, summary=summarise)
    for number in range(3):
        history.add(turn(number))

    assert forgotten == [2]
    assert [part.content for part in history.messages[0].parts if isinstance(part, UserPromptPart)] == ["summary"]
    assert len(history) == 5


def test_a_history_stays_bounded_whatever_its_summary_makes(caplog: pytest.LogCaptureFixture) -> None:
    history = Memory(4, summary=lambda messages: list(messages) * 3)
    for number in range(20):
        history.add(turn(number))
        assert len(history) <= 8

    assert "a summary of 6 messages is left out" in caplog.text


def test_a_summary_that_fails_is_logged_and_the_exchange_is_remembered(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: object) -> list[ModelMessage]:
        raise KeyError("k")

    history, last = Memory(2, summary=broken), turn(2)
    history.add(turn(1))
    history.add(last)

    assert history.messages == tuple(last)
    assert "the summary of 2 messages failed" in caplog.text


def test_a_restored_history_is_bounded_too() -> None:
    history = Memory(2)
    history.replace([*turn(1), *turn(2)])

    assert len(history) == 2
    history.clear()
    assert history.messages == ()


def test_a_history_without_any_turn_is_cut_at_the_limit() -> None:
    assert first_turn([ModelResponse([TextPart("x")])] * 3, 1) == 1


def test_knowledge_is_known_until_its_turn_is_forgotten() -> None:
    history = Memory(4)
    assert not history.is_primed

    history.add(turn(1), is_primed=True)
    history.add(turn(2), is_primed=True)
    known = [history.is_primed]
    history.add(turn(3))
    known.append(history.is_primed)

    assert known == [True, False]


def test_a_history_keeps_at_least_one_message() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Memory(0)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3_000)), min_size=1, max_size=12), st.integers(1, 8_000))
def test_a_history_is_bounded_by_bytes_at_whole_turns_and_keeps_the_last(
    runs: list[tuple[int, int]], most: int
) -> None:
    history = Memory(1_000, most_bytes=most)
    given_turns = [[ModelRequest([UserPromptPart("x" * size)]), *turn(0, tools)[1:]] for tools, size in runs]
    for messages in given_turns:
        history.add(messages)
    kept = list(history.messages)
    assert kept in [[one for messages in given_turns[start:] for one in messages] for start in range(len(runs))]
    assert len(kept) == len(given_turns[-1]) or weight(kept) <= most * 1.05


def test_model_messages_are_stored_in_the_format_of_pydantic_ai() -> None:
    messages: list[ModelMessage] = [
        ModelRequest(
            parts=[
                SystemPromptPart("Be brief.", dynamic_ref="x"),
                UserPromptPart(
                    ["Look:", BinaryContent(b"\xff\x00\x01", media_type="image/png"), ImageUrl("https://a.b/c")]
                ),
            ]
        ),
        ModelResponse(parts=[ThinkingPart("hm"), TextPart("Ä"), ToolCallPart("look", {"at": None, "by": 1.5}, "1")]),
        ModelRequest(parts=[ToolReturnPart("look", {"found": [b"\xfe", None]}, "1")]),
        ModelResponse(parts=[], usage=RequestUsage(input_tokens=1, details={"x": 2}), provider_details={"b": b"\xfd"}),
    ]
    stored = dump_messages(messages)
    assert stored == ModelMessagesTypeAdapter.dump_json(messages)
    assert load_messages(stored) == ModelMessagesTypeAdapter.validate_json(stored)
    assert dump_messages([]) == b"[]"
