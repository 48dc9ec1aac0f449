from datetime import UTC, datetime, timedelta

import pytest

from protocols.messages import ChatMessage
from protocols.response import AgentResponse, TeamResponse


def said(name: str, text: str, timing: float | None = None) -> AgentResponse[str]:
    return AgentResponse(name, ChatMessage(text, "assistant", name=name), timing)


@pytest.fixture
def mixed() -> TeamResponse[str]:
    return TeamResponse([said("a", "one", 0.5), said("b", "two")], errors={"c": ValueError("no"), "d": KeyError()})


@pytest.mark.seed("S104")
def test_team_response_is_a_list_of_agent_responses(mixed: TeamResponse[str]) -> None:
    assert isinstance(mixed, list)
    assert [item.agent_name for item in mixed] == ["a", "b"]
    assert all(isinstance(item, AgentResponse) for item in mixed)


def test_response_gives_the_content_of_the_answer() -> None:
    assert said("a", "one").response == "one"
    assert said("a", "one").success
    failed: AgentResponse[str] = AgentResponse("c", None, error="no")
    assert failed.response is None
    assert not failed.success


def test_list_holds_the_successes_and_errors_the_rest(mixed: TeamResponse[str]) -> None:
    assert len(mixed) == 2
    assert mixed.failed_agents == ["c", "d"]
    assert not mixed.success
    assert TeamResponse([said("a", "one")]).success


def test_failed_member_is_found_by_name_with_its_error(mixed: TeamResponse[str]) -> None:
    failed = mixed.by_agent("c")
    assert failed is not None
    assert (failed.error, failed.message, failed.success) == ("no", None, False)
    nameless = mixed.by_agent("d")
    assert nameless is not None
    assert nameless.error == "KeyError"
    assert not nameless.success


def test_member_that_answered_is_found_by_name(mixed: TeamResponse[str]) -> None:
    assert mixed.by_agent("b") is mixed[1]
    assert mixed.by_agent("nobody") is None


def test_duration_runs_from_the_start_to_the_making_of_the_response() -> None:
    start = datetime.now(UTC) - timedelta(seconds=5)
    response: TeamResponse[str] = TeamResponse([], start)
    assert response.duration == (response.end_time - start).total_seconds()
    assert response.duration >= 5
    assert TeamResponse[str]().duration == 0


def test_durations_are_listed_by_member(mixed: TeamResponse[str]) -> None:
    assert mixed.format_durations() == "a: 0.50 s, total: 0.00 s"


def test_response_becomes_one_message_of_labelled_blocks(mixed: TeamResponse[str]) -> None:
    message = mixed.to_chat_message()
    assert message.content == "[a]: one\n\n[b]: two"
    assert message.role == "assistant"
    assert message.metadata == {
        "type": "team_response",
        "agents": ["a", "b"],
        "duration": mixed.duration,
        "success_count": 2,
    }


def test_errors_given_are_copied() -> None:
    errors: dict[str, Exception] = {"a": ValueError()}
    response: TeamResponse[str] = TeamResponse([], errors=errors)
    errors.clear()
    assert response.failed_agents == ["a"]
