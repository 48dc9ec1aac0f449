"""Context variables of the caller reach whatever works in a run, and nobody else."""

import asyncio
from contextvars import ContextVar
from decimal import getcontext
from typing import Any

import pydantic_ai
import pytest
from pydantic_ai.models.test import TestModel

from actors.agents.agent import Agent
from actors.nodes.team import Team
from actors.nodes.team_run import TeamRun
from actors.runs.run_cost import RunCost, cost_of_team
from actors.testing.models import echo_model, failing_model
from actors.testing.settle import settle
from tests.support.nodes import AnyAgent

tenant: ContextVar[str] = ContextVar("tenant", default="none")


def reader(name: str, seen: dict[str, str]) -> AnyAgent:
    """Make an agent that notes the variable."""

    async def note(text: str) -> str:
        seen[name] = tenant.get()
        return text

    return Agent.from_callback(note, name=name)


async def test_tools_callbacks_and_workers_see_the_variables_of_the_caller() -> None:
    seen: dict[str, str] = {}

    def plain() -> str:
        seen["plain"] = tenant.get()
        return "ok"

    async def waiting() -> str:
        seen["waiting"] = tenant.get()
        return "ok"

    def blocking(text: str) -> str:
        seen["blocking"] = tenant.get()
        return text

    worker = reader("worker", seen)
    tools: list[Any] = [plain, waiting, worker.to_tool()]
    tenant.set("north")
    await Agent("a", model=TestModel(), tools=tools, session=False).run("go")
    await Agent.from_callback(blocking, blocking=True).run("go")

    assert seen == dict.fromkeys(("plain", "waiting", "worker", "blocking"), "north")


@pytest.mark.parametrize("kind", [Team, TeamRun])
async def test_members_see_them_and_nothing_that_another_member_has_set(kind: Any) -> None:
    seen: dict[str, str] = {}

    async def changes(text: str) -> str:
        tenant.set("changed")
        return text

    inner = Team([reader("b", seen)], name="inner")
    team = kind([reader("a", seen), Agent.from_callback(changes), inner, reader("c", seen)], name="all")
    tenant.set("north")

    await team.run("go")
    assert seen == dict.fromkeys("abc", "north")
    await team.run("go", require_all=False)
    assert seen == dict.fromkeys("abc", "north")
    assert tenant.get() == "north"


async def test_runs_of_different_callers_keep_their_variables_apart() -> None:
    seen: dict[str, str] = {}

    async def note(text: str) -> str:
        await asyncio.sleep(0)
        seen[text] = tenant.get()
        return text

    agent = Agent.from_callback(note)

    async def call(who: str) -> None:
        tenant.set(who)
        await agent.run(who)

    await asyncio.gather(*(asyncio.create_task(call(str(who))) for who in range(20)))
    await agent.run("nobody")

    assert seen == {str(who): str(who) for who in range(20)} | {"nobody": "none"}


async def test_a_connection_and_a_background_run_carry_them_as_well() -> None:
    seen: dict[str, str] = {}
    first, second, background = reader("first", seen), reader("second", seen), reader("background", seen)
    first >> second  # pyright: ignore[reportUnusedExpression]
    tenant.set("north")

    await first.run("go", wait_for_connections=True)
    stats = await background.run_in_background("go", max_count=1)
    tenant.set("later")
    await stats

    assert seen == dict.fromkeys(("first", "second", "background"), "north")


def test_a_thread_that_blocks_has_them_carried_too() -> None:
    seen: dict[str, str] = {}
    tenant.set("thread")
    reader("a", seen).run_sync("go")
    assert seen == {"a": "thread"}
    tenant.set("none")


async def test_what_describes_the_work_of_the_caller_is_never_carried() -> None:
    seen: list[Any] = []
    bare = pydantic_ai.Agent(TestModel(custom_output_text="bare"))

    async def look(text: str) -> str:
        seen.append((cost_of_team.get(), getcontext().prec, (await bare.run("x")).output))
        return text

    agent = Agent.from_callback(look)
    precision = getcontext().prec
    cost_of_team.set(RunCost())
    getcontext().prec = precision + 7
    with bare.override(model=TestModel(custom_output_text="overridden")):
        await agent.run("go")

    assert seen == [(None, precision, "bare")]


async def test_an_override_of_a_wrapped_agent_holds_for_the_runs_that_are_asked_for_inside_of_it() -> None:
    theirs = pydantic_ai.Agent(TestModel(custom_output_text="theirs"), name="wrapped")
    agent = Agent.from_pydantic_ai(theirs, session=False)
    other = TestModel(custom_output_text="overridden")
    both = Agent.from_callback(str.strip) | agent

    with theirs.override(model=other):
        assert [(await node.run("x")).content for node in (agent, both, agent.variant())] == ["overridden"] * 3
        stats = await agent.run_in_background("x", max_count=1)
    assert (await agent.run("x")).content == "theirs"
    await stats
    assert stats.messages[-1].content == "overridden"


async def test_the_caller_captures_the_messages_of_the_first_run_it_makes() -> None:
    agent = Agent("a", model=echo_model("{prompt}"), session=False)
    with pydantic_ai.capture_run_messages() as messages:
        await agent.run("one")
        await agent.run("two")

    assert [message.kind for message in messages] == ["request", "response"]
    assert "one" in str(messages)
    assert "two" not in str(messages)


async def test_a_failed_run_leaves_its_messages_to_the_caller() -> None:
    agent = Agent("a", model=failing_model(LookupError("no luck")), session=False)
    with pydantic_ai.capture_run_messages() as messages, pytest.raises(LookupError):
        await agent.run("one")
    assert "one" in str(messages)


async def test_members_of_a_team_do_not_mix_their_messages_in_what_the_caller_captures() -> None:
    team = Team([Agent(name, model=echo_model(name + "({prompt})"), session=False) for name in "abc"])
    with pydantic_ai.capture_run_messages() as messages:
        answer = await team.run("q")
    await settle()

    assert len(messages) == 2
    assert [len(one.messages) for one in answer.associated_messages] == [2, 2, 2]
    costs = [one.cost_info for one in (answer, *answer.associated_messages) if one.cost_info is not None]
    assert len(costs) == 4
    assert costs[0].token_usage.total_tokens == sum(cost.token_usage.total_tokens for cost in costs[1:]) > 0


async def test_the_messages_of_a_worker_are_its_own() -> None:
    worker = Agent("worker", model=echo_model("w({prompt})"), session=False)
    boss = Agent("boss", model=TestModel(), tools=[worker.to_tool()], session=False)
    with pydantic_ai.capture_run_messages() as messages:
        answer = await boss.run("q")

    assert list(answer.messages) == messages
    assert [message.kind for message in messages] == ["request", "response", "request", "response"]
