"""A node as a tool of another agent: what it uses, when it has to end."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from pydantic_ai import RunContext
from pydantic_ai.exceptions import UsageLimitExceeded
from pydantic_ai.messages import ModelResponse, ToolReturnPart
from pydantic_ai.usage import RunUsage, UsageLimits

from actors.agents.agent import Agent
from actors.nodes.as_tool import joint_limits
from actors.nodes.team import Team
from actors.runtime.system import ActorSystem
from actors.testing.clock import ManualClock
from actors.testing.models import Answer, RecordingModel, echo_model, scripted_model, slow_model
from actors.testing.settle import settle
from protocols.errors import RunTimeoutError
from tests.runs.tool_answer import call


def asking(*workers: str) -> RecordingModel:
    """Return a model that asks these workers at once, and is then done."""
    parts = [part for worker in workers for part in call(f"ask_{worker}", prompt="x").parts]
    return scripted_model([ModelResponse(parts), "done"])


def agent_with_tool(requests: int) -> Agent:
    """Return an agent that calls a tool so often before it answers, and makes one request more than that."""
    script: list[Answer] = [*(call("note") for _ in range(requests - 1)), "found"]
    return Agent("worker", model=scripted_model([*script, *script]), tools=[note])


def note() -> str:
    return "noted"


async def test_what_a_worker_uses_counts_for_the_run_that_asked() -> None:
    boss = Agent("boss", model=asking("worker"))
    boss.register_worker(agent_with_tool(3))
    usage = RunUsage()

    answer = await boss.run("x", usage=usage)

    assert (usage.requests, usage.tool_calls) == (2 + 3, 1 + 2)
    assert answer.usage.total_tokens < usage.total_tokens  # a message tells what it alone has cost


@pytest.mark.parametrize(("limit", "fits"), [(4, False), (5, True)])
async def test_the_limits_of_a_run_hold_for_it_and_its_workers_together(limit: int, fits: bool) -> None:
    boss = Agent("boss", model=asking("worker"))
    boss.register_worker(agent_with_tool(3))
    limits = UsageLimits(request_limit=limit)

    if fits:
        assert (await boss.run("x", usage_limits=limits)).content == "done"
    else:
        with pytest.raises(UsageLimitExceeded):
            await boss.run("x", usage_limits=limits)


@pytest.mark.parametrize(("limit", "fits"), [(2, False), (3, True)])
async def test_the_own_limits_of_a_worker_hold_for_what_it_uses_itself(limit: int, fits: bool) -> None:
    worker = agent_with_tool(3)
    limited = Agent("worker", model=worker.model, tools=[note], usage_limits=UsageLimits(request_limit=limit))
    boss = Agent("boss", model=scripted_model([call("note"), call("note"), call("ask_worker", prompt="x"), "done"]))
    boss.tools.add_function(note)
    boss.register_worker(limited)

    if fits:
        assert (await boss.run("x")).content == "done"
    else:
        with pytest.raises(UsageLimitExceeded):
            await boss.run("x")


def test_joint_limits_are_the_tighter_ones() -> None:
    used = RunUsage(requests=2, input_tokens=10, output_tokens=5, tool_calls=1, cost=Decimal(3))
    outer = UsageLimits(request_limit=5, tool_calls_limit=2, cost_limit=Decimal(9))
    own = UsageLimits(request_limit=1, tool_calls_limit=9, total_tokens_limit=100, cost_limit=Decimal(1))

    joint = joint_limits(outer, used, own)

    assert joint == UsageLimits(request_limit=3, tool_calls_limit=2, total_tokens_limit=115, cost_limit=Decimal(4))
    assert joint_limits(None, used, own) == UsageLimits(
        request_limit=3, tool_calls_limit=10, total_tokens_limit=115, cost_limit=Decimal(4)
    )
    assert joint_limits(outer, used, None) is outer


async def test_cancelling_a_run_cancels_its_workers(actor_system: ActorSystem) -> None:
    one, two = slow_model(asyncio.Event()), slow_model(asyncio.Event())
    boss = Agent("boss", model=asking("one", "two"))
    for name, model in (("one", one), ("two", two)):
        boss.register_worker(Agent(name, model=model))
    actor_system.start(boss.factory())
    run = asyncio.create_task(boss.run("x"))
    await one.started.wait()
    await two.started.wait()

    run.cancel()

    with pytest.raises(asyncio.CancelledError):
        await run
    await settle(actor_system)
    assert (one.cancelled, two.cancelled) == (1, 1)


async def test_the_time_of_a_run_ends_a_team_that_is_its_worker(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    slow = slow_model(asyncio.Event())
    team = Team([Agent("quick", model=echo_model("found")), Agent("slow", model=slow)], name="crew")
    boss = Agent("boss", model=asking("crew"), tools=[team.to_tool()])
    actor_system.start(boss.factory())
    run = asyncio.create_task(boss.run("x", timeout=5))
    await slow.started.wait()

    await manual_clock.advance(5)

    with pytest.raises(RunTimeoutError):
        await run
    await settle(actor_system)
    assert slow.cancelled == 1


def lent(ctx: RunContext[str]) -> str:
    """Return the dependencies of the run."""
    return str(ctx.deps)


@pytest.mark.parametrize(("own", "seen"), [(None, "of the boss"), ("its own", "its own")])
@pytest.mark.parametrize("in_team", [False, True])
async def test_a_worker_without_dependencies_gets_those_of_the_run_that_asks(
    own: str | None, seen: str, in_team: bool
) -> None:
    model = scripted_model([call("lent"), "done"])
    worker: Agent[Any] = Agent("worker", model=model, tools=[lent], deps=own)
    node = Team([worker], name="team") if in_team else worker
    boss: Agent[Any] = Agent("boss", model=asking(node.name))
    boss.register_worker(node)
    await boss.run("x", deps="of the boss")

    parts = model.requests[-1].messages[-1].parts
    assert [part.content for part in parts if isinstance(part, ToolReturnPart)] == [seen]
