import asyncio
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Literal

import pytest
from pydantic_ai.exceptions import (
    FallbackExceptionGroup,
    ModelAPIError,
    ModelConnectionError,
    ModelHTTPError,
    ModelRateLimitError,
    UnexpectedModelBehavior,
)
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models import Model
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.function import AgentInfo, FunctionModel

from actors import Agent, ModelPolicy
from actors.runtime.system import ActorSystem
from actors.testing.clock import ManualClock
from actors.testing.faults import cut, no_answer, raw, refusal
from actors.testing.hostile_server import HostileServer, Reply
from actors.testing.models import RecordingModel, failing_model, scripted_model, served_model, slow_model
from actors.testing.openai_answer import Answer
from actors.testing.settle import settle
from protocols import model_errors as errors
from protocols.errors import RunTimeoutError

BUSY = ModelHTTPError(503, "m")
NO_WAIT = ModelPolicy(min_wait=0)

Start = Callable[..., Agent[Any, Any]]


def limited(seconds: object) -> ModelHTTPError:
    return ModelHTTPError.for_category(
        ModelRateLimitError, status_code=429, model_name="m", headers={"retry-after": str(seconds)}
    )


@pytest.fixture
def start(actor_system: ActorSystem, manual_clock: ManualClock) -> Start:
    """Start an agent on the manual clock."""

    def agent(model: Model, **settings: Any) -> Agent[Any, Any]:
        keywords: Any = {"timeout": None, **settings}
        made: Agent[Any, Any] = Agent("a", model=model, session=False, **keywords)
        actor_system.start(made.factory())
        return made

    return agent


async def ended(run: Awaitable[Any], clock: ManualClock) -> Any:
    """Move the clock until a run has ended."""
    task = asyncio.ensure_future(run)
    for _ in range(100):
        await settle()
        if task.done():
            break
        await clock.advance(clock.next_due - clock.now() if clock.next_due is not None else 0.0)
    return await task


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


# -- streams ------------------------------------------------------------------------------------------------------

Piece = str | Exception | asyncio.Event


def streaming(*attempts: list[Piece]) -> tuple[Model, list[int]]:
    """Return a model with the pieces of each attempt, and the list of its attempts."""
    begun: list[int] = []

    async def pieces(_: list[ModelMessage], __: AgentInfo) -> AsyncIterator[str]:
        begun.append(len(begun))
        for piece in attempts[min(len(begun), len(attempts)) - 1]:
            if isinstance(piece, asyncio.Event):
                await piece.wait()
            elif isinstance(piece, Exception):
                raise piece
            else:
                yield piece

    return FunctionModel(stream_function=pieces), begun


async def text_of(agent: Agent[Any, Any]) -> str:
    async with agent.run_stream("x") as stream:
        return "".join([piece async for piece in stream.stream()])


async def test_a_stream_that_fails_before_its_first_event_is_tried_again(
    start: Start, manual_clock: ManualClock
) -> None:
    model, begun = streaming([BUSY], [limited(1)], ["all ", "of it"])

    assert await ended(text_of(start(model)), manual_clock) == "all of it"
    assert len(begun) == 3


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ModelConnectionError("m", "reset", phase="read"), errors.StreamInterruptedError),
        (BUSY, errors.OverloadedError),
        (limited(1), errors.RateLimitedError),
        (ModelAPIError("m", "Failed to decode"), errors.BadResponseError),
    ],
)
async def test_a_stream_that_fails_later_is_an_error_with_its_text(
    start: Start, error: Exception, kind: type[errors.ModelCallError]
) -> None:
    model, begun = streaming(["half ", error])

    with pytest.raises(kind) as caught:
        await text_of(start(model))

    assert (caught.value.partial, len(begun)) == ("half ", 1)


async def test_a_stream_without_an_event_is_tried_again(start: Start, manual_clock: ManualClock) -> None:
    model, begun = streaming([asyncio.Event()], ["all"])

    assert await ended(text_of(start(model)), manual_clock) == "all"
    assert (len(begun), 120 <= manual_clock.now() < 121) == (2, True)


async def test_a_stream_that_stays_silent_is_an_error_with_its_text(start: Start, manual_clock: ManualClock) -> None:
    going = asyncio.Event()
    model, _ = streaming(["half ", going, "more ", asyncio.Event()])
    run = asyncio.create_task(text_of(start(model, policy=ModelPolicy(idle=10))))
    await settle()
    await manual_clock.advance(9)
    going.set()
    await settle()
    await manual_clock.advance(9)
    assert not run.done()

    await manual_clock.advance(1)

    with pytest.raises(errors.UpstreamTimeoutError, match="nothing more of the answer within 10 s") as caught:
        await run
    assert (caught.value.phase, caught.value.partial) == ("idle", "half more ")
    assert manual_clock.pending == 0


