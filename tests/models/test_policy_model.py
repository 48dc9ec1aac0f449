import asyncio
from typing import Any

import pytest
from pydantic_ai.exceptions import (
    FallbackExceptionGroup,
    ModelAPIError,
    ModelConnectionError,
    ModelHTTPError,
    UnexpectedModelBehavior,
)
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.fallback import FallbackModel

from actors import Agent, ModelPolicy
from actors.testing.clock import ManualClock
from actors.testing.models import RecordingModel, failing_model, scripted_model, slow_model
from actors.testing.settle import settle
from protocols import model_errors as errors
from protocols.errors import RunTimeoutError
from tests.support.policy import BUSY, Start, ended, limited, text_of

# -- attempts -----------------------------------------------------------------------------------------------------


async def test_a_failure_that_may_pass_is_tried_again(start: Start, manual_clock: ManualClock) -> None:
    model = failing_model(BUSY, times=3)

    answer = await ended(start(model).run("x"), manual_clock)

    assert (answer.content, len(model.requests)) == ("recovered", 4)
    assert manual_clock.now() <= 0.5 + 1 + 2


async def test_the_last_of_all_attempts_is_told(start: Start, manual_clock: ManualClock) -> None:
    model = failing_model(BUSY)

    with pytest.raises(errors.OverloadedError, match="3 attempts in") as caught:
        await ended(start(model, policy=ModelPolicy(attempts=3)).run("x"), manual_clock)

    assert (caught.value.attempts, len(model.requests)) == (3, 3)
    assert caught.value.elapsed == manual_clock.now()
    assert ModelHTTPError in type(caught.value).__mro__


@pytest.mark.parametrize("error", [ModelHTTPError(400, "m"), ModelHTTPError(413, "m"), ValueError("a bug")])
async def test_a_failure_that_stays_is_told_at_once(start: Start, manual_clock: ManualClock, error: Exception) -> None:
    model = failing_model(error)

    with pytest.raises(type(error)) as caught:
        await start(model).run("x")

    assert len(model.requests) == 1
    assert manual_clock.now() == 0
    assert caught.value is error or isinstance(caught.value, errors.BadRequestError)


async def test_an_answer_that_is_none_is_asked_for_once_more(start: Start, manual_clock: ManualClock) -> None:
    model = failing_model(UnexpectedModelBehavior("odd"))

    with pytest.raises(errors.BadResponseError):
        await ended(start(model).run("x"), manual_clock)

    assert len(model.requests) == 2


async def test_a_connection_that_was_closed_meanwhile_is_replaced_at_once(
    start: Start, manual_clock: ManualClock
) -> None:
    model = failing_model(ModelConnectionError("m", "closed", phase="read"), times=1)

    assert (await start(model).run("x")).content == "recovered"
    assert (len(model.requests), manual_clock.now()) == (2, 0)


async def test_a_wait_that_the_provider_asks_for_is_kept(start: Start, manual_clock: ManualClock) -> None:
    model = failing_model(limited(2), times=1)
    run = asyncio.create_task(start(model).run("x"))

    await manual_clock.advance(1.99)
    before = len(model.requests)
    answer = await ended(run, manual_clock)

    assert (before, len(model.requests), answer.content) == (1, 2, "recovered")


async def test_a_wait_beyond_the_deadline_fails_at_once(start: Start, manual_clock: ManualClock) -> None:
    model = failing_model(limited(30))
    policy = ModelPolicy(deadline=20)

    with pytest.raises(errors.RateLimitedError) as caught:
        await start(model, policy=policy).run("x")
    with pytest.raises(errors.RateLimitedError):
        await start(model, timeout=20).run("x")  # the time of the run counts as well

    assert (caught.value.retry_after, len(model.requests), manual_clock.now()) == (30, 2, 0)
    assert "after the deadline" in caught.value.__notes__[0]


# -- time ---------------------------------------------------------------------------------------------------------


async def test_one_deadline_holds_over_all_attempts(start: Start, manual_clock: ManualClock) -> None:
    slow = slow_model(asyncio.Event())
    run = asyncio.create_task(start(slow, policy=ModelPolicy(deadline=5)).run("x"))
    await slow.started.wait()

    await manual_clock.advance(5)

    with pytest.raises(errors.UpstreamTimeoutError, match=r"no answer within 5 s \(deadline of its policy\)") as caught:
        await run
    assert (caught.value.phase, caught.value.attempts, slow.cancelled) == ("deadline", 1, 1)
    assert {TimeoutError, ModelAPIError} < set(type(caught.value).__mro__)


