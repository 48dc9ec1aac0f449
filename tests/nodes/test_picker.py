from typing import Any

import pytest

from actors.agents.agent import Agent
from actors.nodes.team import Team
from actors.nodes.team_run import TeamRun
from actors.runs.selection import MultiPick, Pick
from actors.testing.models import scripted_model
from protocols.errors import PickError
from tests.support.nodes import AnyAgent, echo_agent


def picker(answer: Any, seen: list[str] | None = None) -> AnyAgent:
    def choose(text: str) -> Any:
        if seen is not None:
            seen.append(text)
        return answer

    return Agent.from_callback(choose, name="picker")


@pytest.mark.seed("S122")
async def test_only_the_picked_nodes_form_the_chain_in_the_order_of_the_answer() -> None:
    seen: list[str] = []
    a, b, c = echo_agent("a"), echo_agent("b"), echo_agent("c")
    a.description = "knows everything"
    chain = TeamRun([a, b, c], picker=picker(MultiPick(["c", "a"]), seen), shared_prompt="Be brief.")

    answer = await chain.run("q")

    assert (answer.content, answer.metadata["execution_order"]) == ("a(c(Be brief.\n\nq))", ["c", "a"])
    assert "Be brief.\n\nq" in seen[0]
    assert "- a: knows everything" in seen[0]
    assert "at least one option" in seen[0]


async def test_only_the_picked_members_of_a_team_run() -> None:
    team = Team([echo_agent("a"), echo_agent("b")], picker=picker(Pick("b")), num_picks=1)

    assert (await team.run("q")).content == ["b(q)"]
    assert [message.content async for message in team.run_iter("q")] == ["b(q)"]
    assert len(team.stats) == 1


async def test_a_model_picks_by_structured_output() -> None:
    chooser = Agent("chooser", model=scripted_model(['{"selections": ["b"], "reason": "x"}']))
    team = Team([echo_agent("a"), echo_agent("b")], picker=chooser)

    picked = await team.pick_agents("q")

    assert [node.name for node in picked] == ["b"]
    assert chooser.history == ()


@pytest.mark.parametrize("answer", ["b", ["b"], {"selection": "b"}, {"selections": ["b"]}, Pick("b"), " b "])
async def test_a_function_may_pick_in_any_shape(answer: Any) -> None:
    team = Team([echo_agent("a"), echo_agent("b")], picker=picker(answer))

    assert [node.name for node in await team.pick_agents("q")] == ["b"]


@pytest.mark.seed("S123")
@pytest.mark.parametrize(
    ("answer", "number", "problem"),
    [
        (["a", "b"], 1, "too many: 2 instead of 1"),
        (["a"], 2, "too few: 1 instead of 2"),
        ([], None, "chose nobody"),
        (["x"], None, "chose 'x', which is no member"),
        (["a", "a"], None, "chose 'a' twice"),
        (5, None, "must answer with names"),
        ([["a"]], None, "must answer with names"),
    ],
)
async def test_an_invalid_pick_is_an_error_that_leaves_the_team_usable(
    answer: Any, number: int | None, problem: str
) -> None:
    team = Team([echo_agent("a"), echo_agent("b")], picker=picker(answer), num_picks=number)

    with pytest.raises(PickError, match=problem) as raised:
        await team.run("q")
    assert isinstance(raised.value, ValueError)
    assert (await team[0].run("q")).content == "a(q)"


async def test_an_own_question_takes_the_place_of_the_usual_one() -> None:
    seen: list[str] = []
    team = Team([echo_agent("a"), echo_agent("b")], picker=picker(["a"], seen), pick_prompt="Say a.")

    await team.run("q")

    assert seen == ["Say a."]
