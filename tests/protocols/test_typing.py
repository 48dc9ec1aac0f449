"""What the type checkers infer of the shared values; the calls run as well."""

from typing import assert_type

from protocols.events import Event, decode, encode
from protocols.messages import ChatMessage
from protocols.response import AgentResponse, TeamResponse
from protocols.ring import MessageRing


def test_content_type_is_inferred_and_kept() -> None:
    message = ChatMessage("text", "assistant")
    assert_type(message, ChatMessage[str])
    assert_type(message.content, str)
    assert_type(message.forwarded(message), ChatMessage[str])
    assert_type(message.to_request(), ChatMessage[str])
    assert_type(ChatMessage.user_prompt(3), ChatMessage[int])
    assert message.data == "text"


def test_message_of_a_narrow_type_is_one_of_a_wider() -> None:
    narrow: ChatMessage[bool] = ChatMessage(True, "user")
    wide: ChatMessage[int] = narrow
    assert wide.content is True


def test_team_response_knows_the_type_of_its_answers() -> None:
    response = TeamResponse([AgentResponse("a", ChatMessage(1, "assistant"))])
    assert_type(response, TeamResponse[int])
    assert_type(response[0].response, int | None)
    assert_type(response.by_agent("a"), AgentResponse[int] | None)
    assert_type(response.to_chat_message(), ChatMessage[str])
    assert response[0].response == 1


def test_ring_and_events_are_typed() -> None:
    assert_type(MessageRing([1])[0], int)
    event = decode('{"kind": "run_started"}')
    assert_type(event, Event)
    assert encode(event)
