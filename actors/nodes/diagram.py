"""The structure of nodes as a mermaid diagram."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import count, pairwise
from typing import NamedTuple, Protocol

from protocols.handle import Named
from protocols.plain_text import mermaid_text


class DiagramNode(Named, Protocol):
    """A node as the diagram sees it."""

    def structure(self) -> "DiagramGroup | None":
        """Return what is inside the node. None if the node has no members."""
        ...


class DiagramGroup(NamedTuple):
    """What is inside a node."""

    kind: str
    """Stands behind the name of the node."""
    members: Sequence[DiagramNode]
    is_ordered: bool = False
    """True if an arrow leads from each member to the next."""


def diagram(nodes: Iterable[DiagramNode]) -> str:
    """Return nodes as mermaid text. A node with members is a box around its members."""
    ids = (f"n{number}" for number in count(1))
    lines = [line for node in nodes for line in _lines(node, next(ids), ids, "    ")]
    return "\n".join(["flowchart LR", *lines]) + "\n"


def _lines(node: DiagramNode, own: str, ids: Iterator[str], space: str) -> Iterator[str]:
    inside = node.structure()
    if inside is None:
        yield f"{space}{own}[{mermaid_text(node.name)}]"
        return
    yield f"{space}subgraph {own}[{mermaid_text(f'{node.name} ({inside.kind})')}]"
    members = [(next(ids), member) for member in inside.members]
    for each, member in members:
        yield from _lines(member, each, ids, space + "    ")
    if inside.is_ordered:
        yield from (f"{space}    {left} --> {right}" for (left, _), (right, _) in pairwise(members))
    yield f"{space}end"
