import asyncio
import traceback
from collections.abc import AsyncIterator
from typing import Literal

import pytest
from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelConnectionError,
)
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import Model
from pydantic_ai.models.function import AgentInfo, FunctionModel

from actors import Agent, ModelPolicy
from actors.testing.clock import ManualClock
from actors.testing.faults import cut, no_answer, raw, refusal
from actors.testing.hostile_server import HostileServer, Reply
from actors.testing.models import served_model
from actors.testing.openai_answer import Answer
from actors.testing.settle import settle
from protocols import model_errors as errors
from tests.support.policy import BUSY, NO_WAIT, Start, ended, limited, text_of

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
            errors.ModelCallError, match=rf"node 'a': model 'm': status {status}: not with \*\*\*.*\(127.0.0.1:"
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
