"""Supervisors that are killed, and trees that are deep: nobody is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from actors.supervision.child import ChildSpec
from actors.supervision.supervisor import Supervisor
from actors.testing.settle import settle
from tests.supervision.children import Log, Plain, member, members, ref_of, slow, supervise

if TYPE_CHECKING:
    from actors.runtime.system import ActorSystem
    from actors.testing.clock import ManualClock


@pytest.mark.conformance("R61")
@pytest.mark.parametrize("depth", [1_000, pytest.param(10_000, marks=pytest.mark.soak)])
@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_a_deep_tree_ends_without_recursion(actor_system: ActorSystem, depth: int, how: str) -> None:
    spec = ChildSpec(Plain, name="leaf")
    for level in range(depth):
        spec = ChildSpec(Supervisor, args=([spec],), name=f"level{level}", start_timeout=1_000.0)
    top = actor_system.start(Supervisor, ([spec],))
    await top.ready()
    assert len(actor_system.actors()) == depth + 2

    await (top.stop(timeout=1_000.0) if how == "stop" else top.kill())

    assert actor_system.actors() == []


@pytest.mark.conformance("R62")
async def test_nobody_outlives_a_supervisor_that_is_killed(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    log = Log()
    inner = ChildSpec(Supervisor, args=(members(log, "ab", shutdown="infinity"),), name="inner")
    sup = await supervise(actor_system, [inner, member(log, "z")])
    (await ref_of(await ref_of(sup, "inner"), "a")).tell("hang")
    await settle()
    log.take()

    assert await sup.kill()

    assert actor_system.actors() == []
    assert log.take() == []
    assert manual_clock.now() == 0.0


@pytest.mark.conformance("R62")
async def test_a_supervisor_killed_while_it_stops_still_ends(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    log = Log()
    sup = await supervise(actor_system, [slow(log, "a", manual_clock, 500.0, shutdown="infinity"), member(log, "b")])
    stopped = sup.stop(timeout=1_000.0)
    await settle()
    assert log.lines[-1] == "-a"

    assert await sup.kill()
    await stopped

    assert actor_system.actors() == []


@pytest.mark.conformance("R62")
async def test_a_supervisor_killed_while_it_starts_leaves_nobody(actor_system: ActorSystem) -> None:
    log = Log()
    log.hanging.add("c")
    sup = actor_system.start(Supervisor, (members(log, "abc"),))
    await settle()
    assert log.lines == ["+a", "+b", "+c"]

    assert await sup.kill()

    assert actor_system.actors() == []
