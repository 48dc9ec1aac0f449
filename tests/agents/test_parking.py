"""What ends a parked run, and what does not: its actor restarts or stops, the asker gives up, too many wait."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from pydantic_ai.tools import Tool

from actors import Agent, ChildSpec, Supervisor, Team, TeamRun
from actors.agents import approvals
from actors.runtime.mailbox import MailboxConfig
from actors.runtime.options import StartOptions
from actors.supervision.backoff import Backoff
from actors.testing.models import failing_model
from actors.testing.settle import settle
from protocols.errors import ApprovalError, ConfigError, RunCancelledError, RunError
from protocols.events import ActorCrashed, ActorRestarted, LateReply, RunCancelled, StampedEvent
from tests.agents.parked_agent import Files, begun, parked_agent, run_of

if TYPE_CHECKING:
    from actors.runtime.system import ActorSystem
    from actors.testing.clock import ManualClock


@pytest.fixture
def files() -> Files:
    return Files()


@pytest.fixture
def events(actor_system: ActorSystem) -> list[type[StampedEvent]]:
    seen: list[type[StampedEvent]] = []

    def note(event: StampedEvent) -> None:
        seen.append(type(event))

    actor_system.events.subscribe(note, [ActorRestarted, ActorCrashed, RunCancelled, LateReply])
    return seen


async def crash(agent: Agent[Any, Any]) -> None:
    with pytest.raises(ZeroDivisionError):
        await agent.run("hello", fresh=True, model=failing_model(ZeroDivisionError()))
    await settle()


def supervised(system: ActorSystem, agent: Agent[Any, Any]) -> None:
    spec = ChildSpec(agent.factory(), name=agent.name, restart="permanent")
    system.start(Supervisor, ([spec],), {"backoff": Backoff(min=5.0, max=5.0, jitter=0.0)})


@pytest.mark.parametrize("places", [1, 100])
@pytest.mark.parametrize("is_decided_first", [True, False])
async def test_a_parked_run_outlives_the_restart_of_its_actor(
    actor_system: ActorSystem,
    manual_clock: ManualClock,
    files: Files,
    events: list[type[StampedEvent]],
    places: int,
    *,
    is_decided_first: bool,
) -> None:
    clerk = parked_agent(files, crash_on=(ZeroDivisionError,), max_concurrency=places)
    supervised(actor_system, clerk)
    await settle()
    run = await begun(clerk, "delete a", session="alice")
    later = await begun(clerk, "hello", session="alice")
    await crash(clerk)
    if is_decided_first:
        clerk.approve(run_of(clerk))
        await settle()
        assert files.deleted == []  # there is no incarnation that could go on
    await manual_clock.advance(5.0)

    if not is_decided_first:
        assert not later.done()
        clerk.approve(run_of(clerk))
    assert (await run).content == "a is gone"
    assert (await later).content == "said hello"
    assert events == [ActorCrashed, ActorRestarted]
    assert clerk.ref().incarnation == 2


async def test_a_run_that_goes_on_takes_its_place_again(actor_system: ActorSystem, files: Files) -> None:
    door, at_door = asyncio.Event(), asyncio.Event()

    async def wait(name: str) -> str:
        at_door.set()
        await door.wait()
        return name

    clerk = parked_agent(files, max_concurrency=1, tools=[Tool(files.delete, requires_approval=True)])
    clerk.tools.add_function(wait, name="look")
    actor_system.start(clerk.factory())
    run = await begun(clerk, "delete a", session="alice")
    busy = await begun(clerk, "delete around", session="bob")
    await at_door.wait()
    clerk.approve(run_of(clerk))
    await settle()
    assert not run.done()  # the one place is taken
    last = await begun(clerk, "hello", session="carol")
    door.set()

    assert (await run).content == "a is gone"
    await asyncio.gather(busy, last)
    node = actor_system.tree()[0]
    assert (node.in_flight, node.accepted, node.handled) == (0, 4, 4)


@pytest.mark.parametrize("how", ["cancelled", "by id", "by id after the step", "stopped", "killed", "system closed"])
async def test_a_parked_run_ends_with_its_asker_and_with_its_actor(
    actor_system: ActorSystem, manual_clock: ManualClock, files: Files, events: list[type[StampedEvent]], how: str
) -> None:
    clerk = parked_agent(files)
    ref = actor_system.start(clerk.factory())
    run = await begun(clerk, "delete a")
    later = await begun(clerk, "hello")
    run_id = run_of(clerk)
    error: type[BaseException] = RunCancelledError
    if how == "cancelled":
        run.cancel()
        error = asyncio.CancelledError
    elif how.startswith("by id"):
        assert clerk.cancel_run(run_id, mode="step" if how.endswith("step") else "now")
    elif how == "stopped":
        await ref.stop()
    elif how == "killed":
        await ref.kill()
    elif how == "system closed":
        await actor_system.close()
    await settle()

    with pytest.raises(error):
        await run
    if how == "cancelled" or how.startswith("by id"):
        assert (await later).content == "said hello"
    else:
        await asyncio.gather(later, return_exceptions=True)
    assert events == [RunCancelled]
    with pytest.raises(ApprovalError, match="decided or finished"):
        clerk.approve(run_id)
    assert (files.deleted, clerk.pending()) == ([], [])
    assert (len(actor_system.deadlines), actor_system.deadlines.paused) == (0, {})


async def test_a_team_that_needs_no_further_answer_drops_a_parked_member(
    actor_system: ActorSystem, files: Files, events: list[type[StampedEvent]]
) -> None:
    door = asyncio.Event()

    async def wait(text: str) -> str:
        await door.wait()
        return text

    clerk = parked_agent(files)
    actor_system.start(clerk.factory())
    quick = Agent.from_callback(wait, name="quick")
    team = Team([clerk, quick], policy="first")
    for node in (quick, team):
        actor_system.start(node.factory())
    run = await begun(team, "delete a")
    assert clerk.pending()
    door.set()

    assert (await run).text == "[quick]: delete a"
    await settle()
    assert (events, clerk.pending()) == ([RunCancelled], [])


async def test_a_chain_whose_parked_stage_is_cancelled_keeps_nothing_of_it(
    actor_system: ActorSystem, files: Files
) -> None:
    clerk = parked_agent(files)
    chain = TeamRun([Team([clerk]), parked_agent(files, "last")], timeout=30.0)
    for node in (clerk, chain):
        actor_system.start(node.factory())
    run = await begun(chain, "delete a")
    assert actor_system.deadlines.paused
    assert clerk.cancel_run(run_of(clerk))

    with pytest.raises(RunError):
        await run
    await settle()
    assert (len(actor_system.deadlines), actor_system.deadlines.paused) == (0, {})


async def test_a_run_more_than_may_wait_fails_and_says_so(
    actor_system: ActorSystem, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approvals, "MOST_WAITING", 2)
    clerk = parked_agent(files)
    actor_system.start(clerk.factory())
    run = await begun(clerk, "delete a b", fresh=True)
    with pytest.raises(ApprovalError, match="cannot wait for approval: 2 tool calls of agent 'clerk' do; approve or"):
        await clerk.run("delete c", fresh=True)
    clerk.deny(run_of(clerk))
    await run


async def test_what_the_event_shows_of_arguments_has_a_limit(actor_system: ActorSystem, files: Files) -> None:
    clerk = parked_agent(files)
    actor_system.start(clerk.factory())
    run = await begun(clerk, f"delete {'ä' * 5_000}")

    assert len(clerk.pending()[0].arguments.encode()) <= 4_000
    clerk.deny(run_of(clerk))
    await run


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan"), 31 * 86_400, None, "1 h"])
def test_the_time_that_a_run_waits_has_bounds(seconds: Any) -> None:
    with pytest.raises(ConfigError, match="agent 'a': approval_timeout must be seconds > 0, at most 30 days"):
        Agent("a", approval_timeout=seconds)


@pytest.mark.parametrize("replicas", [1, 3])
async def test_an_agent_with_a_mailbox_of_the_user_waits_as_a_whole(
    actor_system: ActorSystem, files: Files, replicas: int
) -> None:
    clerk = parked_agent(files, replicas=replicas)
    mailbox = MailboxConfig(priority=lambda _: 0)
    actor_system.start(clerk.factory(), options=StartOptions(mailbox=mailbox))
    run = await begun(clerk, "delete a")
    later = await begun(clerk, "hello", fresh=True)

    assert not later.done()
    clerk.approve(run_of(clerk))
    assert [(await run).content, (await later).content] == ["a is gone", "said hello"]
