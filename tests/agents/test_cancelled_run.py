"""A run that nobody wants any more: the provider sees its socket closed, and nothing of the run is left.

The tests wait for the record of the server, and for clocks that stand still: no time passes in them.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from actors.agents.agent import Agent
from actors.http import CancelOnDisconnect
from actors.models.policy import ModelPolicy
from actors.runtime.system import ActorSystem
from actors.testing.clock import ManualClock
from actors.testing.faults import cut, no_answer, refusal, silence
from actors.testing.hostile_server import HostileServer, Reply
from actors.testing.leak import Census
from actors.testing.models import echo_model, scripted_model, served_model, tool_call
from actors.testing.openai_answer import Answer
from actors.testing.scheduler import close
from actors.testing.settle import settle
from protocols.errors import NodeStoppedError, RunCancelledError, RunTimeoutError
from protocols.events import RunCancelled, RunStarted
from protocols.model_events import ToolAbandoned

AnyRun = Callable[[], Awaitable[object]]


@dataclass
class Stage:
    """One run of an agent, whose request to a model is open."""

    agent: Agent[Any, Any]
    run: "asyncio.Task[object]"
    system: ActorSystem
    clock: ManualClock
    run_id: str
    gone: asyncio.Event


async def cancel(stage: Stage) -> None:
    stage.run.cancel()


async def time_out(stage: Stage) -> None:
    await stage.clock.advance(60.0)


async def disconnect(stage: Stage) -> None:
    stage.gone.set()


async def stop(stage: Stage) -> None:
    stage.agent.ref().stop(block=False, timeout=5.0)
    await stage.clock.advance(5.0)


async def kill(stage: Stage) -> None:
    stage.agent.ref().kill(block=False)


async def shut_down(stage: Stage) -> None:
    await close(stage.system, stage.clock)


async def cancel_by_id(stage: Stage) -> None:
    assert stage.agent.cancel_run(stage.run_id)


WAYS: list[tuple[Callable[[Stage], Awaitable[None]], type[BaseException] | tuple[type[BaseException], ...] | None]] = [
    (cancel, asyncio.CancelledError),
    (time_out, RunTimeoutError),
    (disconnect, None),
    (stop, RunCancelledError),
    (kill, RunCancelledError),
    (shut_down, (RunCancelledError, NodeStoppedError)),
    (cancel_by_id, RunCancelledError),
]
OPEN: dict[bool, Reply] = {False: silence(), True: cut(Answer("hello you"), 3, end="hang")}


def run_of(agent: Agent[Any, Any], text: asyncio.Event | None) -> AnyRun:
    """Return a run; a stream sets the event when text comes."""

    async def run() -> object:
        if text is None:
            return await agent.run("x", timeout=60.0)
        async with agent.run_stream("x", timeout=60.0) as stream:
            async for _ in stream.stream():
                text.set()
        return None

    return run


def app_of(run: AnyRun, gone: asyncio.Event) -> AnyRun:
    """Return the handling of a web request that waits for a run, and whose client goes when the event is set."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await run()

    async def receive() -> Message:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    return lambda: CancelOnDisconnect(application)({"type": "http"}, receive, send)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("way", "outcome"), WAYS, ids=[way.__name__ for way, _ in WAYS])
async def test_the_provider_sees_its_socket_closed_and_nothing_is_left(
    actor_system: ActorSystem,
    manual_clock: ManualClock,
    way: Callable[[Stage], Awaitable[None]],
    outcome: Any,
    *,
    streamed: bool,
) -> None:
    begun: list[RunStarted] = []
    ended: list[RunCancelled] = []
    actor_system.events.subscribe(begun.append, [RunStarted])
    actor_system.events.subscribe(ended.append, [RunCancelled])
    async with HostileServer([Answer("remembered"), OPEN[streamed]]) as server, served_model(server) as model:
        agent = Agent("a", model=model)
        actor_system.start(agent.factory())
        await agent.run("before")
        history, gone, text = agent.history, asyncio.Event(), asyncio.Event()
        census = Census.take()

        run = run_of(agent, text if streamed else None)
        task = asyncio.ensure_future((app_of(run, gone) if way is disconnect else run)())
        request = await server.arrived(2)
        if streamed:
            await text.wait()
        await way(Stage(agent, task, actor_system, manual_clock, begun[-1].run_id, gone))

        with nullcontext() if outcome is None else pytest.raises(outcome):
            await task
        await request.closed.wait()
        await manual_clock.advance()

        assert agent.history == history
        totals = agent.total_stats
        assert (totals.unmeasured_requests, totals.token_count, totals.cost_known) == (1, 18, False)
        assert [event.cost_known for event in ended] == [False]
        assert len(server.requests) == 2
        assert not request.is_answered
        assert server.open_connections == 0
        assert [line for line in census.leaks() if not line.startswith("actor ")] == []


