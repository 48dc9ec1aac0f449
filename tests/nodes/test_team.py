import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest

from actors.nodes.agent import Agent
from actors.nodes.base_team import BaseTeam
from actors.nodes.node import MessageNode
from actors.nodes.policy import Policy
from actors.nodes.team import Team
from actors.nodes.team_run import TeamRun
from actors.runtime.errors import ActorCrashedError
from actors.runtime.system import ActorSystem
from actors.supervision.child import ChildSpec
from actors.supervision.intensity import RestartIntensity
from actors.supervision.supervisor import Supervisor
from actors.testing.models import echo_model, scripted_model
from actors.testing.settle import settle
from protocols.errors import ConfigError, EmptyChainError, MemberError, NodeNameError, NodeNotFoundError
from protocols.messages import ChatMessage
from protocols.response import TeamResponse
from tests.nodes.crew import Gate, failing, rec, until


@pytest.mark.seed("S104")
def test_teams_are_nodes() -> None:
    assert issubclass(Team, BaseTeam)
    assert issubclass(TeamRun, BaseTeam)
    assert issubclass(BaseTeam, MessageNode)
    assert issubclass(TeamResponse, list)


@pytest.mark.seed("S3")
async def test_run_returns_one_message_with_the_output_of_every_member() -> None:
    answer = await Team([rec("a"), rec("b")], name="both").run("q")

    assert (answer.content, answer.name, answer.role) == (["a(q)", "b(q)"], "both", "assistant")
    assert [message.name for message in answer.associated_messages] == ["a", "b"]
    assert answer.text == "[a]: a(q)\n\n[b]: b(q)"
    assert answer.metadata["agent_names"] == ["a", "b"]
    assert answer.metadata["errors"] == {}
    assert "start_time" in answer.metadata


@pytest.mark.seed("S4")
async def test_each_member_has_started_before_any_has_finished() -> None:
    gate = Gate()
    run = asyncio.ensure_future(Team([gate.member(name) for name in "abc"]).run("q"))

    await gate.until_started(3)

    assert gate.finished == []
    gate.open("c", "a", "b")
    assert (await run).content == ["a(q)", "b(q)", "c(q)"]


@pytest.mark.seed("S5")
async def test_every_member_gets_the_same_prompt_behind_the_shared_one() -> None:
    team = Team([rec("a"), Agent("b", model=echo_model())], shared_prompt="Be brief.")

    assert (await team.run("one", "two")).content == ["a(Be brief.\n\none\n\ntwo)", "Be brief.\n\none\n\ntwo"]


@pytest.mark.seed("S27")
@pytest.mark.seed("S38")
async def test_run_iter_yields_each_answer_as_it_gets_ready() -> None:
    gate = Gate()
    team = Team([gate.member("slow"), gate.member("fast")], shared_prompt="Go.")
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
        await read(Team([failing("bad"), rec("a"), rec("b")]).run_iter("q"))
    assert seen == ["a(q)", "b(q)"]


async def test_leaving_run_iter_cancels_what_still_works() -> None:
    gate = Gate()
    team = Team([slow := gate.member("slow"), rec("quick")])

    async for message in team.run_iter("q"):
        assert message.name == "quick"
        break
    await settle(ActorSystem.of(asyncio.get_running_loop()))
    await until(lambda: gate.cancelled)

    assert gate.cancelled == ["slow"]
    gate.open("slow")
    assert (await slow.run("again")).content == "slow(again)"


async def test_execute_lists_answers_as_they_came_and_errors_by_name() -> None:
    gate = Gate()
    team = Team([gate.member("slow"), rec("a"), failing("bad")])
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
    answer = await Team([rec("a"), failing("bad"), rec("c")]).run("q")

    assert (answer.content, answer.metadata["agent_names"]) == (["a(q)", "c(q)"], ["a", "c"])
    assert answer.metadata["errors"] == {"bad": "bad cannot do q"}


async def test_a_team_whose_members_all_fail_fails_and_stays_usable() -> None:
    team = Team([failing("a"), failing("b", KeyError("k"))])

    with pytest.raises(MemberError) as raised:
        await team.run("q")

    assert list(raised.value.errors) == ["a", "b"]
    assert isinstance(raised.value.__cause__, ValueError)
    assert (await team.execute("q")).failed_agents == ["a", "b"]


@pytest.mark.parametrize(
    ("policy", "fails"), [("all", True), ("any", False), (2, False), ("quorum=2", False), (3, True)]
)
async def test_the_policy_says_how_many_must_succeed(policy: str | int, *, fails: bool) -> None:
    team = Team([rec("a"), failing("bad"), rec("c")], policy=policy)

    if fails:
        with pytest.raises(MemberError):
            await team.run("q")
    else:
        assert (await team.run("q")).content == ["a(q)", "c(q)"]


