"""A snapshot of the supervision tree."""

from collections.abc import Iterable

import msgspec

from actors.runtime.cell import Cell
from actors.runtime.log import error_line


class ActorNode(msgspec.Struct, frozen=True):
    """One actor, as it was when the snapshot was taken. Encodes to JSON in one call of `msgspec.json.encode`."""

    name: str
    actor_type: str
    state: str
    incarnation: int
    restarts: int
    depth: int
    """Messages that wait."""
    oldest_age: float
    """Seconds that the oldest of them has waited."""
    in_flight: int
    """Messages that are being handled."""
    accepted: int
    handled: int
    failed: int
    dead_lettered: int
    abandoned: int
    """Handlers that were cut loose."""
    last_failure: str
    """Text of the last failure, empty if there was none."""
    children: "tuple[ActorNode, ...]" = ()


def tree_of(cells: Iterable[Cell]) -> tuple[ActorNode, ...]:
    """Snapshot actors, given in the order of their start. Works without recursion, so the tree may be deep."""
    made: dict[Cell, ActorNode] = {}
    in_order = tuple(cells)
    for cell in reversed(in_order):
        made[cell] = _node(cell, tuple(made[child] for child in cell.children or () if child in made))
    return tuple(made[cell] for cell in in_order if cell.parent is None or cell.parent not in made)


def _node(cell: Cell, children: tuple[ActorNode, ...]) -> ActorNode:
    statistics = cell.ref.statistics()
    return ActorNode(
        name=cell.name,
        actor_type=cell.kind.__name__,
        state=str(cell.state),
        incarnation=cell.incarnation,
        restarts=cell.restarts,
        depth=statistics.depth,
        oldest_age=statistics.oldest_age,
        in_flight=len(cell.turns or ()),
        accepted=cell.accepted,
        handled=cell.handled,
        failed=cell.failed,
        dead_lettered=cell.dead,
        abandoned=cell.abandoned_turns,
        last_failure="" if cell.cause is None else error_line(cell.cause, 200),
        children=children,
    )