async def test_an_attempt_without_answer_makes_room_for_the_next(start: Start, manual_clock: ManualClock) -> None:
    slow = slow_model(asyncio.Event())
    run = start(slow, policy=ModelPolicy(deadline=50, first_byte=5, attempts=3)).run("x")

    with pytest.raises(errors.UpstreamTimeoutError, match="nothing of an answer within 5 s"):
        await ended(run, manual_clock)

    assert (len(slow.requests), slow.cancelled) == (3, 3)


async def test_the_time_of_the_run_is_told_as_such(start: Start, manual_clock: ManualClock) -> None:
    slow = slow_model(asyncio.Event())
    run = asyncio.create_task(start(slow, timeout=5).run("x"))
    await slow.started.wait()

    await manual_clock.advance(5)

    with pytest.raises(RunTimeoutError):
        await run


async def test_a_cancelled_run_is_not_tried_again(start: Start, manual_clock: ManualClock) -> None:
    slow = slow_model(asyncio.Event())
    run = asyncio.create_task(start(slow).run("x"))
    await slow.started.wait()

    run.cancel()
    await settle()

    assert (run.cancelled(), slow.cancelled, len(slow.requests), manual_clock.pending) == (True, 1, 1, 0)


# -- answers ------------------------------------------------------------------------------------------------------


async def test_an_answer_that_a_filter_ended_is_no_answer(start: Start) -> None:
    model = scripted_model([ModelResponse([TextPart("part")], finish_reason="content_filter")])

    with pytest.raises(errors.ContentFilteredError) as caught:
        await start(model).run("x")

    assert caught.value.partial == "part"


async def test_no_tool_is_called_for_an_answer_that_calls_too_many(start: Start) -> None:
    called: list[int] = []

    def tool(n: int) -> None:
        called.append(n)

    model = scripted_model([ModelResponse([ToolCallPart("tool", {"n": n}) for n in range(4)])])

    with pytest.raises(errors.BadResponseError, match="calls 4 tools; max_tool_calls is 3"):
        await start(model, tools=[tool], policy=ModelPolicy(max_tool_calls=3)).run("x")

    assert (called, len(model.requests)) == ([], 1)


# -- several models -----------------------------------------------------------------------------------------------


async def test_each_of_several_models_has_its_attempts(start: Start, manual_clock: ManualClock) -> None:
    first, second = failing_model(BUSY), failing_model(BUSY, times=1)
    agent = start(FallbackModel(first, second), policy=ModelPolicy(attempts=2))

    answer = await ended(agent.run("x"), manual_clock)

    assert (answer.content, len(first.requests), len(second.requests)) == ("recovered", 2, 2)


@pytest.mark.parametrize("streamed", [False, True])
async def test_the_last_of_several_models_is_told_with_those_before(
    start: Start, manual_clock: ManualClock, streamed: bool
) -> None:
    agent = start(FallbackModel(failing_model(BUSY), failing_model(limited(1))), policy=ModelPolicy(attempts=2))

    with pytest.raises(errors.RateLimitedError) as caught:
        await ended(text_of(agent) if streamed else agent.run("x"), manual_clock)

    assert caught.value.attempts == 4
    assert "503" in caught.value.__notes__[0]
    assert FallbackExceptionGroup not in type(caught.value).__mro__


async def test_several_models_share_one_deadline(start: Start, manual_clock: ManualClock) -> None:
    slow, other = slow_model(asyncio.Event()), slow_model(asyncio.Event())
    agent = start(FallbackModel(slow, other), policy=ModelPolicy(deadline=10, first_byte=7, attempts=1))

    with pytest.raises(errors.UpstreamTimeoutError):
        await ended(agent.run("x"), manual_clock)

    assert (slow.cancelled, other.cancelled, manual_clock.now()) == (1, 1, 10)


# -- what is kept -------------------------------------------------------------------------------------------------


async def test_models_that_runs_bring_along_are_not_kept_for_ever() -> None:
    agent = Agent("a", model="offline", session=False)
    for _ in range(40):
        await agent.run("x", model=RecordingModel(_hello))

    kept: Any = agent.execution
    assert [len(known) for known in kept._resolved.values()] == [32]


async def _hello(_: object) -> str:
    return "hello"