@pytest.mark.parametrize(
    ("script", "unmeasured"),
    [
        ([no_answer(), Answer("fine")], 1),
        ([refusal(503), Answer("fine")], 0),
        ([Answer("fine", usage=None)], 1),
        ([Answer("fine")], 0),
    ],
    ids=["lost", "refused", "without usage", "known"],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_the_cost_of_an_answer_says_how_many_requests_it_does_not_know(
    script: list[Reply], unmeasured: int, *, streamed: bool
) -> None:
    async with HostileServer(script) as server, served_model(server, "gpt-4o") as model:
        async with Agent("a", model=model, policy=ModelPolicy(min_wait=0)) as agent:
            if streamed:
                async with agent.run_stream("x") as stream:
                    async for _ in stream:
                        pass
                answer = stream.result
            else:
                answer = await agent.run("x")
        totals = agent.total_stats

    cost = answer.cost_info
    assert cost is not None
    assert cost.unmeasured_requests == unmeasured
    assert (cost + cost).unmeasured_requests == 2 * unmeasured
    assert (totals.unmeasured_requests, totals.cost_known) == (unmeasured, not unmeasured)
    assert totals.cost == cost.total_cost
    assert totals.cost > 0 or answer.usage.total_tokens == 0


class Stuck:
    """A plain tool that works until it is let go."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.begun = asyncio.Event()
        self.release = threading.Event()
        self.thread: threading.Thread | None = None

    def grind(self) -> str:
        """Grind."""
        self.thread = threading.current_thread()
        self.loop.call_soon_threadsafe(self.begun.set)
        self.release.wait()
        return "ground"


async def test_a_plain_tool_that_does_not_stop_is_reported_once(
    actor_system: ActorSystem, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Any] = []
    actor_system.events.subscribe(seen.append, [RunStarted, ToolAbandoned])
    stuck = Stuck()
    agent = Agent("a", model=scripted_model([tool_call("grind")]), tools=[stuck.grind])
    actor_system.start(agent.factory())
    run = asyncio.create_task(agent.run("x"))
    await stuck.begun.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    await agent.complete_tasks()

    assert [type(event) for event in seen] == [RunStarted, ToolAbandoned]
    started, abandoned = seen
    assert (abandoned.actor, abandoned.run_id, abandoned.tool) == ("a", started.run_id, "grind")
    assert abandoned.seconds >= 0
    assert "a tool does not stop" in caplog.text
    assert "tool grind" in caplog.text

    stuck.release.set()
    assert stuck.thread is not None
    await asyncio.to_thread(stuck.thread.join)
    await agent.complete_tasks()
    assert len(seen) == 2
    assert agent.history == ()


async def test_a_tool_that_ends_or_can_be_cancelled_is_not_reported(actor_system: ActorSystem) -> None:
    seen: list[ToolAbandoned] = []
    actor_system.events.subscribe(seen.append, [ToolAbandoned])
    begun = asyncio.Event()

    def quick() -> str:
        return "quick"

    async def endless() -> None:
        begun.set()
        await asyncio.Event().wait()

    model = scripted_model([tool_call("quick"), tool_call("endless")])
    agent = Agent("a", model=model, tools=[quick, endless])
    actor_system.start(agent.factory())
    run = asyncio.create_task(agent.run("x"))
    await begun.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    await agent.complete_tasks()

    assert seen == []


async def test_a_run_that_is_cancelled_in_any_turn_of_its_loop_leaves_no_task(actor_system: ActorSystem) -> None:
    def look() -> str:
        return "nothing"

    async with Agent("a", model=echo_model(), tools=[look], session=False) as agent:
        for turns in range(60):
            run = asyncio.ensure_future(agent.run("Go"))
            for _ in range(turns):
                await asyncio.sleep(0)
            run.cancel()
            await asyncio.wait([run])
            await settle()
            assert [task for task in asyncio.all_tasks() if "ScopedTask" in str(task)] == []
