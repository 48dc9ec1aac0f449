import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from actors.agents.agent import Agent
from actors.nodes.base_team import BaseTeam
from actors.nodes.node import MessageNode
from actors.nodes.team import Team
from actors.nodes.team_run import TeamRun
from actors.nodes.team_settings import SuccessPolicy
from actors.runtime.system import ActorSystem
from actors.testing.models import echo_model, scripted_model
from actors.testing.settle import settle
from protocols.errors import ConfigError, EmptyChainError, MemberError, NodeNameError, NodeNotFoundError
from protocols.messages import ChatMessage
from protocols.response import TeamResponse
from tests.support.nodes import BlockedAgents, echo_agent, failing_agent
from tests.support.waiting import wait_until


@pytest.mark.seed("S104")
def test_teams_are_nodes() -> None:
    assert issubclass(Team, BaseTeam)
    assert issubclass(TeamRun, BaseTeam)
    assert issubclass(BaseTeam, MessageNode)
    assert issubclass(TeamResponse, list)


@pytest.mark.seed("S3")
async def test_run_returns_one_message_with_the_output_of_every_member() -> None:
    answer = await Team([echo_agent("a"), echo_agent("b")], name="both").run("q")

    assert (answer.content, answer.name, answer.role) == (["a(q)", "b(q)"], "both", "assistant")
    assert [message.name for message in answer.associated_messages] == ["a", "b"]
    assert answer.text == "[a]: a(q)\n\n[b]: b(q)"
    assert answer.metadata["agent_names"] == ["a", "b"]
    assert answer.metadata["errors"] == {}
    assert "start_time" in answer.metadata


@pytest.mark.seed("S4")
async def test_each_member_has_started_before_any_has_finished() -> None:
    gate = BlockedAgents()
    run = asyncio.ensure_future(Team([gate.agent(name) for name in "abc"]).run("q"))

    await gate.until_started(3)

    assert gate.finished == []
    gate.open("c", "a", "b")
    assert (await run).content == ["a(q)", "b(q)", "c(q)"]


@pytest.mark.seed("S5")
async def test_every_member_gets_the_same_prompt_behind_the_shared_one() -> None:
    team = Team([echo_agent("a"), Agent("b", model=echo_model())], shared_prompt="Be brief.")

    assert (await team.run("one", "two")).content == ["a(Be brief.\n\none\n\ntwo)", "Be brief.\n\none\n\ntwo"]


@pytest.mark.seed("S27")
@pytest.mark.seed("S38")
async def test_run_iter_yields_each_answer_as_it_gets_ready() -> None:
    gate = BlockedAgents()
    team = Team([gate.agent("slow"), gate.agent("fast")], shared_prompt="Go.")
    gate.open("fast")
    seen: list[Any] = []
    async for message in team.run_iter("q"):
        seen.append(message.content)
        gate.open("slow")

    assert seen == ["fast(Go.\n\nq)", "slow(Go.\n\nq)"]


async def test_run_iter_tells_of_failures_after_the_last_answer() -> None:
    seen: list[Any] = []

    async def read(messages: AsyncIterator[ChatMessage[Any]]) -> None:
        async for message in messages:
            seen.append(message.content)  # noqa: PERF401 - what came before the failure counts

    with pytest.raises(MemberError, match="bad: bad cannot do q"):
        await read(Team([failing_agent("bad"), echo_agent("a"), echo_agent("b")]).run_iter("q"))
    assert seen == ["a(q)", "b(q)"]


async def test_leaving_run_iter_cancels_what_still_works() -> None:
    gate = BlockedAgents()
    team = Team([slow := gate.agent("slow"), echo_agent("quick")])

    async for message in team.run_iter("q"):
        assert message.name == "quick"
        break
    await settle(ActorSystem.of(asyncio.get_running_loop()))
    await wait_until(lambda: gate.cancelled)

    assert gate.cancelled == ["slow"]
    gate.open("slow")
    assert (await slow.run("again")).content == "slow(again)"


async def test_execute_lists_answers_as_they_came_and_errors_by_name() -> None:
    gate = BlockedAgents()
    team = Team([gate.agent("slow"), echo_agent("a"), failing_agent("bad")])
    run = asyncio.ensure_future(team.execute("q"))
    await gate.until_started(1)
    gate.open("slow")

    response = await run

    assert [one.agent_name for one in response] == ["a", "slow"]
    assert response.failed_agents == ["bad"]
    assert all(one.timing is not None and one.timing >= 0 for one in response)
    failed = response.by_agent("bad")
    assert failed is not None
    assert failed.error == "bad cannot do q"


async def test_a_partial_failure_keeps_the_successes() -> None:
    answer = await Team([echo_agent("a"), failing_agent("bad"), echo_agent("c")]).run("q")

    assert (answer.content, answer.metadata["agent_names"]) == (["a(q)", "c(q)"], ["a", "c"])
    assert answer.metadata["errors"] == {"bad": "bad cannot do q"}


