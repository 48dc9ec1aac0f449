import asyncio
import gc
from datetime import datetime
from typing import Any

import pytest

from actors.agents.agent import Agent
from actors.nodes.team import Team
from actors.nodes.team_run import TeamRun
from actors.runtime.system import ActorSystem
from actors.supervision.child import ChildSpec
from actors.testing.models import echo_model, scripted_model
from protocols.errors import ConfigError, NodeNameError
from protocols.messages import ChatMessage
from tests.support.nodes import collect_steps, echo_agent


@pytest.mark.seed("S6")
@pytest.mark.seed("S110")
async def test_each_member_gets_the_answer_of_the_one_before() -> None:
    answer = await TeamRun([echo_agent("a"), echo_agent("b"), echo_agent("c")], name="chain").run("q")

    assert (answer.content, answer.role, answer.name) == ("c(b(a(q)))", "assistant", "chain")


@pytest.mark.seed("S111")
@pytest.mark.seed("S112")
@pytest.mark.seed("S113")
async def test_the_answer_says_how_it_came_about() -> None:
    chain = TeamRun([echo_agent("a"), Agent("b", model=echo_model())])
    first, second = await chain.run("q"), await chain.run("q")

    assert [message.name for message in first.associated_messages] == ["a", "b"]
    assert first.messages == first.associated_messages[1].messages != ()
    assert first.message_id != second.message_id
    assert first.conversation_id != second.conversation_id
    assert first.metadata["execution_order"] == ["a", "b"]
    assert first.metadata["errors"] == {}
    assert datetime.fromisoformat(first.metadata["start_time"]).tzinfo is not None


@pytest.mark.seed("S114")
async def test_a_message_as_only_input_is_forwarded() -> None:
    first = await echo_agent("a").run("q")
    answer = await (echo_agent("b") | echo_agent("c")).run(first)

    assert (answer.content, answer.forwarded_from) == ("c(b(a(q)))", ("a",))
    assert answer.conversation_id == first.conversation_id
    assert [message.forwarded_from for message in answer.associated_messages] == [("a",), ("a", "b")]


@pytest.mark.seed("S109")
@pytest.mark.seed("S115")
async def test_signals_fire_once_around_the_members() -> None:
    told: list[str] = []
    a, b = echo_agent("a"), echo_agent("b")
    chain = a | b
    for node in (chain, a, b):
        name = node.name
        node.message_received.connect(lambda message, name=name: told.append(f"{name} got {message.content}"))  # type: ignore[misc] # pyright: ignore[reportUnknownLambdaType, reportUnknownMemberType, reportUnknownArgumentType]
        node.message_sent.connect(lambda message, name=name: told.append(f"{name} sent {message.content}"))  # type: ignore[misc] # pyright: ignore[reportUnknownLambdaType, reportUnknownMemberType, reportUnknownArgumentType]

    await chain.run("q")

    assert told == [
        "a & b got q", "a got q", "a sent a(q)", "b got a(q)", "b sent b(a(q))", "a & b sent b(a(q))",
    ]  # fmt: skip


@pytest.mark.seed("S46")
@pytest.mark.seed("S106")
def test_a_chain_has_exactly_its_nodes_in_order() -> None:
    a, b, c = echo_agent("a"), echo_agent("b"), echo_agent("c")
    chain = TeamRun(
        [a, b], name="n", description="d", display_name="D", shared_prompt="s", validator=c, picker=None,
        num_picks=None, pick_prompt=None,
    )  # fmt: skip

    assert list(a | b | c) == [a, b, c]
    assert (chain.name, chain.description, chain.display_name, chain.shared_prompt) == ("n", "d", "D", "s")
    assert (chain.validator, list(chain)) == (c, [a, b])
    by_place: Any = TeamRun
    with pytest.raises(TypeError):
        by_place([a], "name")


@pytest.mark.seed("S119")
async def test_the_shared_prompt_comes_before_the_task_of_the_first_in_every_method() -> None:
    chain = TeamRun([echo_agent("a"), echo_agent("b")], shared_prompt="Be brief.")
    expected = "b(a(Be brief.\n\nq))"

    assert (await chain.run("q")).content == expected
    assert (await chain.execute("q"))[-1].response == expected
    assert [message.content async for message in chain.run_iter("q")][-1] == expected
    seen: list[Any] = []
    await collect_steps(chain.execute_iter("q"), seen)
    assert seen[-1].response == expected


@pytest.mark.seed("S124")
async def test_a_validator_is_the_last_node_and_its_answer_the_result() -> None:
    answer = await TeamRun([echo_agent("a"), echo_agent("b")], validator=echo_agent("v")).run("q")

    assert (answer.content, answer.metadata["execution_order"]) == ("v(b(a(q)))", ["a", "b", "v"])


def test_bad_validators_and_doubtful_names_are_refused() -> None:
    nobody: Any = "b"
    with pytest.raises(ConfigError, match="validator 'b' is no node"):
        TeamRun([echo_agent("a")], validator=nobody)
    with pytest.raises(NodeNameError, match="called 'a'"):
        TeamRun([echo_agent("a")], validator=echo_agent("a"))


async def test_a_node_may_stand_in_a_chain_twice() -> None:
    a = echo_agent("a")

    assert (await TeamRun([a, echo_agent("b"), a]).run("q")).content == "a(b(a(q)))"


