"""The structure of a team as a mermaid diagram."""

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actors.nodes.base_team import BaseTeam
    from actors.nodes.node import MessageNode

_ESCAPES = str.maketrans({"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "\n": " ", "\r": " "})


def structure_diagram(team: "BaseTeam[Any, Any]") -> str:
    """Return the members of a team, and of the teams inside of it, as mermaid text.

    A team is a box around its members; an arrow leads from each member of a chain to the next.
    """
    return "\n".join(["flowchart LR", *_Diagram().lines(team, 1)]) + "\n"


class _Diagram:
    def __init__(self) -> None:
        self._count = 0

    def lines(self, node: "MessageNode[Any, Any]", depth: int, box: str = "") -> Iterator[str]:
        space, own = "    " * depth, box or self._next()
        members = getattr(node, "stages", None)
        if members is None:
            yield f"{space}{own}[{_label(node.name)}]"
            return
        yield f"{space}subgraph {own}[{_label(f'{node.name} ({node.kind})')}]"  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - a team
        ids = [self._next() for _ in members]
        for member, name in zip(members, ids, strict=True):
            yield from self.lines(member, depth + 1, name)
        if getattr(node, "is_chain", False):
            yield from (f"{space}    {left} --> {right}" for left, right in pairwise(ids))
        yield f"{space}end"

    def _next(self) -> str:
        self._count += 1
        return f"n{self._count}"


def _label(text: str) -> str:
    return f'"{text.translate(_ESCAPES)}"'
