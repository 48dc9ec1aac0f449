import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from actors.agents.agent import Agent
from actors.nodes.node import AnyNode
from actors.nodes.team import Team
from actors.nodes.team_run import TeamRun


def shape(node: AnyNode) -> object:
    """Return the kinds and names of a structure: a team as a set-like list, a chain as a tuple."""
    if isinstance(node, Team):
        return [shape(member) for member in node.nodes]
    return tuple(shape(step) for step in node.nodes) if isinstance(node, TeamRun) else node.name


a, b, c, d = (Agent(name) for name in "abcd")
upper: Callable[[str], str] = str.upper


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: a & b, ["a", "b"]),
        (lambda: a & upper, ["a", "upper"]),
        (lambda: upper & a, ["upper", "a"]),
        (lambda: a & (b & c), ["a", "b", "c"]),
        (lambda: (a & b) & (c & d), ["a", "b", "c", "d"]),
        (lambda: a & b & upper, ["a", "b", "upper"]),
        (lambda: a & (b | c), ["a", ("b", "c")]),
        (lambda: (a | b) & c, [("a", "b"), "c"]),
        (lambda: a | b, ("a", "b")),
        (lambda: a | upper, ("a", "upper")),
        (lambda: upper | a, ("upper", "a")),
        (lambda: a | b | c | d, ("a", "b", "c", "d")),
        (lambda: a | (b | c), ("a", ("b", "c"))),
        (lambda: (a & b) | c, (["a", "b"], "c")),
        (lambda: a | (b & c) | d, ("a", ["b", "c"], "d")),
        (lambda: (a & b) | (c | d), (["a", "b"], ("c", "d"))),
        (lambda: a & Team([b], name="named"), ["a", ["b"]]),
        (lambda: TeamRun([a], name="named") | b, (("a",), "b")),
        (lambda: a | upper | str.upper, ("a", "upper", "upper_2")),
    ],
)
def test_the_table_of_operators(make: Callable[[], AnyNode], expected: object) -> None:
    assert shape(make()) == expected


def test_an_operator_never_changes_its_operands() -> None:
    team, chain = a & b, a | b

    grown = [team & c, chain | c, c & team, c | chain]

    assert (shape(team), shape(chain), len(grown)) == (["a", "b"], ("a", "b"), 4)


def test_shared_prompts_of_joined_teams_are_combined_once() -> None:
    def both(first: str | None, second: str | None) -> str | None:
        team: Any = Team([a], shared_prompt=first) & Team([b], shared_prompt=second)
        prompt: str | None = team.shared_prompt
        return prompt

    assert both("one", "two") == "one\n\ntwo"
    assert both("one", "one") == "one"
    assert both(None, "two") == "two"
    assert both(None, None) is None


def test_a_longer_chain_keeps_the_shared_prompt() -> None:
    assert (TeamRun([a], shared_prompt="be brief") | b).shared_prompt == "be brief"


@pytest.mark.parametrize("operand", [5, "b", None, object()])
def test_what_is_neither_node_nor_function_is_refused(operand: Any) -> None:
    with pytest.raises(ValueError, match="cannot apply &"):
        _ = a & operand
    with pytest.raises(ValueError, match=r"cannot apply \|"):
        _ = operand | a


@pytest.mark.parametrize(
    "module",
    ["actors.nodes", "actors.nodes.node", "actors.nodes.team", "actors.nodes.team_run", "actors.nodes.operators"],
)
def test_a_function_without_the_class_of_agents_says_what_to_import(module: str) -> None:
    code = f"import {module}; from actors.nodes import Team; Team([]) & str.upper"

    ran = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)

    assert "import that class first: from actors import Agent" in ran.stderr
