import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from actors.agents.agent import Agent
from actors.runs.request import RunRequest
from actors.runtime.system import ActorSystem
from actors.testing.models import echo_model, failing_model, scripted_model, slow_model
from actors.testing.settle import settle
from protocols.delivery_tracker import DeliveryTracker
from protocols.errors import EmptyPromptError, RunTimeoutError
from protocols.events import (
    Event,
    MessageReceived,
    MessageSent,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunStarted,
    ToolCalled,
)
from protocols.model_events import ModelRequested, ModelResponded, ToolStarted
from tests.runs.tool_answer import call
from tests.support.nodes import echo_agent

if TYPE_CHECKING:
    from protocols.events import StampedEvent


async def test_context_is_read_once_before_the_next_prompt() -> None:
    agent = Agent("a", model=echo_model())

    agent.add_context("it rains")

    assert [(await agent.run("walk?")).content for _ in range(2)] == ["it rains\n\nwalk?", "walk?"]


async def test_signals_tell_of_each_message_before_and_after_the_work() -> None:
    agent = echo_agent("a")
    seen: list[tuple[str, str | None]] = []
    agent.message_received.connect(lambda message: seen.append((message.role, str(message.content))))
    agent.message_sent.connect(lambda message: seen.append((message.role, str(message.content))))

    await agent.run("x")

    assert seen == [("user", "x"), ("assistant", "a(x)")]


async def test_a_failing_subscriber_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    agent = echo_agent("a")
    agent.message_sent.connect(lambda _: 1 / 0)

    assert (await agent.run("x")).content == "a(x)"
    assert "message_sent" in caplog.text


def told(system: ActorSystem) -> list[Event]:
    events: list[Event] = []
    kinds: list[type[StampedEvent]] = [RunStarted, MessageReceived, MessageSent, RunCompleted, RunFailed, RunCancelled]
    system.events.subscribe(events.append, kinds)
    return events


async def test_a_run_is_told_in_events_that_carry_its_id() -> None:
    events = told(ActorSystem.of(asyncio.get_running_loop()))

    answer = await echo_agent("a").run("xyz")

    assert [type(event) for event in events] == [RunStarted, MessageReceived, MessageSent, RunCompleted]
    assert len({event.run_id for event in events}) == 1
    assert {event.actor for event in events} == {"a"}
    sent = next(event for event in events if isinstance(event, MessageSent))
    assert (sent.message_id, sent.byte_count) == (answer.message_id, len("a(xyz)"))


async def test_failed_and_cancelled_runs_are_told() -> None:
    events = told(ActorSystem.of(asyncio.get_running_loop()))
    agent = Agent("a", model=failing_model(ValueError("bad")))
    with pytest.raises(ValueError, match="bad"):
        await agent.run("x")
    with pytest.raises(RunTimeoutError):
        await agent.run("x", model=slow_model(asyncio.Event()), timeout=0.01)
    await settle()

    failed = next(event for event in events if isinstance(event, RunFailed))
    assert (failed.error_type, failed.error) == ("ValueError", "bad")
    assert isinstance(events[-1], RunCancelled)


async def test_a_run_inside_another_one_names_its_parent() -> None:
    events = told(ActorSystem.of(asyncio.get_running_loop()))
    inner = echo_agent("inner")

    async def ask_inner(text: str) -> str:
        return str((await inner.run(text)).content)

    answer = await Agent.from_callback(ask_inner, name="outer").run("x")

    outer_run, inner_run = [event for event in events if isinstance(event, RunStarted)]
    assert (outer_run.parent_run_id, inner_run.parent_run_id) == ("", outer_run.run_id)
    assert {event.conversation_id for event in (outer_run, inner_run)} == {answer.conversation_id}


async def test_posting_waits_for_nobody_and_keeps_errors_in_the_future() -> None:
    agent = echo_agent("a")

    good, bad = agent.post(["x"]), agent.post([])

    assert (await good).content == "a(x)"
    with pytest.raises(EmptyPromptError):
        await bad


async def test_a_request_that_is_delivered_is_one_hop_further_and_counted_until_it_ends() -> None:
    agent, origin = echo_agent("a"), echo_agent("b").request(["x"], {})
    seen: list[RunRequest] = []

    def note(text: str, request: RunRequest) -> str:
        seen.append(request)
        return text

    reply = Agent.from_callback(note).post(["y"], origin=origin)
    assert origin.downstream.open == 1
    await reply
    await settle()

    assert origin.downstream.open == 0
    assert (seen[0].hops, seen[0].parent_run_id) == (1, origin.run_id)
    assert agent.request(["z"], {}).hops == 0


