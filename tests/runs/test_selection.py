from typing import Any

import pytest

from actors.agents.agent import Agent
from actors.nodes.team import Team
from actors.nodes.team_run import TeamRun
from actors.runs.selection import MultiPick, Pick
from actors.testing.models import scripted_model
from protocols.errors import PickError
from tests.support.nodes import AnyAgent, echo_agent


class Van:
    """Takes twelve boxes.

    And two people.
    """


class Lorry: ...


def chooser(answer: Any, seen: list[str] | None = None) -> AnyAgent:
    def choose(text: str) -> Any:
        if seen is not None:
            seen.append(text)
        return answer

    return Agent.from_callback(choose, name="chooser")


async def test_a_node_picks_one_of_some_options() -> None:
    seen: list[str] = []
    choice = await chooser(Pick("Van", "it is small"), seen).pick([Van, Lorry], "Move the office.")

    assert (choice.selection, choice.selections, choice.reason) == (Van, (Van,), "it is small")
    assert "Move the office." in seen[0]
    assert "- Van: Takes twelve boxes.\n- Lorry\n" in seen[0]
    assert "exactly 1 option " in seen[0]


async def test_a_node_picks_several_options_in_an_order() -> None:
    seen: list[str] = []
    a, b, c = echo_agent("a"), echo_agent("b"), echo_agent("c")
    b.description = "knows everything"
    choice = await chooser(["c", a], seen).pick_multiple([a, b, c], "q", min_picks=2, max_picks=3)

    assert choice.selections == (c, a)
    assert "- b: knows everything" in seen[0]
    assert "at least 2 options and at most 3" in seen[0]


async def test_what_has_no_name_is_called_by_its_repr() -> None:
    assert (await chooser("7").pick([7, 8], "q")).selection == 7
    assert (await chooser([8]).pick([7, 8], "q")).selection == 8


async def test_a_model_picks_and_does_not_remember_it() -> None:
    agent = Agent("chooser", model=scripted_model(['{"selection": "x"}', '{"selections": ["y", "x"]}']))

    assert (await agent.pick(["x", "y"], "q")).selection == "x"
    assert (await agent.pick_multiple(["x", "y"], "q")).selections == ("y", "x")
    assert agent.history == ()


async def test_a_chain_picks_by_its_last_member() -> None:
    chain = TeamRun([echo_agent("reader"), Agent("chooser", model=scripted_model(['{"selections": ["b", "a"]}']))])
    team = TeamRun([echo_agent("a"), echo_agent("b")], picker=chain)

    assert (await team.run("q")).metadata["execution_order"] == ["b", "a"]


async def test_an_own_question_takes_the_place_of_the_usual_one() -> None:
    seen: list[str] = []
    await chooser("x", seen).pick(["x"], "q", prompt="Say x.")

    assert seen == ["Say x."]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (["x", "y"], "node 'chooser' chose too many: 2 instead of 1"),
        ([], "node 'chooser' chose too few: 0 instead of 1"),
        ("z", "node 'chooser' chose 'z', which is no option; known are x, y"),
        (None, "must answer with names of options"),
        (MultiPick(["x", "x"]), "chose 'x' twice"),
    ],
)
async def test_an_invalid_pick_is_an_error_that_leaves_the_node_usable(answer: Any, problem: str) -> None:
    node = chooser(answer)

    with pytest.raises(PickError, match=problem) as raised:
        await node.pick(["x", "y"], "q")
    assert raised.value.node == "chooser"
    assert (await node.run("q")).content == answer


@pytest.mark.parametrize(
    ("options", "numbers", "problem"),
    [
        ([], {}, "has nothing to choose from"),
        (["x", "x"], {}, "has two options that are called 'x'"),
        (["x"], {"min_picks": 2, "max_picks": 1}, "cannot choose at least 2 and at most 1"),
        (["x"], {"max_picks": 0}, "cannot choose at least 1 and at most 0"),
        (["x"], {"min_picks": -1}, "cannot choose at least -1"),
    ],
)
async def test_an_impossible_choice_is_refused_before_anything_runs(
    options: list[str], numbers: dict[str, Any], problem: str
) -> None:
    seen: list[str] = []

    with pytest.raises(PickError, match=problem):
        await chooser("x", seen).pick_multiple(options, "q", **numbers)
    assert seen == []


async def test_a_team_cannot_pick_as_one() -> None:
    with pytest.raises(PickError, match="chose too many"):
        await Team([chooser("x"), echo_agent("b")]).pick(["x", "y"], "q")
