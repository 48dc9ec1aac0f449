from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from actors.agents.agent import Agent
from actors.nodes.node import AnyNode, MessageNode
from actors.nodes.operators import NodeOperators


class Group(MessageNode[object, Any]):
    def __init__(self, nodes: Sequence[AnyNode], shared_prompt: str | None = None, *, is_plain: bool = True) -> None:
        super().__init__("group")
        self.nodes = list(nodes)
        self.shared_prompt = shared_prompt
        self.is_plain = is_plain


class FakeTeam(Group): ...


class FakeChain(Group): ...


@pytest.fixture(autouse=True)
def fake_operators() -> Iterator[None]:
    before = MessageNode.__dict__.get("operators")
    MessageNode.operators = NodeOperators(FakeTeam, FakeChain, make_team=FakeTeam, make_chain=FakeChain)
    yield
    if before is None:
        del MessageNode.operators
    else:
        MessageNode.operators = before


def shape(node: AnyNode) -> object:
    """Return the kinds and names of a structure: a team as a set-like list, a chain as a tuple."""
    if isinstance(node, FakeTeam):
        return [shape(member) for member in node.nodes]
    return tuple(shape(step) for step in node.nodes) if isinstance(node, FakeChain) else node.name


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
        (lambda: a & FakeTeam([b], is_plain=False), ["a", ["b"]]),
        (lambda: FakeChain([a], is_plain=False) | b, (("a",), "b")),
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
        team: Any = FakeTeam([a], first) & FakeTeam([b], second)
        prompt: str | None = team.shared_prompt
        return prompt

    assert both("one", "two") == "one\n\ntwo"
    assert both("one", "one") == "one"
    assert both(None, "two") == "two"
    assert both(None, None) is None


def test_a_longer_chain_keeps_the_shared_prompt() -> None:
    assert (FakeChain([a], "be brief") | b).shared_prompt == "be brief"


@pytest.mark.parametrize("operand", [5, "b", None, object()])
def test_what_is_neither_node_nor_function_is_refused(operand: Any) -> None:
    with pytest.raises(ValueError, match="cannot apply &"):
        _ = a & operand
    with pytest.raises(ValueError, match=r"cannot apply \|"):
        _ = operand | a
