"""A snapshot of the supervision tree, actor by actor or as a whole."""

from collections.abc import Iterable, Iterator

import msgspec

from actors.runtime.cell import Cell
from actors.runtime.log import error_line


class ActorRow(msgspec.Struct, frozen=True):
    """One actor, as it was when it was looked at. Encodes to JSON in one call of `msgspec.json.encode`."""

    id: str
    """The actor's URN, unique for ever."""
    parent: str
    """URN of its supervisor, empty for an actor without one."""
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


class ActorNode(ActorRow, frozen=True):
    """One actor of a tree."""

    children: "tuple[ActorNode, ...]" = ()


def rows_of(cells: dict[Cell, None]) -> Iterator[ActorRow]:
    """Look at each of these actors when its row is taken, in this order; those that end before it are left out."""
    return (_row(cell, cells) for cell in tuple(cells) if cell in cells)


def _row(cell: Cell, living: dict[Cell, None]) -> ActorRow:
    ref, statistics = cell.ref, cell.ref.statistics()
    return ActorRow(
        id=ref.actor_urn, parent="" if cell.parent not in living else cell.parent.ref.actor_urn, name=cell.name,
        actor_type=cell.kind.__name__, state=str(cell.state), incarnation=cell.incarnation, restarts=cell.restarts,
        depth=statistics.depth, oldest_age=statistics.oldest_age, in_flight=len(cell.turns or ()),
        accepted=cell.accepted, handled=cell.handled, failed=cell.failed, dead_lettered=cell.dead,
        abandoned=cell.abandoned_turns, last_failure="" if cell.cause is None else error_line(cell.cause, 200),
    )  # fmt: skip


def tree_of(rows: Iterable[ActorRow]) -> tuple[ActorNode, ...]:
    """Make a tree of rows, in which supervisors come before their children. Works without recursion."""
    below: dict[str, list[ActorNode]] = {}
    for row in reversed(tuple(rows)):
        children = tuple(reversed(below.pop(row.id, ())))
        below.setdefault(row.parent, []).append(ActorNode(**msgspec.structs.asdict(row), children=children))
    return tuple(reversed(below.get("", ())))
