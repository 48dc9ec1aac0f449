"""Approval by a person who is not here: the run is parked, its time stands still, and a decision continues it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest
from pydantic_ai.tools import DeferredToolRequests, Tool

from actors import Agent, Budget, Retry, Team, TeamRun
from actors.testing.settle import settle
from protocols.approval_events import ApprovalDecided, ApprovalRequested
from protocols.errors import (
    ApprovalError,
    RunTimeoutError,
)
from protocols.events import RunCompleted, RunStarted, StampedEvent
from protocols.model_errors import BudgetExceededError
from tests.agents.parked_agent import Files, begun, deleting_model, parked_agent, run_of
from tests.support.nodes import echo_agent

if TYPE_CHECKING:
    from actors.runtime.system import ActorSystem
    from actors.testing.clock import ManualClock


@pytest.fixture
def files() -> Files:
    return Files()


@pytest.fixture
def events(actor_system: ActorSystem) -> list[StampedEvent]:
    seen: list[StampedEvent] = []
    actor_system.events.subscribe(seen.append, [ApprovalRequested, ApprovalDecided, RunStarted, RunCompleted])
    return seen


async def test_a_call_waits_for_a_person_beyond_the_time_of_the_run_and_others_go_on(
    actor_system: ActorSystem, manual_clock: ManualClock, files: Files, events: list[StampedEvent]
) -> None:
    clerk = parked_agent(files, timeout=10.0, max_concurrency=1)
    actor_system.start(clerk.factory())
    run = await begun(clerk, "delete a", session="alice")
    await manual_clock.advance(2_000.0)

    assert (await clerk.run("hello", session="bob")).content == "said hello"
    asked = clerk.pending()[0]
    assert (asked.actor, asked.tool_name, asked.tool_call_id) == ("clerk", "delete", "call-a")
    assert (asked.arguments, asked.session, asked.timeout) == ('{"name":"a"}', "alice", 3_600.0)
    clerk.approve(asked.run_id)
    answer = await run

    assert (answer.content, files.deleted) == ("a is gone", ["a"])
    assert (answer.usage.total_tokens, len(answer.tool_calls)) == (200, 1)
    assert clerk.pending() == []
    decided = next(event for event in events if isinstance(event, ApprovalDecided))
    assert (decided.run_id, decided.tool_call_id, decided.is_approved, decided.by) == (
        asked.run_id, "call-a", True, "caller",
    )  # fmt: skip
    assert sum(isinstance(event, RunStarted) for event in events) == 2


async def test_what_was_left_of_the_time_counts_again(
    actor_system: ActorSystem, manual_clock: ManualClock, files: Files
) -> None:
    forever = asyncio.Event()

    async def hang(name: str) -> str:
        await forever.wait()
        return name

    clerk = Agent("clerk", model=deleting_model(hang="hang"), tools=[Tool(hang, requires_approval=True)], timeout=10.0)
    actor_system.start(clerk.factory())
    run = await begun(clerk, "hang a")
    await manual_clock.advance(1_000.0)
    clerk.approve(run_of(clerk))
    await settle()

    await manual_clock.advance(9.9)
    assert not run.done()
    await manual_clock.advance(0.1)
    with pytest.raises(RunTimeoutError):
        await run
    assert manual_clock.pending == 0


async def test_runs_of_one_session_stay_in_order_behind_a_parked_one(actor_system: ActorSystem, files: Files) -> None:
    clerk = parked_agent(files)
    actor_system.start(clerk.factory())
    first = await begun(clerk, "delete a", session="alice")
    second = await begun(clerk, "hello", session="alice")
    without = await begun(clerk, "hello", fresh=True)

    assert (second.done(), without.done()) == (False, True)
    settled = asyncio.ensure_future(clerk.complete_tasks())  # waits behind the second, which waits for the first
    await settle()
    clerk.deny(run_of(clerk), reason="not today")

    assert (await first).content == "The call of delete was not allowed: not today"
    assert (await second).content == "said hello"
    await settled
    assert files.deleted == []


async def test_several_calls_and_runs_wait_at_once_and_finished_calls_are_not_repeated(
    actor_system: ActorSystem, files: Files
) -> None:
    clerk = parked_agent(files)
    actor_system.start(clerk.factory())
    first = await begun(clerk, "delete a around b", session="alice")
    second = await begun(clerk, "delete a", session="bob")

    assert [one.tool_call_id for one in clerk.pending()] == ["call-a", "call-b", "call-a"]
    run_id = run_of(clerk)
    clerk.approve(run_id, "call-b", arguments={"name": "c"})
    clerk.approve(run_of(clerk, 1))
    assert (await second).content == "a is gone"
    await settle()
    assert not first.done()
    clerk.deny(run_id, "call-a")

    assert (await first).content == "The call of delete was not allowed.; seen around; c is gone"
    assert (files.deleted, files.looks) == (["a", "c"], 1)
    assert [call.error for call in (await first).tool_calls if call.error] == ["The call of delete was not allowed."]


async def test_the_clock_denies_a_call_that_is_not_decided(
    actor_system: ActorSystem, manual_clock: ManualClock, files: Files, events: list[StampedEvent]
) -> None:
    clerk = parked_agent(files, approval_timeout=60.0, timeout=10.0)
    actor_system.start(clerk.factory())
    run = await begun(clerk, "delete a b")
    run_id = run_of(clerk)
    clerk.approve(run_id, "call-a")
    await manual_clock.advance(60.0)

    assert (await run).content == "a is gone; The call of delete was not allowed: it was not approved within 60 seconds"
    decided = [(one.is_approved, one.by) for one in events if isinstance(one, ApprovalDecided)]
    assert decided == [(True, "caller"), (False, "timeout")]
    with pytest.raises(ApprovalError, match=f"run '{run_id}' of agent 'clerk'.*decided or finished"):
        clerk.approve(run_id)


async def test_a_decision_without_a_call_that_waits_is_refused(actor_system: ActorSystem, files: Files) -> None:
    clerk = parked_agent(files)
    actor_system.start(clerk.factory())
    with pytest.raises(ApprovalError, match="run 'r1' of agent 'clerk' waits for no approval: it is unknown"):
        clerk.deny("r1")
    run = await begun(clerk, "delete a b")
    run_id = run_of(clerk)
    for wrong, given in (("run_id", {"run_id": 5}), ("call_id", {"call_id": 5}), ("arguments", {"arguments": "x"})):
        with pytest.raises(TypeError, match=f"agent 'clerk': {wrong} must be"):
            clerk.approve(**{"run_id": run_id, **given})  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="reason must be text"):
        clerk.deny(run_id, reason=5)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    with pytest.raises(ApprovalError, match="it has no call 'call-z'; its calls: call-a, call-b"):
        clerk.approve(run_id, "call-z")
    with pytest.raises(ApprovalError, match=r"2 tool calls of run .* say whose"):
        clerk.approve(run_id, arguments={"name": "c"})
    clerk.approve(run_id, "call-a")
    with pytest.raises(ApprovalError, match="decided or finished"):
        clerk.approve(run_id, "call-a")
    clerk.approve(run_id)
    await run


async def test_arguments_that_do_not_fit_are_told_to_the_model(actor_system: ActorSystem, files: Files) -> None:
    clerk = parked_agent(files)
    actor_system.start(clerk.factory())
    run = await begun(clerk, "delete a")
    clerk.approve(run_of(clerk), arguments={"nom": "c"})
    await settle()

    assert files.deleted == []
    assert len(clerk.pending()) == 1  # the model asks again
    clerk.approve(run_of(clerk))
    assert (await run).content == "a is gone"


async def test_a_thread_may_decide_and_a_run_may_be_awaited_in_a_thread(files: Files) -> None:
    clerk = parked_agent(files)
    asked: asyncio.Queue[ApprovalRequested] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    ref = clerk.ref()
    cast("Any", ref.system).events.subscribe(asked.put_nowait, [ApprovalRequested])
    run = loop.run_in_executor(None, clerk.run_sync, "delete a")
    await asyncio.to_thread(clerk.approve, (await asked.get()).run_id)

    assert (await run).content == "a is gone"
    await clerk.close()


async def test_all_tools_wait_if_all_need_approval(actor_system: ActorSystem, files: Files) -> None:
    clerk = parked_agent(files, requires_tool_confirmation="always")
    actor_system.start(clerk.factory())
    run = await begun(clerk, "delete around")
    clerk.approve(run_of(clerk))

    assert (await run).content == "seen around"


def allow(_tool: str, _arguments: object) -> bool:
    return True


async def test_an_answer_of_deferred_calls_and_a_provider_stay_as_they_are(
    actor_system: ActorSystem, files: Files
) -> None:
    clerk = parked_agent(files, output_type=[str, DeferredToolRequests])
    actor_system.start(clerk.factory())
    answer = await clerk.run("delete a")
    asks = parked_agent(files, "asks", input_provider=allow)
    actor_system.start(asks.factory())

    assert isinstance(answer.content, DeferredToolRequests)
    assert (await asks.run("delete a")).content == "a is gone"
    assert clerk.pending() == asks.pending() == []


@pytest.mark.parametrize("kind", ["team", "chain", "boss", "nested"])
async def test_the_time_of_what_waits_for_the_run_stands_still(
    actor_system: ActorSystem, manual_clock: ManualClock, files: Files, kind: str
) -> None:
    clerk, other, last = (parked_agent(files, name, timeout=10.0) for name in ("clerk", "other", "last"))
    boss = Agent("boss", model=deleting_model(send="send"), timeout=10.0)

    async def send(name: str) -> str:
        return str((await clerk.run(f"delete {name}")).content)

    boss.tools.add_function(send)
    team = Team([clerk, other], timeout=10.0)
    outer: Any = {
        "team": team,
        "chain": TeamRun([clerk, last], timeout=10.0),
        "boss": boss,
        "nested": TeamRun([team, last], timeout=10.0),
    }[kind]
    for node in (clerk, other, last, team, outer):
        if node.home.find() is None:
            actor_system.start(node.factory())
    run = await begun(outer, "send a" if kind == "boss" else "delete a")
    await manual_clock.advance(1_000.0)
    if kind in ("team", "nested"):
        other.approve(run_of(other))
        await manual_clock.advance(1_000.0)

    assert not run.done()
    clerk.approve(run_of(clerk))
    await settle()
    assert run.done()
    assert "a is gone" in (await run).text
    assert (len(actor_system.deadlines), actor_system.deadlines.paused) == (0, {})


@pytest.mark.parametrize("is_slow", [True, False])
async def test_what_was_left_of_the_time_of_a_boss_counts_again(
    actor_system: ActorSystem, manual_clock: ManualClock, *, is_slow: bool
) -> None:
    forever = asyncio.Event()

    async def hang(name: str) -> str:
        if is_slow:
            await forever.wait()
        return name

    async def send(name: str) -> str:
        answer = await clerk.run(f"hang {name}")
        await forever.wait()
        return str(answer.content)

    clerk = Agent("clerk", model=deleting_model(hang="hang"), tools=[Tool(hang, requires_approval=True)])
    boss = Agent("boss", model=deleting_model(send="send"), tools=[send], timeout=10.0)
    for node in (clerk, boss):
        actor_system.start(node.factory())
    run = await begun(boss, "send a")
    await manual_clock.advance(500.0)
    clerk.approve(run_of(clerk))
    await settle()
    await manual_clock.advance(9.9)
    assert not run.done()
    await manual_clock.advance(0.1)

    with pytest.raises(RunTimeoutError, match="node 'boss'"):
        await run
    await settle()
    assert (len(actor_system.deadlines), actor_system.deadlines.paused) == (0, {})


async def test_a_team_that_waited_for_a_person_still_ends_in_its_time_with_what_it_has(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    forever = asyncio.Event()

    async def hang(name: str) -> str:
        await forever.wait()
        return name

    tools = [Tool(hang, requires_approval=True)]
    clerk = Agent("clerk", model=deleting_model(hang="hang"), tools=tools)
    quick = echo_agent("quick")
    team = Team([clerk, quick], timeout=10.0)
    for node in (clerk, quick, team):
        actor_system.start(node.factory())
    run = await begun(team, "hang a")
    await manual_clock.advance(1_000.0)
    clerk.approve(run_of(clerk))
    await settle()
    await manual_clock.advance(9.75)
    assert not run.done()
    await manual_clock.advance(0.2)

    assert (await run).text == "[quick]: quick(hang a)"
    assert (len(actor_system.deadlines), actor_system.deadlines.paused) == (0, {})


async def test_the_wait_is_no_time_of_a_budget(
    actor_system: ActorSystem, manual_clock: ManualClock, files: Files
) -> None:
    clerk = parked_agent(files)
    actor_system.start(clerk.factory())
    budget = Budget(seconds=30)
    run = await begun(clerk, "delete a", budget=budget)
    await manual_clock.advance(1_000.0)
    clerk.approve(run_of(clerk))
    assert (await run).content == "a is gone"

    owner = parked_agent(files, "owner", budget=budget)
    actor_system.start(owner.factory())
    run = await begun(owner, "delete a")
    await manual_clock.advance(29.0)
    assert (await owner.run("hello", fresh=True)).content == "said hello"
    await manual_clock.advance(1.0)
    with pytest.raises(BudgetExceededError):  # others draw from it as well: it does not stand still for one run
        await owner.run("hello", fresh=True)
    owner.approve(run_of(owner))
    with pytest.raises(BudgetExceededError):
        await run


async def test_a_streamed_run_and_one_in_the_background_are_parked_as_well(
    actor_system: ActorSystem, files: Files
) -> None:
    clerk = parked_agent(files)
    actor_system.start(clerk.factory())

    async def read() -> str:
        async with clerk.run_stream("delete a") as stream:
            return "".join([piece async for piece in stream.stream()])

    reading = asyncio.ensure_future(read())
    await settle()
    clerk.approve(run_of(clerk))
    assert await reading == "a is gone"

    await clerk.run_in_background("delete b", max_count=1, interval=0.0)
    await settle()
    clerk.approve(run_of(clerk))
    answer = await clerk.wait()
    assert answer is not None
    assert answer.content == "b is gone"


async def test_a_retry_goes_on_after_a_parked_attempt(actor_system: ActorSystem, files: Files) -> None:
    failures = [ConnectionError("gone")]

    async def delete(name: str) -> str:
        if failures:
            raise failures.pop()
        return f"{name} is gone"

    clerk = Agent(
        "clerk", model=deleting_model(), tools=[Tool(delete, requires_approval=True)], retry=Retry(attempts=2)
    )
    actor_system.start(clerk.factory())
    run = await begun(clerk, "delete a")
    clerk.approve(run_of(clerk))
    while not clerk.pending():
        await settle()
    clerk.approve(run_of(clerk))

    assert (await run).content == "a is gone"
