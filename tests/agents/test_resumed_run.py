"""A run that goes on after a failure does not repeat the calls of tools that were finished."""

from typing import Any

import pytest
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolReturnPart, UserPromptPart

from actors.agents.agent import Agent
from actors.supervision.backoff import Backoff
from actors.supervision.retry import Retry
from actors.testing.faults import refusal
from actors.testing.hostile_server import HostileServer, Reply
from actors.testing.models import scripted_model, served_model, tool_call
from actors.testing.openai_answer import Answer
from protocols.model_errors import BadRequestError

pytestmark = pytest.mark.usefixtures("no_leaked_actors")

AGAIN = Retry(on=(Exception, BadRequestError), backoff=Backoff.none())


class Till:
    """Tools that count their calls, one of which may fail."""

    def __init__(self, failures: int = 0) -> None:
        self.paid: list[int] = []
        self.shown = 0
        self.failures = failures

    def pay(self, amount: int) -> str:
        """Pay."""
        self.paid.append(amount)
        return f"paid {amount}"

    def show(self) -> str:
        """Show."""
        self.shown += 1
        if self.failures:
            self.failures -= 1
            raise OSError("no display")
        return "shown"


def calls(*tools: str) -> ModelResponse:
    given: dict[str, dict[str, object]] = {"pay": {"amount": 3}}
    return ModelResponse([part for tool in tools for part in tool_call(tool, **given.get(tool, {})).parts])


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("session", [None, "alice"])
async def test_the_next_attempt_goes_on_after_the_finished_calls(session: str | None, *, streamed: bool) -> None:
    till = Till()
    model = scripted_model([calls("pay"), OSError("reset"), OSError("reset"), "all paid"])
    async with Agent("a", model=model, tools=[till.pay], retry=AGAIN) as agent:
        if streamed:
            async with agent.run_stream("pay 3", session=session) as stream:
                assert "".join([piece async for piece in stream.stream()]) == "all paid"
            answer = stream.result
        else:
            answer = await agent.run("pay 3", session=session)
        remembered = agent.history if session is None else agent.sessions.get(session)

    assert (answer.content, till.paid) == ("all paid", [3])
    assert [call.tool_name for call in answer.tool_calls] == ["pay"]
    assert [type(message).__name__ for message in answer.messages] == ["ModelRequest", "ModelResponse"] * 2
    assert tuple(remembered) == tuple(answer.messages)
    assert answer.messages[0].parts[0].content == "pay 3"
    assert answer.usage.total_tokens == sum(
        one.usage.total_tokens for one in answer.messages if isinstance(one, ModelResponse)
    )


async def test_what_was_remembered_before_stands_there_once() -> None:
    till = Till()
    model = scripted_model(["hello", calls("pay"), OSError("reset"), "all paid"])
    async with Agent("a", model=model, tools=[till.pay], retry=AGAIN) as agent:
        await agent.run("hi")
        answer = await agent.run("pay 3")

        assert len(answer.messages) == 4
        assert len(agent.history) == 6
    assert [len(call.messages) for call in model.requests] == [1, 3, 5, 5]


async def test_a_call_that_failed_beside_a_finished_one_is_told_as_interrupted() -> None:
    till = Till(failures=1)
    model = scripted_model([calls("pay", "show"), calls("show"), "done"])
    async with Agent("a", model=model, tools=[till.pay, till.show], retry=AGAIN) as agent:
        answer = await agent.run("pay and show")

    assert (answer.content, till.paid, till.shown) == ("done", [3], 2)
    told: list[Any] = [part for part in answer.messages[2].parts if isinstance(part, ToolReturnPart)]
    assert [part.outcome for part in told] == ["success", "interrupted"]


async def test_a_call_that_failed_alone_is_asked_for_again() -> None:
    till = Till(failures=1)
    model = scripted_model([calls("pay"), calls("show"), calls("show"), "done"])
    async with Agent("a", model=model, tools=[till.pay, till.show], retry=AGAIN) as agent:
        answer = await agent.run("pay, then show")

    assert (answer.content, till.paid, till.shown) == ("done", [3], 2)
    assert len(model.requests[2].messages) == len(model.requests[1].messages)


async def test_without_a_finished_call_the_step_begins_anew() -> None:
    till = Till(failures=1)
    model = scripted_model([calls("show"), calls("show"), "done"])
    async with Agent("a", model=model, tools=[till.show], retry=AGAIN) as agent:
        answer = await agent.run("show")

    assert (answer.content, till.shown, len(answer.messages)) == ("done", 2, 4)
    assert len(model.requests[1].messages) == 1


async def test_the_error_of_a_failed_run_has_the_messages_so_far_for_another_run() -> None:
    till = Till()
    model = scripted_model([calls("pay"), OSError("reset"), "all paid"])
    async with Agent("a", model=model, tools=[till.pay]) as agent:
        with pytest.raises(OSError, match="reset") as caught:
            await agent.run("pay 3")
        assert agent.history == ()
        error: Any = caught.value
        answer = await agent.run("Go on.", message_history=error.messages)

    assert (answer.content, till.paid, len(error.messages)) == ("all paid", [3], 3)


async def test_an_error_does_not_hold_more_messages_than_its_limit() -> None:
    history: list[ModelMessage] = [ModelRequest([UserPromptPart("x")]), ModelResponse([TextPart("y")])] * 500
    async with Agent("a", model=scripted_model([OSError("reset")])) as agent:
        with pytest.raises(OSError, match="reset") as caught:
            await agent.run("x", message_history=history)

    assert not hasattr(caught.value, "messages")


async def test_over_a_socket_the_tool_is_called_once() -> None:
    till = Till()
    script: list[Reply] = [Answer("", calls=[("pay", {"amount": 3})]), refusal(400, "bad luck"), Answer("all paid")]
    async with HostileServer(script) as server, served_model(server) as model:
        async with Agent("a", model=model, tools=[till.pay], retry=AGAIN) as agent:
            answer = await agent.run("pay 3")

        assert (answer.content, till.paid, len(server.requests)) == ("all paid", [3], 3)
        assert server.requests[1].body["messages"] == server.requests[2].body["messages"]


async def test_an_error_that_has_messages_of_its_own_keeps_them() -> None:
    class FormError(Exception):
        def __init__(self) -> None:
            self.messages = ["the name is missing"]

    def check() -> str:
        raise FormError

    async with Agent("a", model=scripted_model([tool_call("check"), "done"]), tools=[check]) as agent:
        with pytest.raises(FormError) as caught:
            await agent.run("hi")
    assert caught.value.messages == ["the name is missing"]


async def test_an_error_of_a_worker_has_the_messages_of_the_run_that_failed_with_it() -> None:
    worker = Agent("worker", model=scripted_model([OSError("reset")]))
    boss = Agent("boss", model=scripted_model([tool_call("ask_worker", prompt="help")]))
    boss.register_worker(worker)
    async with worker, boss:
        with pytest.raises(OSError, match="reset") as caught:
            await boss.run("do it")

    error: Any = caught.value
    assert error.messages[0].parts[0].content == "do it"
    assert isinstance(error.messages, tuple)
