"""The examples of asynchronous operations: connections that are waited for or not, background operations."""

import asyncio

import pytest

from actors import Agent
from actors.testing.models import failing_model, slow_model
from actors.testing.settle import settle
from tests.support.nodes import echo_model_agent

AnyAgent = Agent[object, str]


@pytest.mark.seed("S76", "S82")
async def test_a_connection_makes_the_target_run_with_the_answer() -> None:
    source, target = echo_model_agent("a"), echo_model_agent("b")
    source >> target  # pyright: ignore[reportUnusedExpression] - it connects
    answer = await source.run("x", wait_for_connections=True)
    last = target.stats.messages[-1]

    assert (answer.content, answer.forwarded_from) == ("a(x)", ())
    assert (last.content, last.forwarded_from) == ("b(a(x))", ("a",))


@pytest.mark.seed("S77", "S78", "S80")
@pytest.mark.parametrize("wait", [None, False])
async def test_a_run_returns_while_its_target_works_and_the_target_can_be_waited_for(wait: bool | None) -> None:
    release = asyncio.Event()
    model = slow_model(release, "summary")
    source, summarizer = echo_model_agent("a"), Agent("summarizer", model=model)
    source >> summarizer  # pyright: ignore[reportUnusedExpression] - it connects
    await source.run("x", wait_for_connections=wait)
    await model.started.wait()
    assert model.waiting == 1
    waiting = asyncio.ensure_future(summarizer.complete_tasks())
    await settle()
    assert not waiting.done()
    release.set()
    await waiting

    assert summarizer.stats.messages[-1].content == "summary"


@pytest.mark.seed("S79")
async def test_waiting_for_connections_includes_indirect_ones() -> None:
    release = asyncio.Event()
    last = slow_model(release)
    first, second, third = echo_model_agent("a"), echo_model_agent("b"), Agent("c", model=last)
    first >> second >> third  # pyright: ignore[reportUnusedExpression] - it connects
    run = asyncio.ensure_future(first.run("x", wait_for_connections=True))
    await last.started.wait()
    await settle()
    assert not run.done()
    release.set()

    assert (await run).content == "a(x)"
    assert third.stats.messages[-1].content == "b(a(x))"


@pytest.mark.seed("S81")
async def test_a_failing_target_does_not_fail_the_source() -> None:
    source, target = echo_model_agent("a"), Agent("b", model=failing_model(ValueError("no")))
    talk = source >> target
    answer = await source.run("x", wait_for_connections=True)

    assert answer.content == "a(x)"
    assert talk.active


@pytest.mark.seed("S89", "S90", "S91")
async def test_a_background_run_can_be_awaited_twice_over_and_stopped() -> None:
    async with echo_model_agent("monitor") as agent:
        last = await (await agent.run_in_background("m", interval=0.0, max_count=2))
        assert last is not None
        assert last.content == "monitor(m)"

        stats = await agent.run_in_background("m", interval=5.0)
        await settle()
        await agent.stop()
        await agent.stop()
        final = await stats

        assert final is not None
        assert not agent.is_running