async def test_the_deadline_holds_for_a_stream_that_never_ends(start: Start, manual_clock: ManualClock) -> None:
    async def endless(_: list[ModelMessage], __: AgentInfo) -> AsyncIterator[str]:
        while True:
            yield "x"
            manual_clock.tick(1)
            await asyncio.sleep(0)

    with pytest.raises(errors.UpstreamTimeoutError, match="no answer within 5 s") as caught:
        await text_of(start(FunctionModel(stream_function=endless), policy=ModelPolicy(deadline=5)))
    assert caught.value.partial


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


# -- a real client ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_the_client_of_the_provider_repeats_nothing_itself(api: Literal["chat", "responses"]) -> None:
    async with (
        HostileServer([refusal(503), no_answer(), Answer("hello")]) as server,
        served_model(server, api=api) as model,
    ):
        answer = await Agent("a", model=model, policy=NO_WAIT).run("x")

    assert (answer.content, len(server.requests)) == ("hello", 3)


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_one_policy_holds_for_a_stream_of_a_real_client(api: Literal["chat", "responses"]) -> None:
    script: list[Reply] = [refusal(429, headers={"retry-after-ms": "1"}), Answer("hello")]
    async with HostileServer(script) as server, served_model(server, api=api) as model:
        assert await text_of(Agent("a", model=model, policy=NO_WAIT)) == "hello"

    assert len(server.requests) == 2


async def test_a_stream_that_is_reset_is_an_error_with_its_text() -> None:
    async with HostileServer(cut(Answer("hello world"), after=4)) as server, served_model(server) as model:
        with pytest.raises(errors.StreamInterruptedError) as caught:
            await text_of(Agent("a", model=model))

    assert len(server.requests) == 1
    assert caught.value.partial
    assert "hello world".startswith(caught.value.partial)


@pytest.mark.parametrize(
    "body", [b"{oops", b"\xff", b"[" * 200_000, b'{"created": ' + b"9" * 5_000 + b"}", b"<html>", b"[]", b"{}"]
)
async def test_a_body_that_is_no_answer_is_told_as_such_and_asked_for_once_more(body: bytes) -> None:
    async with HostileServer(raw(body)) as server, served_model(server) as model:
        agent = Agent("a", model=model, policy=NO_WAIT)
        with pytest.raises(errors.BadResponseError):
            await agent.run("x")

    assert len(server.requests) == 2


async def test_a_redirect_is_not_followed() -> None:
    script = raw(status=307, headers={"location": "http://127.0.0.2:1/v1"})
    async with HostileServer(script) as server, served_model(server) as model:
        with pytest.raises(errors.BadResponseError, match="307"):
            await Agent("a", model=model).run("x")

    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
async def test_a_refusal_names_model_and_endpoint_and_not_the_key(status: int) -> None:
    key = "sk-canary-canary"
    script = refusal(status, f"not with {key}", code="no")
    async with HostileServer(script) as server, served_model(server, key=key) as model:
        with pytest.raises(
            errors.ModelCallError, match=rf"{status}, model_name: m.*not with \*\*\*.*\(127.0.0.1:"
        ) as caught:
            await Agent("a", model=model).run("x")

    assert "canary" not in "".join([*traceback.format_exception(caught.value), repr(vars(caught.value))])
    assert len(server.requests) == 1


async def test_a_limit_closes_the_connection_of_a_stream(start: Start, manual_clock: ManualClock) -> None:
    async with HostileServer(cut(Answer("hello world"), after=4, end="hang")) as server, served_model(server) as model:
        run = asyncio.create_task(text_of(start(model, policy=ModelPolicy(idle=5))))
        request = await server.arrived(1)
        while not run.done():
            await manual_clock.advance(5)
        await request.closed.wait()
        with pytest.raises(errors.UpstreamTimeoutError) as caught:
            await run

    assert caught.value.phase in ("idle", "first_byte")


# -- what is kept -------------------------------------------------------------------------------------------------


async def test_models_that_runs_bring_along_are_not_kept_for_ever() -> None:
    agent = Agent("a", model="offline", session=False)
    for _ in range(40):
        await agent.run("x", model=RecordingModel(_hello))

    kept: Any = agent.execution
    assert [len(known) for known in kept._resolved.values()] == [32]


async def _hello(_: object) -> str:
    return "hello"
