"""How a supervisor stops its children, and that nobody outlives it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.system import ActorSystem
from actors.supervision.child import ChildSpec
from actors.supervision.intensity import RestartIntensity
from actors.supervision.supervisor import Supervisor
from actors.testing.settle import settle
from protocols.control import ActorState, ExitReason
from protocols.events import ActorStopped
from tests.supervision.children import Log, Plain, crash, lives, member, members, ref_of, slow, states, supervise

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.ref import ActorRef
    from actors.testing.clock import ManualClock


class Together(Supervisor):
    """Stops its children all at once."""

    def on_start(self) -> Any:
        supervision = self._actor_cell.supervision
        assert supervision is not None
        supervision.stops_together = True
        return super().on_start()


@pytest.mark.conformance("R19")
async def test_children_stop_in_exact_reverse_order_each_before_the_next(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    log = Log()
    names = ["c7", "c3", "c10", "c2", "c5"]
    sup = await supervise(actor_system, [slow(log, name, manual_clock, 1.0) for name in names])
    log.take()
    stopped = sup.stop()
    for count in range(len(names)):
        await settle()
        assert len(log.lines) == 2 * count + 1
        await manual_clock.advance(1.0)

    assert await stopped
    assert log.lines == [line for name in reversed(names) for line in (f"-{name}", f".{name}")]


@pytest.mark.conformance("R20")
async def test_a_child_that_does_not_stop_in_time_is_cancelled_and_the_others_end_normally(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    log = Log()
    sup = await supervise(actor_system, members(log, "abc", shutdown=1.0))
    (await ref_of(sup, "b")).tell("hang")
    await settle()
    stopped = sup.stop()

    await manual_clock.advance(0.99)
    assert not stopped.done()
    await manual_clock.advance(0.01)

    assert await stopped
    assert log.lines == ["+a", "+b", "+c", "-c", "-b", "-a"]


@pytest.mark.conformance("R20")
@pytest.mark.conformance("R25")
async def test_a_child_that_ignores_its_end_is_left_behind(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    gate = asyncio.Event()

    class Deaf(AsyncioActor):
        async def on_receive(self, message: Any) -> None:
            while not gate.is_set():
                try:
                    await gate.wait()
                except asyncio.CancelledError:
                    continue

    log = Log()
    sup = await supervise(actor_system, [member(log, "a"), ChildSpec(Deaf, name="deaf", shutdown=1.0)])
    (await ref_of(sup, "deaf")).tell("listen")
    await settle()
    stopped = sup.stop()

    await manual_clock.advance(1.0 + actor_system.config.grace)

    assert await stopped
    assert log.lines == ["+a", "-a"]
    gate.set()
    await settle()


class Deaf(Plain):
    """Ignores the end of its first on_stop, or of its second on_start, until the gate opens."""

    def __init__(self, hook: str, gate: asyncio.Event, made: list[int]) -> None:
        super().__init__()
        made.append(1)
        self.life = len(made)
        self.hook = hook
        self.gate = gate

    async def on_start(self) -> None:
        """Ignore it in the second life."""
        if (self.hook, self.life) == ("on_start", 2):
            await self.ignore_the_end()

    async def on_stop(self) -> None:
        """Ignore it in the first life."""
        if (self.hook, self.life) == ("on_stop", 1):
            await self.ignore_the_end()

    async def ignore_the_end(self) -> None:
        """Wait for the gate, whatever happens."""
        while not self.gate.is_set():
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                continue


@pytest.mark.conformance("R25")
@pytest.mark.parametrize("hook", ["on_stop", "on_start"])
async def test_a_hook_that_ignores_its_end_reaches_no_later_life(
    actor_system: ActorSystem, manual_clock: ManualClock, hook: str
) -> None:
    gate = asyncio.Event()
    spec = ChildSpec(Deaf, args=(hook, gate, []), name="deaf", shutdown=1.0, start_timeout=1.0)
    sup = await supervise(actor_system, [member(Log(), "a"), spec], strategy="one_for_all")
    ref = await ref_of(sup, "deaf")
    await crash(sup, "a")
    await manual_clock.advance(10.0)
    assert ref.state is ActorState.RUNNING
    life = ref.incarnation

    gate.set()
    await settle()

    assert (ref.state, ref.incarnation) == (ActorState.RUNNING, life)
    assert await ref.ask("hello") == "hello"


@pytest.mark.conformance("R21")
async def test_a_child_with_shutdown_kill_gets_no_grace_and_no_on_stop(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    log = Log()
    sup = await supervise(actor_system, [member(log, "a"), member(log, "b", shutdown="kill")])
    (await ref_of(sup, "b")).tell("hang")
    await settle()

    assert await sup.stop()

    assert log.lines == ["+a", "+b", "-a"]
    assert manual_clock.now() == 0.0


@pytest.mark.conformance("R22")
async def test_a_nested_supervisor_is_waited_for_without_limit(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    log = Log()
    inner = ChildSpec(Supervisor, args=([slow(log, "a", manual_clock, 25.0, shutdown="infinity")],), name="inner")
    sup = await supervise(actor_system, [inner])
    stopped = sup.stop(timeout=1_000.0)

    await manual_clock.advance(24.0)
    assert not stopped.done()
    await manual_clock.advance(1.0)

    assert await stopped
    assert log.lines == ["+a", "-a", ".a"]


@pytest.mark.conformance("R22")
async def test_a_nested_supervisor_with_a_limit_takes_its_subtree_with_it(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    log = Log()
    inner = ChildSpec(
        Supervisor, args=([member(log, "b"), slow(log, "a", manual_clock, 500.0, shutdown="infinity")],), name="inner",
        shutdown=2.0,
    )  # fmt: skip
    sup = await supervise(actor_system, [inner])
    stopped = sup.stop(timeout=1_000.0)

    await manual_clock.advance(2.0 + 2 * actor_system.config.grace)

    assert await stopped
    assert actor_system.actors() == []
    assert ".a" not in log.lines


@pytest.mark.conformance("R23")
async def test_dynamic_children_clean_up_side_by_side(actor_system: ActorSystem, manual_clock: ManualClock) -> None:
    log = Log()
    specs = [slow(log, name, manual_clock, seconds, shutdown=2.0) for name, seconds in (("a", 1), ("b", 1), ("c", 5))]
    sup = await actor_system.start(Together, (specs,)).ready()
    log.take()
    stopped = sup.stop()
    await settle()
    assert log.take() == ["-c", "-b", "-a"]

    await manual_clock.advance(1.0)
    assert sorted(log.take()) == [".a", ".b"]
    assert not stopped.done()
    await manual_clock.advance(1.0)

    assert await stopped
    assert log.take() == []


@pytest.mark.conformance("R24")
@pytest.mark.parametrize("end", ["stop", "crash", "kill"])
async def test_a_child_that_ends_by_itself_during_the_shutdown_is_not_restarted(
    actor_system: ActorSystem, manual_clock: ManualClock, end: str
) -> None:
    log = Log()
    ends: list[Any] = []
    actor_system.events.subscribe(ends.append, [ActorStopped])
    sup = await supervise(actor_system, [*members(log, "ab"), slow(log, "z", manual_clock, 1.0)], name="family")
    a = await ref_of(sup, "a")
    stopped = sup.stop()
    await settle()
    if end == "kill":
        a.kill()
    else:
        a.tell(end)
    await settle()
    assert not a.is_alive()
    assert not stopped.done()

    await manual_clock.advance(1.0)

    assert await stopped
    assert log.lives == {"a": 1, "b": 1, "z": 1}
    assert sorted(event.actor for event in ends) == ["a", "b", "family", "z"]


@pytest.mark.conformance("R64")
async def test_the_children_of_a_supervisor_end_before_its_next_life_is_made(actor_system: ActorSystem) -> None:
    log = Log()
    made: list[list[str]] = []

    class Root(Supervisor):
        def __init__(self, children: list[ChildSpec]) -> None:
            super().__init__(children, intensity=RestartIntensity(limit=0), backoff=None)
            made.append(log.take())
            if len(made) == 2:
                raise RuntimeError("the second life cannot be made")

    sup = await supervise(actor_system, [ChildSpec(Root, args=(members(log, "abc"),), name="root")])
    root: ActorRef[Any] = await ref_of(sup, "root")

    await crash(root, "b")

    assert made == [[], ["+a", "+b", "+c", "-c", "-a"], []]
    assert await lives(sup) == {"root": 3}
    assert await states(root) == {"a": "running", "b": "running", "c": "running"}


async def test_a_supervisor_that_is_stopped_by_its_parent_stops_its_children_in_order(
    actor_system: ActorSystem,
) -> None:
    log = Log()
    inner = ChildSpec(Supervisor, args=(members(log, "bc"),), name="inner")
    sup = await supervise(actor_system, [member(log, "a"), inner, member(log, "d")])

    assert await sup.stop()

    assert log.lines == ["+a", "+b", "+c", "+d", "-d", "-c", "-b", "-a"]


async def test_a_stop_that_comes_while_the_children_start_ends_them_all(actor_system: ActorSystem) -> None:
    log = Log()
    inner = ChildSpec(Supervisor, args=(members(log, "ab"),), name="inner")
    log.hanging.add("b")
    actor_system.start(Supervisor, ([inner],))
    await settle()
    assert log.lines == ["+a", "+b"]

    await actor_system.stop_all(timeout=0.0)

    assert actor_system.actors() == []
    assert log.lives == {"a": 1, "b": 1}


def test_a_loop_that_ends_under_a_tree_leaves_no_noise(make_system: Callable[..., ActorSystem]) -> None:
    async def main() -> ActorRef[Any]:
        system = make_system()
        sup = await supervise(system, members(Log(), "abc"))
        (await ref_of(sup, "a")).tell("hang")
        await settle()
        return sup

    sup = asyncio.run(main())

    assert not sup.is_alive()


@pytest.fixture
def make_system() -> Callable[..., ActorSystem]:
    """Make systems inside a loop that the test runs itself."""
    return lambda: ActorSystem("embedded")


async def test_the_reason_of_a_terminated_child_is_shutdown(actor_system: ActorSystem) -> None:
    sup = await supervise(actor_system, members(Log(), "a"))
    ref = await ref_of(sup, "a")

    await sup.stop()

    assert ref._cell.reason is ExitReason.SHUTDOWN  # pyright: ignore[reportPrivateUsage]