async def test_the_first_success_cancels_the_others() -> None:
    gate = Gate()
    team = Team([gate.member("slow"), failing("bad"), rec("a")], policy="first")

    assert (await team.run("q")).content == ["a(q)"]
    await until(lambda: gate.cancelled)
    assert gate.cancelled == ["slow"]


async def test_require_all_of_one_run_goes_before_the_policy() -> None:
    team = Team([rec("a"), failing("bad")])

    with pytest.raises(MemberError):
        await team.run("q", require_all=True)
    assert (await Team([rec("a"), failing("bad")], policy="all").run("q", require_all=False)).content == ["a(q)"]


@pytest.mark.parametrize("policy", ["most", 0, -1, "quorum=x", True, 1.5])
def test_an_unknown_policy_is_refused(policy: Any) -> None:
    with pytest.raises(ConfigError, match="is no policy"):
        Policy.of(policy)


def test_a_quorum_above_the_number_of_members_is_refused() -> None:
    with pytest.raises(ConfigError, match="quorum of 3"):
        Team([rec("a")], policy=3)


@pytest.mark.seed("S43")
def test_a_team_is_a_sequence_of_its_members() -> None:
    a, b, c = rec("a"), rec("b"), rec("c")
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
        Team([rec("a"), rec("a")])
    with pytest.raises(ConfigError, match="member 5 is no node"):
        Team([nobody])
    with pytest.raises(ConfigError, match="picker 'x' is no node"):
        Team([rec("a")], picker="x")
    with pytest.raises(ConfigError, match="need a picker"):
        Team([rec("a")], num_picks=1)
    misspelt: Any = {"pikcer": rec("b")}
    with pytest.raises(TypeError, match="no setting 'pikcer'; did you mean 'picker'"):
        Team([rec("a")], **misspelt)


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
    answer = await Team([rec("a")]).run("q", message_id="mine")

    assert answer.message_id == "mine"
    assert answer.associated_messages[0].message_id != "mine"


async def test_an_exchange_is_remembered_by_the_team_when_that_is_wanted() -> None:
    team = Team([rec("a")])

    await team.run("one")
    await team.run("two", store_history=True)

    assert [(asked.content, answer.content) for asked, answer in team.history] == [("two", ["a(two)"])]


async def test_any_number_of_runs_go_on_at_once_without_mixing() -> None:
    team = Team([rec("a"), rec("b")])

    answers = await asyncio.gather(*(team.run(f"q{number}") for number in range(200)))

    assert [answer.content for answer in answers] == [[f"a(q{n})", f"b(q{n})"] for n in range(200)]
    assert len({answer.conversation_id for answer in answers}) == 200


# -- supervision --------------------------------------------------------------------------------------------------


class BrokenError(Exception):
    """Breaks the actor of the member that raises it."""


def fragile(name: str, calls: list[str]) -> Agent[object, str]:
    def answer(text: str) -> str:
        calls.append(text)
        if text == "break":
            raise BrokenError
        return f"{name}({text})"

    return Agent.from_callback(answer, name=name, crash_on=(BrokenError,))


async def test_members_that_nobody_owns_are_children_of_the_team() -> None:
    a, b = rec("a"), rec("b")
    await b.run("q")
    team = Team([a, b])
    await team.run("q")

    children = await team.ref().proxy().children()

    assert [(child.name, child.restart) for child in children] == [("a", "transient")]


@pytest.mark.conformance("R119")
async def test_a_member_that_crashes_in_a_run_is_restarted_and_the_run_keeps_the_other_answers() -> None:
    calls: list[str] = []
    member = fragile("a", calls)
    team = Team([member, rec("b")], backoff=None)

    answer = await team.run("break")
    again = await team.run("go on")

    assert (answer.content, list(answer.metadata["errors"])) == (["b(break)"], ["a"])
    assert again.content == ["a(go on)", "b(go on)"]
    assert (member.ref().incarnation, calls) == (2, ["break", "go on"])


async def test_a_team_whose_members_crash_too_often_starts_anew_with_the_next_run() -> None:
    team = Team([fragile("a", []), rec("b")], intensity=RestartIntensity(0, 5.0))
    with pytest.raises(ActorCrashedError):  # the whole team ends under the run
        await team.run("break")
    await until(lambda: team.home.find() is None)

    assert (await team.run("q")).content == ["a(q)", "b(q)"]


async def test_a_team_made_for_one_run_leaves_its_members_usable() -> None:
    system = ActorSystem.of(asyncio.get_running_loop())
    gate = Gate()
    a, b = gate.member("a"), rec("b")
    first = asyncio.ensure_future((a & b).run("1"))
    await gate.until_started(1)
    other = asyncio.ensure_future((a | b).run("2"))
    await gate.until_started(2)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    del first
    gc.collect()
    gate.open("a")

    assert (await other).content == "b(a(2))"
    assert (await a.run("3")).content == "a(3)"
    del other, a, b, gate
    gc.collect()
    await settle(system)
    for _ in range(20):
        await asyncio.sleep(0)
    gc.collect()
    assert [cell.name for cell in system.cells] == []


