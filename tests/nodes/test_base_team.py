import pytest

from actors.agents.agent import Agent
from actors.nodes.team import Team
from actors.nodes.team_run import TeamRun
from actors.testing.models import echo_model
from tests.support.nodes import echo_agent, failing_agent


@pytest.mark.seed("S108")
def test_prompt_says_kind_name_and_members() -> None:
    assert Team([echo_agent("a"), echo_agent("b")], name="t").__prompt__() == "Parallel Team 't'\nMembers: a, b"
    chain = TeamRun([echo_agent("a"), echo_agent("b")], name="t", description="writes")
    assert chain.__prompt__() == "Sequential Team 't' - writes\nPipeline: a -> b"


def test_iter_agents_goes_through_teams_depth_first() -> None:
    a, b, c = echo_agent("a"), echo_agent("b"), echo_agent("c")

    assert list(((a | b) & c).iter_agents()) == [a, b, c]


def test_the_structure_is_a_mermaid_diagram() -> None:
    diagram = (echo_agent("a") | (echo_agent("b") & echo_agent('c "x"'))).get_structure_diagram()

    assert diagram.splitlines() == [
        "flowchart LR",
        '    subgraph n1["a #amp; b #amp; c #quot;x#quot; (Sequential Team)"]',
        '        n2["a"]',
        '        subgraph n3["b #amp; c #quot;x#quot; (Parallel Team)"]',
        '            n4["b"]',
        '            n5["c #quot;x#quot;"]',
        "        end",
        "        n2 --> n3",
        "    end",
    ]


async def test_distribute_gives_every_agent_text_and_tools_for_its_next_run() -> None:
    def look(where: str) -> str:
        """Look."""
        return where

    agents = [Agent(name, model=echo_model()) for name in "ab"]
    team = Team([agents[0], TeamRun([agents[1], echo_agent("c")])])
    await team.distribute("Know this.", tools=[look], metadata={"from": "me"})

    answer = await agents[0].run("q")
    assert answer.content == "Know this.\n\nfrom: me\n\nq"
    assert ["look" in agent.tools.tools for agent in agents] == [True, True]
    assert (await agents[0].run("q")).content == "q"


async def test_stats_show_the_current_or_last_run() -> None:
    team = Team([echo_agent("a"), echo_agent("b"), failing_agent("bad")])
    assert (len(team.stats), team.stats.message_count) == (0, 0)
    await team.run("q")

    stats = team.stats
    assert stats is team.talk is team.execution_stats
    assert (len(stats), stats.message_count, stats.source_names, stats.target_names) == (3, 2, {"a", "b"}, set())
    assert [(name, text) for name, text, _ in stats.errors] == [("bad", "bad cannot do q")]
    assert (await stats) is stats.result()
    await team.run("again")
    assert team.stats is not stats


@pytest.mark.seed("S45")
async def test_a_connection_of_a_team_gets_the_output_of_all_members() -> None:
    target = echo_agent("t")
    team = Team([echo_agent("a"), echo_agent("b")])
    heard: list[str] = []
    target.message_received.connect(lambda message: heard.append(message.text))
    team >> target  # pyright: ignore[reportUnusedExpression]

    await team.run("q", wait_for_connections=True)
    await team.execute("r", wait_for_connections=True)

    assert heard == ["[a]: a(q)\n\n[b]: b(q)", "[a]: a(r)\n\n[b]: b(r)"]


@pytest.mark.seed("S71")
def test_building_teams_runs_nothing() -> None:
    a, b, c = failing_agent("a"), failing_agent("b"), failing_agent("c")

    assert len((a & b) | c) == 2


@pytest.mark.seed("S8")
def test_run_sync_works_on_teams() -> None:
    assert (echo_agent("a") & echo_agent("b")).run_sync("q").content == ["a(q)", "b(q)"]
    assert (echo_agent("a") | echo_agent("b")).run_sync("q").content == "b(a(q))"


@pytest.mark.seed("S10")
def test_run_sync_raises_the_exception_of_a_member_unchanged() -> None:
    error = ValueError("mine")

    with pytest.raises(ValueError, match="mine") as raised:
        (echo_agent("a") | failing_agent("b", error)).run_sync("q")
    assert raised.value is error
