"""What is said leaves the process only when somebody asked for it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace import TracerProvider
from pydantic_ai import ModelRetry
from pydantic_ai.capabilities import Instrumentation
from pydantic_ai.models.instrumented import InstrumentationSettings

from actors import Agent
from actors.testing.models import Answer, failing_model, scripted_model, tool_call
from tests.support.nodes import failing_agent

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.telemetry.conftest import Traced

PLACES = ("prompt", "answer", "argument", "result", "instruction", "failure", "retried", "raised", "of_model")
CANARIES = [f"canary-{place}" for place in PLACES]


async def talk(here: Traced) -> str:
    """Say each canary once, and return all that the exporter got."""
    calls: list[str] = []

    def look(text: str) -> str:
        calls.append(text)
        if len(calls) == 1:
            raise ModelRetry("canary-retried")
        return "canary-result"

    def broken(text: str) -> str:
        raise ValueError("canary-raised")

    async with here.pool as pool:
        script: list[Answer] = [
            tool_call("look", text="canary-argument"),
            tool_call("look", text="again"),
            "canary-answer",
        ]
        await pool.add_agent("a", model=scripted_model(script), tools=[look], system_prompt="canary-instruction")
        await pool.add_agent("b", model=scripted_model([tool_call("broken", text="x")]), tools=[broken])
        await pool.add_agent("c", model=failing_model(LookupError("canary-of_model")))
        await pool.add_node(failing_agent("d", ValueError("canary-failure")))
        await pool["a"].run("canary-prompt")
        for name in ("b", "c", "d"):
            with suppress(Exception):
                await pool[name].run("go")
    return "\n".join(span.to_json() for span in here.spans)


async def test_no_content_leaves_by_default(traced: Callable[..., Traced]) -> None:
    told = await talk(traced())

    assert [canary for canary in CANARIES if canary in told] == []
    assert "ValueError" in told


async def test_all_content_leaves_when_it_was_asked_for(traced: Callable[..., Traced]) -> None:
    told = await talk(traced(content=True))

    assert [canary for canary in CANARIES if canary not in told] == []


class Unreadable:
    """What no one can read as a text."""

    def __prompt__(self) -> str:
        raise RuntimeError("unreadable")


async def test_content_that_cannot_be_read_fails_the_run_and_not_the_actor(traced: Callable[..., Traced]) -> None:
    here = traced(content=True)
    async with here.pool as pool:
        await pool.add_agent("a", model=scripted_model(["fine"]))
        with pytest.raises(RuntimeError, match="unreadable"):
            await pool["a"].run(Unreadable())
        assert (await pool["a"].run("x" * 1_000_000)).text == "fine"

    assert [len(span.to_json()) < 500_000 for span in here.of_runs()] == [True, True]
    assert [span.events[0].name for span in here.of_runs() if span.events] == ["exception"]


async def test_an_agent_may_have_an_instrumentation_of_its_own(traced: Callable[..., Traced]) -> None:
    here, own = traced(), Instrumentation(settings=InstrumentationSettings(tracer_provider=TracerProvider()))
    async with here.pool as pool:
        await pool.add_node(Agent("a", model=scripted_model(["canary-answer"]), capabilities=[own]))
        await pool["a"].run("canary-prompt")

    assert "canary" not in "\n".join(span.to_json() for span in here.spans)
    assert sorted(span.name.split(" ")[0] for span in here.spans) == ["chat", "invoke_agent"]


@pytest.mark.parametrize("kind", ["whole", "left", "abandoned"])
async def test_a_stream_left_early_detaches_no_context(
    kind: str, traced: Callable[..., Traced], caplog: pytest.LogCaptureFixture
) -> None:
    here = traced()
    async with here.pool as pool:
        await pool.add_agent("a", model=scripted_model(["one two three four"] * 3))
        async with pool["a"].run_stream("go") as stream:
            async for _ in stream.stream():
                if kind == "left":
                    break
        if kind == "abandoned":
            pieces = pool["a"].run_stream("go").stream()
            await anext(pieces)
            del pieces

    assert [one.message for one in caplog.records if "detach" in one.message.lower()] == []
    assert {span.name for span in here.spans} >= {"invoke_agent a"}
