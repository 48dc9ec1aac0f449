"""Budgets of runs, agents and teams, and of the runs inside them."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.usage import RequestUsage

from actors import ActorSystem, Agent, AgentPool, Backoff, Budget, MessageNode, Retry, Team, TeamRun
from actors.models import budget as ledgers
from actors.testing.models import ModelCall, RecordingModel, failing_model, scripted_model, tool_call
from protocols.errors import ConfigError, ManifestError, MemberError
from protocols.model_errors import BudgetExceededError
from protocols.model_events import BudgetWarning


def model(tokens: int = 100, *, calls: int = 0, takes_prompt: bool = False) -> RecordingModel:
    """Return a model whose answers take so many tokens; the first ones call the tool `look`."""

    async def respond(call: ModelCall) -> ModelResponse:
        await asyncio.sleep(0)
        asked = sum(isinstance(one, ModelResponse) for one in call.messages)
        parts: list[TextPart | ToolCallPart] = [TextPart("done.")]
        if asked < calls:
            parts = [TextPart(f"part {asked}."), ToolCallPart("look", {"prompt": "x"} if takes_prompt else {})]
        return ModelResponse(parts, usage=RequestUsage(input_tokens=tokens - 10, output_tokens=10))

    return RecordingModel(respond)


async def test_a_run_ends_with_its_budget_and_tells_what_it_has() -> None:
    asked = model(calls=9)
    async with Agent("a", model=asked, tools=[look]) as agent:
        await agent.run("An earlier run", model=model())
        with pytest.raises(BudgetExceededError, match=r"used up: 250 tokens, spent 300") as caught:
            await agent.run("Go on", budget=Budget(tokens=250))
        answer = await agent.run("Once", budget=Budget(tokens=100_000), fresh=True)

    assert caught.value.partial == "part 1.\n\npart 2.\n\npart 3."
    assert not caught.value.retryable
    assert answer.content == "done."
    assert len(asked.requests) == 3 + 10


def look() -> str:
    return "seen"


async def test_the_budget_of_an_agent_holds_for_all_its_runs_streamed_ones_included() -> None:
    asked = model()
    async with Agent("a", model=asked, budget=Budget(requests=2), session=False) as agent:
        await agent.run("One")
        async with agent.run_stream("Two") as stream:
            assert [event async for event in stream]
        with pytest.raises(BudgetExceededError, match="the budget of node 'a' is used up: 2 requests, spent 2"):
            await agent.run("Three")

    assert len(asked.requests) == 2


async def test_members_draw_from_the_budget_of_their_team_at_the_same_time() -> None:
    asked = model()
    members = [Agent(f"a{number}", model=asked) for number in range(5)]
    async with Team(members, name="team", budget=Budget(requests=3)) as team:
        answer = await team.run("Go")

    assert len(asked.requests) == 3
    assert len(answer.content) == 3


async def test_a_chain_stops_with_the_budget_of_its_run() -> None:
    asked = model()
    async with TeamRun([Agent(f"a{number}", model=asked) for number in range(5)], name="chain") as chain:
        with pytest.raises((MemberError, BudgetExceededError), match="used up: 200 tokens"):
            await chain.run("Go", budget=Budget(tokens=200))

    assert len(asked.requests) == 2


async def test_a_worker_draws_from_the_budget_of_the_run_that_asks_it() -> None:
    asked = model()
    worker = Agent("worker", model=asked)
    boss_model = model(calls=9, takes_prompt=True)

    async with worker, Agent("boss", model=boss_model, tools=[worker.to_tool(name="look")]) as boss:
        with pytest.raises(BudgetExceededError):
            await boss.run("Go", budget=Budget(requests=4))

    assert len(asked.requests) + len(boss_model.requests) == 4


def by_a_tool(inner: MessageNode[Any, Any], options: Any) -> Agent[Any, Any]:
    async def ask() -> str:
        return str((await inner.run("Go", **options)).content)

    return Agent("outer", model=scripted_model([*[tool_call("ask")] * 6, "done"]), tools=[ask])


def by_a_function(inner: MessageNode[Any, Any], options: Any) -> Agent[Any, Any]:
    async def ask(text: str) -> str:
        return " ".join([str((await inner.run(text, **options)).content) for _ in range(9)])

    return Agent.from_callback(ask, name="outer")


@pytest.mark.parametrize("options", [{}, {"budget": Budget(requests=50)}], ids=["plain", "with-a-budget-of-its-own"])
@pytest.mark.parametrize("is_team", [False, True])
@pytest.mark.parametrize("outer", [by_a_tool, by_a_function])
async def test_what_a_tool_or_a_function_runs_by_hand_draws_from_the_budgets_around_it(
    outer: Callable[[Any, Any], Agent[Any, Any]], options: Any, *, is_team: bool
) -> None:
    asked = model()
    inner: MessageNode[Any, Any] = Agent("inner", model=asked)
    inner = Team([inner], name="inners") if is_team else inner
    node = outer(inner, options)
    async with inner, node, Team([node], name="team", budget=Budget(requests=6)) as team:
        for run in (node.run("Go", budget=Budget(requests=6)), team.run("Go")):
            asked.requests.clear()
            with pytest.raises((BudgetExceededError, MemberError), match="used up: 6 requests"):
                await run
            assert len(asked.requests) == (3 if outer is by_a_tool else 6)


@pytest.mark.parametrize("is_team", [False, True])
async def test_another_attempt_of_a_run_draws_from_the_same_budget(*, is_team: bool) -> None:
    asked = failing_model(ConnectionError("lost"))
    retry = Retry(attempts=5, backoff=Backoff(min=0.001, max=0.001))
    node: MessageNode[Any, Any] = Agent("a", model=asked, retry=None if is_team else retry)
    node = Team([node], name="team", retry=retry) if is_team else node
    async with node:
        with pytest.raises((BudgetExceededError, MemberError)):
            await node.run("Go", budget=Budget(requests=2))

    assert len(asked.requests) == 2


async def test_a_refused_request_takes_no_tokens_and_a_near_limit_is_told() -> None:
    async def respond(call: ModelCall) -> Any:
        if len(requests) == 0:
            requests.append(call)
            return ModelHTTPError(400, "m")
        return ModelResponse([TextPart("done.")], usage=RequestUsage(input_tokens=1_000))

    requests: list[ModelCall] = []
    system = ActorSystem.of(asyncio.get_running_loop())
    warned: list[Any] = []
    system.events.subscribe(warned.append, [BudgetWarning])
    async with Agent("a", model=RecordingModel(respond), budget=Budget(tokens=1_200), session=False) as agent:
        with pytest.raises(ModelHTTPError):
            await agent.run("One")
        await agent.run("Two")
    await system.close()

    assert [(one.budget, one.limit, one.most) for one in warned] == [("node 'a'", "tokens", 1_200.0)]


async def test_each_session_has_a_budget_of_its_own() -> None:
    asked = model()
    budget = Budget(requests=1)
    async with Agent("a", model=asked, session_budget=budget) as agent, Team([agent], name="team") as team:
        await agent.run("One", session="alice")
        with pytest.raises(BudgetExceededError, match="the budget of a session of node 'a' is used up: 1 requests"):
            await agent.run("Two", session="alice")
        with pytest.raises(MemberError, match="a session of node 'a' is used up"):
            await team.run("Three", session="alice")
        await team.run("Four", session="bob")
        await agent.run("Five")
        await agent.run("Six")

    assert asked.prompts == ["One", "Four", "Five", "Six"]


async def test_sessions_that_are_long_gone_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledgers, "_MOST_SESSIONS", 2)
    agent = Agent("a", session_budget=Budget(requests=1))
    first = ledgers.ledger_of(agent, "alice")

    assert ledgers.ledger_of(agent, "alice") is first
    for name in ("bob", "carol"):
        ledgers.ledger_of(agent, name)
    assert ledgers.ledger_of(agent, "alice") is not first


async def test_all_nodes_of_a_pool_draw_from_its_budget() -> None:
    asked = model()
    boss_model = model(calls=1, takes_prompt=True)
    outside = Agent("outside", model=asked)
    async with AgentPool[None](budget=Budget(requests=6)) as pool:
        agent = await pool.add_agent("a", model=asked)
        team = pool.create_team([agent, outside])
        await agent.run("One")
        await team.run("Two and three")  # a member of no pool counts for its team, and an agent of the pool once
        await pool.get_agent("a", session=False).run("Four")
        boss = await pool.add_agent("boss", model=boss_model, tools=[outside.to_tool(name="look")])
        with pytest.raises(BudgetExceededError, match="the budget of the pool is used up: 6 requests, spent 6"):
            await boss.run("Five", budget=Budget(requests=9))

    assert len(asked.requests) + len(boss_model.requests) == 6


@pytest.mark.parametrize("budget", [5, {"tokens": 1}, (1,)])
def test_a_pool_refuses_what_is_no_budget(budget: Any) -> None:
    with pytest.raises(ConfigError, match="pool: budget must be a Budget, not"):
        AgentPool[None](budget=budget)


@pytest.mark.parametrize(("name", "value"), [("exit_timeout", -1), ("exit_timeout", "3s"), ("tracing", True)])
def test_a_pool_refuses_an_impossible_keyword(name: str, value: Any) -> None:
    keywords: dict[str, Any] = {name: value}
    with pytest.raises(ConfigError, match=f"pool: {name} must be .*, not {value!r}"):
        AgentPool[None](**keywords)


async def test_the_budgets_of_a_manifest_hold_for_sessions_and_the_pool(tmp_path: Path) -> None:
    text = "budget: {requests: 3}\nagents: {a: {model: offline, sessions: {budget: {requests: 1, per: day}}}}\n"
    file = tmp_path / "pool.yml"
    file.write_text(text)
    async with AgentPool[None](file) as pool:
        agent = pool.get_agent("a")
        await agent.run("A sentence.", session="alice")
        with pytest.raises(BudgetExceededError, match="a session of node 'a'"):
            await agent.run("A sentence.", session="alice")
        await agent.run("A sentence.", session="bob")
        file.write_text(text.replace("requests: 3", "requests: 2"))
        await pool.reload()
        with pytest.raises(BudgetExceededError, match="of the pool is used up: 2 requests, spent 2"):
            await agent.run("A sentence.", session="carol")
        file.write_text(text.replace("budget: {requests: 3}", ""))
        await pool.reload()
        await agent.run("A sentence.", session="carol")


async def test_without_a_policy_a_budget_is_refused() -> None:
    async with Agent("a", model=model(), policy=False) as agent:
        with pytest.raises(ConfigError, match="policy=False, so nothing would count its budget"):
            await agent.run("Go", budget=Budget(tokens=1))


async def test_a_manifest_has_budgets(tmp_path: Path) -> None:
    file = tmp_path / "agent.yml"
    file.write_text("agents:\n  a:\n    model: offline\n    budget: {requests: 1, warn_at: 0.5, seconds: 60}\n")
    async with Agent.from_config(file) as agent:
        await agent.run("A first sentence.")
        with pytest.raises(BudgetExceededError):
            await agent.run("A second sentence.")


@pytest.mark.parametrize(
    ("budget", "text"),
    [
        ("{}", "budget.tokens: is required, unless cost, requests or seconds"),
        ("{tokens: -1}", "tokens"),
        ("{cost: 0}", "cost"),
        ("{warn_at: 2}", "warn_at"),
        ("{tokens: 1, per: week}", "per"),
    ],
)
def test_a_manifest_with_an_impossible_budget_is_refused(tmp_path: Path, budget: str, text: str) -> None:
    file = tmp_path / "agent.yml"
    file.write_text(f"agents:\n  a:\n    model: offline\n    budget: {budget}\n")
    with pytest.raises(ManifestError, match=text):
        Agent.from_config(file)
