"""What a tool finds in its `RunContext`, and what its errors and its wish to end the run become."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic_ai import RunContext
from pydantic_ai.exceptions import RunCancelled

from actors import Agent
from actors.testing.models import echo_model, scripted_model
from protocols.errors import NodeStoppedError, PromptError, RunCancelledError
from tests.runs.tool_answer import call


def agent(tool: Any, **settings: Any) -> Agent[Any, Any]:
    return Agent("clerk", model=scripted_model([call(tool.__name__), "done"]), tools=[tool], **settings)


@pytest.mark.parametrize("timeout", [None, 50.0])
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_tool_knows_the_deadline_and_the_metadata_of_its_run(timeout: float | None, streamed: bool) -> None:
    seen: list[tuple[datetime | None, float | None, dict[str, Any] | None]] = []

    def look(ctx: RunContext[None]) -> str:
        seen.append((ctx.deadline, ctx.remaining_time(), ctx.metadata))
        return "seen"

    options: dict[str, Any] = {"timeout": timeout, "metadata": {"order": 7}}
    if streamed:
        async with agent(look).run_stream("x", **options) as stream:
            assert "".join([text async for text in stream.stream_text(delta=True)]) == "done"
    else:
        assert (await agent(look).run("x", **options)).metadata["order"] == 7

    ((deadline, left, metadata),) = seen
    assert metadata == {"order": 7}
    if timeout is None:
        assert (deadline, left) == (None, None)
    else:
        assert deadline is not None
        assert left is not None
        assert 0 < left <= timeout
        assert deadline <= datetime.now(UTC) + timedelta(seconds=timeout)


async def test_a_tool_that_cancels_its_run_ends_it_with_our_error_and_its_messages() -> None:
    async def stop(ctx: RunContext[None]) -> str:
        ctx.cancel()
        await asyncio.Event().wait()
        return "never"

    with pytest.raises(RunCancelledError, match=r"^node 'clerk': the run was cancelled by a tool\n") as caught:
        await agent(stop).run("x")

    assert isinstance(caught.value.__cause__, RunCancelled)
    assert caught.value.node == "clerk"
    assert [one.kind for one in caught.value.messages][:2] == ["request", "response"]


async def test_an_error_of_ours_in_a_tool_names_tool_and_agent_first() -> None:
    inner = Agent("inner", model=echo_model())
    async with inner:
        pass

    async def ask() -> str:
        return (await inner.run("x")).content

    with pytest.raises(
        NodeStoppedError, match=r"^tool 'ask' of agent 'clerk': node 'inner' has been stopped"
    ) as caught:
        await agent(ask).run("x")
    assert caught.value.node == "inner"


async def test_an_error_of_the_user_in_a_tool_keeps_its_text_and_gets_notes() -> None:
    error = KeyError("no such order")

    def fail() -> str:
        raise error

    with pytest.raises(KeyError) as caught:
        await agent(fail).run("x")
    assert (caught.value is error, caught.value.args) == (True, ("no such order",))
    assert error.__notes__ == ["raised in tool 'fail' of agent 'clerk'", "node 'clerk': the run failed"]


async def test_an_error_of_ours_names_the_node_first_and_once() -> None:
    async def refuse(_: str) -> str:
        raise PromptError("nothing to do")

    node = Agent.from_callback(refuse, name="outer")
    for _ in range(2):
        with pytest.raises(PromptError, match=r"^node 'outer': nothing to do\n") as caught:
            await node.run("x")
        assert caught.value.node == "outer"
