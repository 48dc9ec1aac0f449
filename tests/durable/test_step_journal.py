"""A run that is delivered again asks the model, and calls each tool, only for what was not finished."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pydantic_ai
import pytest
from mcp.server.mcpserver import MCPServer
from pydantic import BaseModel
from pydantic_ai import DeferredToolResults, ModelRetry, RunContext
from pydantic_ai.capabilities import HandleDeferredToolCalls
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import (
    ModelRequest,
    ModelResponse,
    PartStartEvent,
    TextPart,
    ToolReturnPart,
)
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.tools import DeferredToolRequests, ToolApproved
from pydantic_ai.usage import RunUsage, UsageLimits

from actors.agents.tool_calls import ToolCallLog, call_log
from actors.durable.step_journal import StepJournal
from protocols.journal import JournalFencedError, JournalFullError
from tests.durable.play import PRICE, Answers, Play, Store, call
from tests.durable.requests import request

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable


def double(value: int) -> Any:
    return 2 * value


def search(value: int) -> Any:
    return {"found": [value, None, "é"]}


SCRIPT: Answers = [[call("add", "1", 1), call("look", "2", 2)], [call("pay", "3", 3)], "done"]
TOOLS: dict[str, Callable[..., Any]] = {"add": double, "look": search, "pay": double}
STEPS = 6


def said(result: Any) -> list[Any]:
    """Return the parts of a run without their times."""
    parts: list[Any] = [part for message in result.all_messages() for part in message.parts]
    return [{name: getattr(part, name) for name in part.__dataclass_fields__ if name != "timestamp"} for part in parts]


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("kept", range(STEPS + 1))
async def test_a_run_that_died_after_a_step_pays_only_for_what_was_not_kept(kept: int, is_streamed: bool) -> None:
    events: list[Any] = []

    async def follow(_ctx: RunContext[Any], stream: AsyncIterable[Any]) -> None:
        events.extend([event async for event in stream])

    options: dict[str, Any] = {"event_stream_handler": follow} if is_streamed else {}
    whole = await Play(SCRIPT, TOOLS).live(Store(), **options)
    play, store = Play(SCRIPT, TOOLS), Store(lives_until=kept)
    first = await play.live(store, **options) if kept else None
    before = len(play.called) + play.asked
    store.lives_until = 1_000
    events.clear()
    second = await play.live(store, **options)

    assert first is None
    assert len(play.called) + play.asked - before == STEPS - kept
    assert said(second) == said(whole)
    assert second.output == "done"
    texts = [
        event.part.content for event in events if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart)
    ]
    assert texts == ["done"] * is_streamed


async def test_a_finished_run_asks_nothing_again() -> None:
    play, store = Play(SCRIPT, TOOLS), Store()
    await play.live(store)
    asked, called = play.asked, list(play.called)
    await play.live(store)

    assert (play.asked, play.called) == (asked, called)


async def test_another_prompt_pays_again_and_nothing_recorded_counts() -> None:
    play, store = Play(SCRIPT, TOOLS), Store()
    await play.live(store)
    play.prompt = "book order 18"
    await play.live(store)

    assert play.asked == 6
    assert sorted(play.called) == sorted([*TOOLS, *TOOLS])


async def test_memory_before_the_run_may_have_changed() -> None:
    play, store = Play(SCRIPT, TOOLS), Store()
    await play.live(store, message_history=[ModelRequest.user_text_prompt("hello")])
    await play.live(store, message_history=[ModelRequest.user_text_prompt("good day")])

    assert play.asked == 3


async def test_a_tool_with_another_result_lets_the_model_answer_again() -> None:
    results = iter([1, 2])

    def look(_value: int) -> object:
        return (next(results),)  # JSON would make a list of it, so it is not kept

    play = Play(
        [[call("look", "1"), call("add", "2", 2)], [call("add", "3", 3)], "done"], {"look": look, "add": double}
    )
    store = Store()
    await play.live(store)
    await play.live(store)

    assert play.called == ["look", "add", "add", "look", "add"]
    assert play.asked == 5


async def test_a_result_from_another_way_that_an_earlier_delivery_went_does_not_count() -> None:
    results, numbers = iter([1, 2, 2]), iter(range(10))

    def look(_value: int) -> object:
        return (next(results),)

    def poll(_value: int) -> object:
        return next(numbers)

    play, store = Play([[call("look", "1")], [call("poll", "2")], "done"], {"look": look, "poll": poll}), Store()
    await play.live(store)
    store.dies_at = "model/1"
    await play.live(store)
    store.dies_at = ""
    result = await play.live(store)

    assert play.called == ["look", "poll", "look", "look", "poll"]
    assert [part["content"] for part in said(result) if part["part_kind"] == "tool-return"] == [(2,), 1]


async def test_after_a_new_answer_of_the_model_nothing_recorded_counts() -> None:
    def confirm(_value: int) -> object:
        return "ok"

    play, store = Play([[call("confirm", "1", 1)], "confirmed 1"], {"confirm": confirm}), Store()
    await play.live(store)
    del store.steps["model/0"]
    play.answers = [[call("confirm", "1", 2)], "confirmed 2"]
    result = await play.live(store)

    assert result.output == "confirmed 2"
    assert play.called == ["confirm", "confirm"]


async def test_what_a_provider_adds_to_its_answer_does_not_matter() -> None:
    add = replace(
        call("add", "1", 1), provider_details={"at": datetime(2026, 1, 1, tzinfo=UTC)}, provider_name="function"
    )
    play, store = Play([[add], "done"], {"add": double}), Store()
    await play.live(store)
    await play.live(store)

    assert play.asked == 2


async def test_an_answer_that_was_interrupted_is_not_kept() -> None:
    store, given = Store(), ModelResponse([TextPart("half")], state="interrupted")
    context: Any = SimpleNamespace(run_id="1", messages=[ModelRequest.user_text_prompt("x")])

    async def handler(_context: Any) -> ModelResponse:
        return given

    found = await StepJournal(store).wrap_model_request(context, request_context=context, handler=handler)

    assert found is given
    assert store.steps == {}


class Found(BaseModel):
    number: int


async def test_a_result_that_json_would_change_is_not_kept_and_the_run_goes_the_same_way() -> None:
    def look(value: int) -> object:
        return Found(number=value)

    play, store = Play([[call("look", "1", 1), call("add", "2", 2)], "done"], {"look": look, "add": double}), Store()
    await play.live(store)
    await play.live(store)

    assert sorted(play.called) == ["add", "look", "look"]
    assert play.asked == 2


async def test_a_retry_of_a_tool_is_not_recorded() -> None:
    failures = iter([True, False, True, False])

    def look(value: int) -> object:
        if next(failures):
            raise ModelRetry("try again")
        return value

    play, store = Play([[call("look", "1", 1)], [call("look", "2", 1)], "done"], {"look": look}), Store()
    whole = await play.live(store)
    again = await play.live(store)

    assert play.called == ["look", "look", "look"], "only the call that failed is made again"
    assert play.asked == 3
    assert said(again) == said(whole)


async def test_an_id_that_a_model_uses_again_is_another_step() -> None:
    results = iter(range(10))

    def poll(_value: int) -> object:
        return next(results)

    play, store = Play([[call("poll", "0")], [call("poll", "0")], "done"], {"poll": poll}), Store()
    whole = await play.live(store)
    again = await play.live(store)

    assert play.called == ["poll", "poll"]
    assert said(again) == said(whole)
    assert [part["content"] for part in said(again) if part["part_kind"] == "tool-return"] == [0, 1]


async def test_the_attempts_of_a_retry_ask_the_model_anew() -> None:
    play, store = Play(["first", "second"]), Store()
    agent = pydantic_ai.Agent(FunctionModel(play.answer))
    steps = StepJournal(store)
    await agent.run("x", capabilities=[steps])
    await agent.run("x", capabilities=[steps])

    assert play.asked == 2
    assert len(store.steps) == 2


async def test_what_a_person_has_approved_and_the_tool_has_done_is_not_asked_again() -> None:
    asked: list[str] = []

    async def approve(_ctx: RunContext[Any], requests: DeferredToolRequests) -> DeferredToolResults:
        asked.extend(one.tool_call_id for one in requests.approvals)
        return requests.build_results(approve_all=True)

    play = Play(SCRIPT, TOOLS, capabilities=(HandleDeferredToolCalls(approve),), needs_approval=True)
    store = Store(lives_until=5)
    await play.live(store)
    store.lives_until = 1_000
    await play.live(store)

    assert sorted(asked) == ["1", "2", "3"]
    assert sorted(play.called) == ["add", "look", "pay"]


async def test_a_call_that_was_approved_with_other_arguments_is_asked_again_and_not_made_again() -> None:
    asked: list[str] = []

    async def approve(_ctx: RunContext[Any], requests: DeferredToolRequests) -> DeferredToolResults:
        asked.extend(one.tool_call_id for one in requests.approvals)
        return requests.build_results(
            approvals={one.tool_call_id: ToolApproved(override_args={"value": 40}) for one in requests.approvals}
        )

    handling = (HandleDeferredToolCalls(approve),)
    play, store = (
        Play([[call("add", "1", 1)], "done"], {"add": double}, capabilities=handling, needs_approval=True),
        Store(),
    )
    await play.live(store)
    result = await play.live(store)

    assert asked == ["1", "1"]
    assert play.called == ["add"]
    assert [
        part.content for one in result.all_messages() for part in one.parts if isinstance(part, ToolReturnPart)
    ] == [80]


async def test_the_tokens_of_a_recorded_answer_count_and_its_money_does_not() -> None:
    play, store = Play(SCRIPT, TOOLS), Store(lives_until=4)
    await play.live(store)
    store.lives_until = 1_000
    usage = RunUsage()
    result = await play.live(store, usage=usage)

    assert (usage.requests, usage.input_tokens) == (3, 30)
    assert usage.cost == PRICE * 1
    assert [one.usage.cost for one in result.all_messages() if isinstance(one, ModelResponse)] == [0, 0, PRICE]


async def test_limits_hold_over_all_deliveries() -> None:
    play, store = Play(SCRIPT, TOOLS), Store(lives_until=4)
    await play.live(store)
    store.lives_until = 1_000

    with pytest.raises(pydantic_ai.UsageLimitExceeded):
        await play.live(store, usage_limits=UsageLimits(request_limit=2))


async def test_the_answer_lists_recorded_calls_as_well() -> None:
    play, store = Play(SCRIPT, TOOLS), Store(lives_until=3)
    await play.live(store)
    store.lives_until = 1_000
    log = ToolCallLog(request("x"))
    token = call_log.set(log)
    await play.live(store)
    call_log.reset(token)

    assert sorted(one.tool_name for one in log.calls) == ["add", "look", "pay"]


class Refusing(Store):
    """A journal that keeps nothing."""

    error: Exception

    async def keep(self, key: str, digest: bytes, payload: bytes) -> None:
        raise self.error


async def test_calls_of_a_server_of_tools_are_kept_as_well() -> None:
    made: list[int] = []
    server = MCPServer("sums", log_level="CRITICAL")

    @server.tool()
    def increase(value: int) -> int:  # pyright: ignore[reportUnusedFunction]
        made.append(value)
        return value + 1

    play, store = Play([[call("increase", "1", 1)], "done"]), Store()
    for _ in range(2):
        result = await play.live(store, toolsets=[MCPToolset[Any](server)])
        assert result.output == "done"

    assert made == [1]


async def test_a_step_for_which_there_is_no_room_does_not_fail_the_run() -> None:
    store = Refusing()
    store.error = JournalFullError("no room")
    result = await Play(SCRIPT, TOOLS).live(store)

    assert result.output == "done"


async def test_a_run_whose_journal_was_taken_over_ends() -> None:
    store = Refusing()
    store.error = JournalFencedError("taken over")

    with pytest.raises(JournalFencedError):
        await Play(SCRIPT, TOOLS).live(store)


async def test_a_damaged_step_is_done_again() -> None:
    play, store = Play(SCRIPT, TOOLS), Store()
    await play.live(store)
    store.steps = {key: (digest, payload[:-1] + b"?") for key, (digest, payload) in store.steps.items()}
    result = await play.live(store)

    assert play.asked == 6
    assert result.output == "done"
