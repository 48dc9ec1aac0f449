"""What many children cost, and what a supervisor keeps of each."""

from __future__ import annotations

import asyncio
import gc
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from actors.supervision.child import ChildSpec
from actors.testing.settle import settle
from tests.supervision.children import (
    Log,
    Member,
    Plain,
    crash,
    member,
    supervise,
)

if TYPE_CHECKING:
    from actors.runtime.system import ActorSystem


@pytest.mark.conformance("R60")
@pytest.mark.parametrize("bound", [False, True])
@pytest.mark.parametrize("crashed", [False, True])
async def test_arguments_of_temporary_children_are_not_kept(
    actor_system: ActorSystem, bound: bool, crashed: bool
) -> None:
    class Big(Plain):
        def __init__(self, load: Load) -> None:
            super().__init__()
            assert load is not None

    sup = await supervise(actor_system, [])
    load = Load()
    trace = weakref.ref(load)
    start: dict[str, Any] = (
        {"actor_class": partial(Big, load)} if bound else {"actor_class": Big, "args": (load,), "kwargs": {}}
    )
    spec = ChildSpec(name="a", restart="temporary", **start)
    ref = await sup.proxy().start_child(spec)
    if crashed:
        ref.tell("crash")
        await settle()

    del load, spec, start, ref
    gc.collect()

    assert trace() is None


class Load:
    """Something large."""


@pytest.mark.conformance("R60")
async def test_arguments_of_others_are_kept_for_their_restart(actor_system: ActorSystem) -> None:
    log = Log()
    sup = await supervise(actor_system, [])
    await sup.proxy().start_child(member(log, "a", restart="transient"))

    await crash(sup, "a")

    assert log.lives == {"a": 2}


@pytest.mark.conformance("R59")
@pytest.mark.soak
async def test_a_hundred_thousand_children_come_and_go(actor_system: ActorSystem) -> None:
    sup = await supervise(actor_system, [])
    proxy = sup.proxy()
    for number in range(100_000):
        await proxy.start_child(ChildSpec(Plain, name=str(number), restart="temporary"))
    assert (await proxy.count_children()).active == 100_000
    for number in range(100_000):
        await proxy.terminate_child(str(number))

    assert len(actor_system.actors()) == 1


@pytest.mark.conformance("R59")
async def test_the_work_for_each_child_does_not_grow_with_their_number(actor_system: ActorSystem) -> None:
    few, many = await _steps(actor_system, 100), await _steps(actor_system, 1_000)

    assert many <= 10 * few + 100


async def _steps(system: ActorSystem, number: int) -> int:
    """Return how many steps the engine takes to start and stop so many children."""
    before = system.dispatcher.steps
    specs = [ChildSpec(Member, args=(Log(), str(each)), name=str(each)) for each in range(number)]
    sup = await supervise(system, specs)
    await sup.stop()
    await asyncio.sleep(0)
    return system.dispatcher.steps - before