async def test_a_closed_team_leaves_its_members_usable() -> None:
    a, b = rec("a"), rec("b")
    async with a & b as team:
        await team.run("q")

    assert (await a.run("q")).content == "a(q)"
    assert (await (b | a).run("q")).content == "a(b(q))"


async def test_closing_a_team_waits_for_its_runs() -> None:
    gate = Gate()
    team = gate.member("a") | rec("b")
    await team.open()
    run = asyncio.ensure_future(team.run("q"))
    await gate.until_started(1)
    closing = asyncio.ensure_future(team.close())
    await asyncio.sleep(0)
    gate.open("a")

    await closing
    assert (await run).content == "b(a(q))"


async def test_a_team_takes_in_a_member_that_its_other_team_has_left_behind() -> None:
    a, b = rec("a"), rec("b")
    first, second = Team([a]), Team([a, b])
    await first.open()
    await second.run("q")
    assert [child.name for child in await second.ref().proxy().children()] == ["b"]

    await first.close()
    assert (await second.run("r")).content == ["a(r)", "b(r)"]
    children = await second.ref().proxy().children()
    assert [child.name for child in children] == ["b", "a"]
    assert children[1].ref == a.home.find()


async def test_members_of_a_supervisor_stay_its_own() -> None:
    a, b = rec("a"), rec("b")
    owner = await Supervisor.start([ChildSpec(a.factory(), name="a", restart="transient")]).ready()
    team = Team([a, b])
    await team.run("q")
    assert [child.name for child in await team.ref().proxy().children()] == ["b"]

    await owner.stop()
    answer = await team.run("q")
    assert (answer.content, list(answer.metadata["errors"])) == (["b(q)"], ["a"])


async def test_a_supervisor_may_own_a_team() -> None:
    team = Team([rec("a"), rec("b")], name="both")
    root = await Supervisor.start([ChildSpec(team.factory(), name="both", restart="transient")]).ready()

    assert (await team.run("q")).content == ["a(q)", "b(q)"]
    child = (await root.proxy().children())[0]
    assert (child.name, child.kind) == ("both", "supervisor")
    await root.stop()


# -- looks --------------------------------------------------------------------------------------------------------


@pytest.mark.seed("S108")
def test_prompt_says_kind_name_and_members() -> None:
    assert Team([rec("a"), rec("b")], name="t").__prompt__() == "Parallel Team 't'\nMembers: a, b"
    chain = TeamRun([rec("a"), rec("b")], name="t", description="writes")
    assert chain.__prompt__() == "Sequential Team 't' - writes\nPipeline: a -> b"


def test_iter_agents_goes_through_teams_depth_first() -> None:
    a, b, c = rec("a"), rec("b"), rec("c")

    assert list(((a | b) & c).iter_agents()) == [a, b, c]


def test_the_structure_is_a_mermaid_diagram() -> None:
    diagram = (rec("a") | (rec("b") & rec('c "x"'))).get_structure_diagram()

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
    team = Team([agents[0], TeamRun([agents[1], rec("c")])])
    await team.distribute("Know this.", tools=[look], metadata={"from": "me"})

    answer = await agents[0].run("q")
    assert answer.content == "Know this.\n\nfrom: me\n\nq"
    assert ["look" in agent.tools.tools for agent in agents] == [True, True]
    assert (await agents[0].run("q")).content == "q"


async def test_stats_show_the_current_or_last_run() -> None:
    team = Team([rec("a"), rec("b"), failing("bad")])
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
    target = rec("t")
    team = Team([rec("a"), rec("b")])
    heard: list[str] = []
    target.message_received.connect(lambda message: heard.append(message.text))
    team >> target  # pyright: ignore[reportUnusedExpression]

    await team.run("q", wait_for_connections=True)
    await team.execute("r", wait_for_connections=True)

    assert heard == ["[a]: a(q)\n\n[b]: b(q)", "[a]: a(r)\n\n[b]: b(r)"]


@pytest.mark.seed("S71")
def test_building_teams_runs_nothing() -> None:
    a, b, c = failing("a"), failing("b"), failing("c")

    assert len((a & b) | c) == 2


@pytest.mark.seed("S8")
def test_run_sync_works_on_teams() -> None:
    assert (rec("a") & rec("b")).run_sync("q").content == ["a(q)", "b(q)"]
    assert (rec("a") | rec("b")).run_sync("q").content == "b(a(q))"


@pytest.mark.seed("S10")
def test_run_sync_raises_the_exception_of_a_member_unchanged() -> None:
    error = ValueError("mine")

    with pytest.raises(ValueError, match="mine") as raised:
        (rec("a") | failing("b", error)).run_sync("q")
    assert raised.value is error