@pytest.mark.seed("S107")
async def test_result_mode_is_last_or_concat_and_nothing_else() -> None:
    chain = TeamRun([echo_agent("a"), echo_agent("b")])
    assert chain.result_mode == "last"

    chain.result_mode = "concat"
    assert (await chain.run("q")).content == "a(q)\n\nb(a(q))"
    chain.result_mode = "first"  # type: ignore[assignment] # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ValueError, match="result_mode='first' is unknown"):
        await chain.run("q")


@pytest.mark.seed("S117")
@pytest.mark.seed("S118")
async def test_execute_returns_the_answers_in_order_with_their_times() -> None:
    chain = echo_agent("a") | echo_agent("b")
    await chain.execute("p")
    response = await chain.execute("q")

    assert [(one.agent_name, one.response) for one in response] == [("a", "a(q)"), ("b", "b(a(q))")]
    assert all(one.timing is not None and one.timing >= 0 for one in response)
    assert response.start_time <= response.end_time
    assert (len(chain.talk), chain.talk.errors) == (2, [])


@pytest.mark.seed("S120")
async def test_keywords_reach_every_member() -> None:
    agents = [Agent(name, model=scripted_model(["never asked"])) for name in "ab"]
    model = echo_model("{prompt}!")

    for run in (TeamRun(agents).run, TeamRun(agents).execute):
        result = await run("q", model=model, store_history=False)
        assert "q!!" in str(result)
    assert [agent.history for agent in agents] == [(), ()]
    await TeamRun(agents).run("q", model=model)
    assert [agent.history for agent in agents] == [(), ()]  # members of a run without a session begin fresh
    await TeamRun(agents).run("q", model=model, session="s")
    assert [len(agent.sessions.get("s")) for agent in agents] == [2, 2]
    await TeamRun(agents).run("q", model=model, store_history=True)
    assert [len(agent.history) for agent in agents] == [2, 2]


async def test_teams_and_chains_nest_in_every_combination() -> None:
    a, b, c, d = (echo_agent(name) for name in "abcd")

    assert (await (a | (b & c) | d).run("q")).content == "d([b]: b(a(q))\n\n[c]: c(a(q)))"
    assert (await (a | (b | c)).run("q")).content == "c(b(a(q)))"
    assert (await ((a | b) & c).run("q")).content == ["b(a(q))", "c(q)"]
    assert (await Team([a, Team([b, c])]).run("q")).content == ["a(q)", ["b(q)", "c(q)"]]
    assert (await ((a & b) | (c | d)).run("q")).content == "d(c([a]: a(q)\n\n[b]: b(q)))"


async def test_a_nested_team_is_one_step_and_one_message() -> None:
    chain = echo_agent("a") | (echo_agent("b") & echo_agent("c")) | echo_agent("d")
    answer = await chain.run("q")

    assert answer.metadata["execution_order"] == ["a", "b & c", "d"]
    assert chain.stats.message_count == 3
    assert answer.associated_messages[2].forwarded_from == ("a", "b & c")


async def test_functions_may_stand_on_either_side() -> None:
    a = echo_agent("a")

    assert (await (str.strip | a | str.upper).run(" q ")).content == "A(Q)"
    assert (await (str.upper & a).run("q")).content == ["Q", "a(q)"]


async def test_a_thousand_runs_over_shared_members_mix_nothing_and_leave_nothing() -> None:
    a, b, c = echo_agent("a"), echo_agent("b"), echo_agent("c")
    chain = TeamRun([a, Team([b, c]), echo_agent("d")])
    system = ActorSystem.of(asyncio.get_running_loop())
    await _many_runs(chain, 10)
    gc.collect()
    before = len(gc.get_objects())
    actors = len(system.cells)

    await _many_runs(chain, 1_000)
    for _ in range(10):
        await asyncio.sleep(0)
    gc.collect()

    assert len(gc.get_objects()) - before < 2_000
    assert len(system.cells) == actors
    assert [node.talks for node in (a, b, c, chain)] == [(), (), (), ()]


async def _many_runs(chain: TeamRun[Any, Any], number: int) -> None:
    answers = await asyncio.gather(*(chain.run(f"q{n}") for n in range(number)))
    expected = [f"d([b]: b(a(q{n}))\n\n[c]: c(a(q{n})))" for n in range(number)]
    mixed = [answer.content for answer, wanted in zip(answers, expected, strict=True) if answer.content != wanted]

    assert mixed == []
    assert len({answer.conversation_id for answer in answers}) == number


async def test_a_chain_may_be_a_child_and_its_parts_restart() -> None:
    chain = echo_agent("a") | echo_agent("b")
    spec = ChildSpec(chain.factory(), name="chain")

    assert (spec.kind, spec.shutdown) == ("supervisor", "infinity")


async def test_a_users_message_adds_nobody_to_the_chain() -> None:
    answer = await (echo_agent("a") | echo_agent("b")).run(ChatMessage.user_prompt("q", "talk"))

    assert (answer.forwarded_from, answer.conversation_id) == ((), "talk")
    assert answer.associated_messages[0].forwarded_from == ()


def test_a_chain_without_a_name_reads_as_a_chain_and_keeps_the_name_of_the_contract() -> None:
    a, b, c = (echo_agent(name) for name in "abc")
    chain = a | b | c

    assert (chain.name, chain.label, repr(chain)) == ("a & b & c", "a -> b -> c", "<TeamRun 'a -> b -> c'>")
    assert repr((a & b) | c) == "<TeamRun 'a & b -> c'>"
    assert repr(TeamRun([a, b], name="desk")) == "<TeamRun 'desk'>"
    assert repr(TeamRun[Any]([])) == "<TeamRun 'TeamRun'>"