async def test_whoever_posts_is_called_when_the_run_is_settled_before_the_delivery_counts_as_ended() -> None:
    tracker = DeliveryTracker()
    origin = RunRequest(echo_agent("b"), ("x",), "run", "conversation", tracker)
    seen: list[tuple[bool, int]] = []

    for prompt in ("x", ""):  # an answer, and a run that cannot even be made
        reply = echo_agent("a").post(
            [prompt], origin=origin, settled=lambda done: seen.append((done.done(), tracker.open))
        )
        await asyncio.wait([reply])
        await settle()

    assert (seen, tracker.open) == ([(True, 1), (True, 0)], 0)


@pytest.mark.parametrize("text", ["plain", "ä€𝄞" * 9, "no \ud800 name"])
@pytest.mark.parametrize("most", [0, 1, 2, 7, 100])
async def test_only_who_asked_gets_content_and_at_most_so_many_bytes(
    text: str, most: int, actor_system: ActorSystem
) -> None:
    asked, others = list[Any](), list[Any]()
    actor_system.events.subscribe(asked.append, [MessageReceived, MessageSent], content_bytes=most)
    actor_system.events.subscribe(others.append, [MessageReceived, MessageSent])
    agent = Agent.from_callback(str, name="a")
    actor_system.start(agent.factory())
    await agent.run(text)

    whole = text.encode("utf-8", "replace")
    said = [event.content for event in asked]
    assert said == ([whole[:most].decode("utf-8", "ignore")] * 2 if most else [None, None])
    assert [event.content for event in others] == [None, None]
    assert [event.seq for event in asked] == [event.seq for event in others]


@pytest.mark.parametrize("most", [-1, True, 1.5, "1 kB"])
async def test_a_size_of_content_that_is_none_is_refused(most: Any, actor_system: ActorSystem) -> None:
    with pytest.raises(ValueError, match=r"content_bytes=.* must be a whole number of bytes"):
        actor_system.events.subscribe(print, [MessageSent], content_bytes=most)


async def test_each_step_of_a_run_is_told_at_its_start_and_at_its_end(actor_system: ActorSystem) -> None:
    def double(number: int) -> int:
        """Double a number."""
        return number * 2

    seen = list[Any]()
    actor_system.events.subscribe(seen.append, [RunStarted, ToolStarted, ToolCalled, ModelRequested, ModelResponded])
    agent = Agent("a", model=scripted_model([call("double", number=4), "done"]), tools=[double])
    actor_system.start(agent.factory())
    await agent.run("x")
    with pytest.raises(ValueError, match="bad"):
        await agent.run("x", model=failing_model(ValueError("bad")))

    assert [type(event).__name__ for event in seen] == [
        "RunStarted", "ModelRequested", "ModelResponded", "ToolStarted", "ToolCalled", "ModelRequested",
        "ModelResponded", "RunStarted", "ModelRequested", "ModelResponded",
    ]  # fmt: skip
    assert len({event.run_id for event in seen}) == 2
    assert (seen[3].tool_name, seen[3].tool_call_id) == ("double", seen[4].tool_call_id)
    ends = [event for event in seen if isinstance(event, ModelResponded)]
    assert [(end.attempts, end.output_tokens > 0, end.error_type) for end in ends] == [
        (1, True, ""), (1, True, ""), (1, False, "ValueError"),
    ]  # fmt: skip


async def test_the_end_of_a_streamed_request_is_told(actor_system: ActorSystem) -> None:
    seen = list[Any]()
    actor_system.events.subscribe(seen.append, [ModelRequested, ModelResponded])
    agent = Agent("a", model=scripted_model(["done"]))
    actor_system.start(agent.factory())
    async with agent.run_stream("x") as stream:
        assert [text async for text in stream.stream()]

    assert [type(event) for event in seen] == [ModelRequested, ModelResponded]
    assert (seen[1].error_type, seen[1].output_tokens > 0) == ("", True)


async def test_the_end_of_a_cancelled_request_is_told(actor_system: ActorSystem) -> None:
    seen = list[Any]()
    actor_system.events.subscribe(seen.append, [ModelRequested, ModelResponded])
    agent = Agent("a", model=slow_model(asyncio.Event()))
    actor_system.start(agent.factory())
    running = asyncio.ensure_future(agent.run("x"))
    while not seen:
        await settle()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await settle()

    assert [(type(event), getattr(event, "error_type", "")) for event in seen] == [
        (ModelRequested, ""), (ModelResponded, "CancelledError"),
    ]  # fmt: skip
