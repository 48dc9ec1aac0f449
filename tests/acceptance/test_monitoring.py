"""The examples of team execution and monitoring: building teams, watching runs, the stats object, the whole program."""

import asyncio

import pytest

from actors import Agent, AgentPool, RunStats, Team, TeamRun
from actors.testing.models import echo_model
from actors.testing.settle import settle
from tests.support.nodes import echo_model_agent

AnyAgent = Agent[object, str]


def crew() -> tuple[AnyAgent, AnyAgent, AnyAgent]:
    return echo_model_agent("analyzer"), echo_model_agent("planner"), echo_model_agent("executor")


@pytest.mark.seed("S43", "S46", "S71")
async def test_teams_and_chains_are_built_without_running_anything() -> None:
    model = echo_model()
    first, second, third = (Agent(name, model=model) for name in ("a", "b", "c"))
    team = Team([first, second, third])
    chain = first | second | third
    team >> chain  # pyright: ignore[reportUnusedExpression] - it connects

    assert list(team) == list(chain) == [first, second, third]
    assert isinstance(chain, TeamRun)
    assert model.requests == []


@pytest.mark.seed("S45")
async def test_the_target_of_a_team_gets_the_output_of_all_members() -> None:
    model = echo_model()
    team = Team([echo_model_agent("a"), echo_model_agent("b")])
    team >> Agent("target", model=model)  # pyright: ignore[reportUnusedExpression] - it connects
    await team.run("q", wait_for_connections=True)

    assert len(model.prompts) == 1
    assert "a(q)" in model.prompts[0]
    assert "b(q)" in model.prompts[0]


@pytest.mark.seed("S48", "S49", "S50", "S52", "S65", "S66")
async def test_the_whole_program_runs_with_the_default_model() -> None:
    lines: list[str] = []
    async with AgentPool[None]() as pool:
        names = ["analyzer", "planner", "executor"]
        for name in names:
            await pool.add_agent(name, system_prompt=f"You are the {name}.", model="offline")
        run = pool.create_team_run(names)
        stats = await run.run_in_background("Plan the move of the office. It has to be done by May.")
        while run.is_running:
            lines.append(f"{len(stats)} {len(stats.messages)} {len(stats.errors)}")
            await asyncio.sleep(0)
        result = await run.wait()

    assert result is not None
    assert lines[0] == "0 0 0"
    lines.append(f"{stats.start_time:%Y} {stats.message_count} {stats.token_count} {stats.total_cost:.4f}")
    assert (stats.message_count, stats.source_names, stats.target_names) == (3, set(names), {"planner", "executor"})
    assert stats.error_log == []
    assert len(stats) == stats.num_connections == 3
    assert result.content == stats.messages[-1].content
    assert stats.token_count > 0
    assert f"{stats.total_cost:.4f}" == "0.0000"
    assert stats.cost_known


@pytest.mark.seed("S53")
@pytest.mark.parametrize("max_count", [None])
async def test_waiting_for_nothing_or_for_ever_is_refused(max_count: int | None) -> None:
    chain = TeamRun(crew())
    with pytest.raises(RuntimeError):
        await chain.wait()
    await chain.run_in_background("q", max_count=max_count, interval=1_000.0)
    with pytest.raises(RuntimeError):
        await chain.wait()
    await chain.stop()


@pytest.mark.seed("S67")
async def test_leaving_the_pool_ends_unlimited_runs(no_leaked_actors: None) -> None:
    async with AgentPool[None]() as pool:
        await pool.add_agent("a", model=echo_model())
        run = pool.create_team_run(["a"], name="run")
        stats = await run.run_in_background("q", max_count=None, interval=1_000.0)
        agent_stats = await pool.get_agent("a").run_in_background("q", interval=1_000.0)
        await settle()

    await settle()
    assert (stats.done, agent_stats.done, run.is_running) == (True, True, False)


@pytest.mark.seed("S68", "S69")
async def test_the_connections_of_an_execution_are_closed_and_do_not_pile_up() -> None:
    members = crew()
    chain = TeamRun(members)
    for _ in range(5):
        await chain.execute("q")
        async for _step in chain.execute_iter("q"):
            pass

    assert len(chain.stats) == 3
    assert [member.talks for member in members] == [(), (), ()]
    assert not chain.stats.get_active_talks()


@pytest.mark.seed("S70")
async def test_a_reader_task_sees_numbers_that_only_grow() -> None:
    chain = TeamRun(crew())
    stats = await chain.run_in_background("q", max_count=5, interval=0.0)
    seen: list[int] = []

    async def read(stats: RunStats) -> None:
        while not stats.done:
            seen.append(stats.message_count)
            await asyncio.sleep(0)

    await read(stats)

    assert seen == sorted(seen)
    assert stats.message_count == 15