async def test_a_team_whose_members_all_fail_fails_and_stays_usable() -> None:
    team = Team([failing_agent("a"), failing_agent("b", KeyError("k"))])

    with pytest.raises(MemberError) as raised:
        await team.run("q")

    assert list(raised.value.errors) == ["a", "b"]
    assert isinstance(raised.value.__cause__, ValueError)
    assert (await team.execute("q")).failed_agents == ["a", "b"]


@pytest.mark.parametrize(
    ("policy", "fails"), [("all", True), ("any", False), (2, False), ("quorum=2", False), (3, True)]
)
async def test_the_policy_says_how_many_must_succeed(policy: Any, *, fails: bool) -> None:
    team = Team([echo_agent("a"), failing_agent("bad"), echo_agent("c")], policy=policy)

    if fails:
        with pytest.raises(MemberError):
            await team.run("q")
    else:
        assert (await team.run("q")).content == ["a(q)", "c(q)"]


async def test_the_first_success_cancels_the_others() -> None:
    gate = BlockedAgents()
    team = Team([gate.agent("slow"), failing_agent("bad"), echo_agent("a")], policy="first")

    assert (await team.run("q")).content == ["a(q)"]
    await wait_until(lambda: gate.cancelled)
    assert gate.cancelled == ["slow"]


async def test_require_all_of_one_run_goes_before_the_policy() -> None:
    team = Team([echo_agent("a"), failing_agent("bad")])

    with pytest.raises(MemberError):
        await team.run("q", require_all=True)
    assert (await Team([echo_agent("a"), failing_agent("bad")], policy="all").run("q", require_all=False)).content == [
        "a(q)"
    ]


@pytest.mark.parametrize("policy", ["most", 0, -1, "quorum=x", True, 1.5])
def test_an_unknown_policy_is_refused(policy: Any) -> None:
    with pytest.raises(ConfigError, match="is no policy"):
        SuccessPolicy.of(policy)


def test_a_quorum_above_the_number_of_members_is_refused() -> None:
    with pytest.raises(ConfigError, match="quorum of 3"):
        Team([echo_agent("a")], policy=3)


@pytest.mark.seed("S43")
def test_a_team_is_a_sequence_of_its_members() -> None:
    a, b, c = echo_agent("a"), echo_agent("b"), echo_agent("c")
    team = Team([a, b, c])

    assert (list(team), len(team), team.agents, team.name) == ([a, b, c], 3, (a, b, c), "a & b & c")
    assert (team[1], team["c"], team[:2]) == (b, c, (a, b))
    assert "b" in team
    assert a in team
    with pytest.raises(NodeNotFoundError, match="no node 'd' in the team") as raised:
        team["d"]
    assert isinstance(raised.value, KeyError)
    with pytest.raises(IndexError):
        team[3]


def test_bad_members_are_refused() -> None:
    nobody: Any = 5
    with pytest.raises(NodeNameError, match="two nodes in it are called 'a'"):
        Team([echo_agent("a"), echo_agent("a")])
    with pytest.raises(ConfigError, match="member 5 is no node"):
        Team([nobody])
    with pytest.raises(ConfigError, match="picker 'x' is no node"):
        Team([echo_agent("a")], picker="x")
    with pytest.raises(ConfigError, match="need a picker"):
        Team([echo_agent("a")], num_picks=1)
    misspelt: Any = {"pikcer": echo_agent("b")}
    with pytest.raises(TypeError, match="no setting 'pikcer'; did you mean 'picker'"):
        Team([echo_agent("a")], **misspelt)


@pytest.mark.parametrize("kind", [Team, TeamRun])
async def test_an_empty_team_says_so_when_it_is_run(kind: type[Team[Any]] | type[TeamRun[Any, Any]]) -> None:
    team = kind([])  # pyright: ignore[reportCallIssue]

    assert team.name == kind.__name__
    with pytest.raises(EmptyChainError, match="has no members"):
        await team.run("q")


async def test_keywords_reach_every_member() -> None:
    agents = [Agent(name, model=scripted_model(["never asked"])) for name in "ab"]

    answer = await Team(agents).run("q", model=echo_model("{prompt}!"), store_history=False, metadata={"k": 1})

    assert answer.content == ["q!", "q!"]
    assert [agent.history for agent in agents] == [(), ()]
    assert answer.metadata["k"] == 1


async def test_only_the_answer_of_the_team_gets_the_message_id() -> None:
    answer = await Team([echo_agent("a")]).run("q", message_id="mine")

    assert answer.message_id == "mine"
    assert answer.associated_messages[0].message_id != "mine"


async def test_an_exchange_is_remembered_by_the_team_when_that_is_wanted() -> None:
    team = Team([echo_agent("a")])

    await team.run("one")
    await team.run("two", store_history=True)

    assert [(asked.content, answer.content) for asked, answer in team.history] == [("two", ["a(two)"])]


async def test_any_number_of_runs_go_on_at_once_without_mixing() -> None:
    team = Team([echo_agent("a"), echo_agent("b")])

    answers = await asyncio.gather(*(team.run(f"q{number}") for number in range(200)))

    assert [answer.content for answer in answers] == [[f"a(q{n})", f"b(q{n})"] for n in range(200)]
    assert len({answer.conversation_id for answer in answers}) == 200
