"""Looking at the actors of a system: row by row while it works, or as one tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from actors import AsyncioActor, ChildSpec, Supervisor
from actors.runtime.tree import ActorRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from actors.runtime.system import ActorSystem
    from actors.runtime.tree import ActorNode


class Leaf(AsyncioActor):
    def on_receive(self, message: Any) -> Any:
        return message


def family(name: str, *children: ChildSpec) -> ChildSpec:
    return ChildSpec(Supervisor, args=(children,), name=name)


def leaf(name: str) -> ChildSpec:
    return ChildSpec(Leaf, name=name)


async def start_plant(system: ActorSystem) -> None:
    system.start(Leaf, name="lone")
    hall = (family("night", leaf("a"), leaf("b")), leaf("c"), family("day", family("empty"), leaf("a")))
    plant = system.start(Supervisor, (hall,), name="plant")
    await plant.ready()


def rows_below(nodes: Iterable[ActorNode], parent: str = "") -> Iterator[ActorRow]:
    for node in nodes:
        assert node.parent == parent
        yield ActorRow(*msgspec.structs.astuple(node)[:-1])
        yield from rows_below(node.children, node.id)


async def test_the_tree_is_its_rows_and_each_row_is_one_actor_after_its_supervisor(actor_system: ActorSystem) -> None:
    await start_plant(actor_system)

    rows = list(actor_system.rows())

    assert [actor_system.get_by_urn(row.id) for row in rows] == actor_system.actors()
    seen = {""}
    for row in rows:
        assert row.parent in seen
        seen.add(row.id)
    assert {row.id: row for row in rows_below(actor_system.tree())} == {row.id: row for row in rows}
    day = next(node for node in actor_system.tree()[1].children if node.name == "day")
    assert [child.name for child in day.children] == ["empty", "a"]


async def test_rows_leave_out_who_ended_while_they_were_taken_and_who_came_later(actor_system: ActorSystem) -> None:
    await start_plant(actor_system)
    rows = actor_system.rows()
    first = next(rows)

    plant = actor_system.get("plant")
    assert plant is not None
    await plant.stop(block=False)
    actor_system.start(Leaf, name="later")

    assert (first.name, list(rows)) == ("lone", [])
    assert [row.name for row in actor_system.rows()] == ["lone", "later"]


async def test_a_row_is_the_actor_of_the_moment_in_which_it_is_taken(actor_system: ActorSystem) -> None:
    one = actor_system.start(Leaf, name="one")
    rows = actor_system.rows()

    await one.ask("x")

    assert [row.handled for row in rows] == [1]
