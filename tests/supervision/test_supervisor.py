"""How a supervisor starts its children, and what becomes of one that ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime.errors import ActorStartError, StartTimeoutError
from actors.supervision.child import ChildSpec, ChildSpecError
from actors.supervision.errors import SupervisionOptionError
from actors.supervision.intensity import RestartIntensity
from actors.supervision.supervisor import Supervisor
from actors.testing.settle import settle
from protocols.control import ActorState
from protocols.events import ChildRestarted
from tests.supervision.children import (
    Boom,
    Log,
    Member,
    Plain,
    child,
    crash,
    lives,
    member,
    members,
    ref_of,
    states,
    supervise,
)

if TYPE_CHECKING:
    from actors.runtime.actor import AsyncioActor
    from actors.runtime.system import ActorSystem
    from actors.testing.clock import ManualClock


async def test_children_start_in_order_and_stop_in_reverse_order(actor_system: ActorSystem) -> None:
    log = Log()
    sup = await supervise(actor_system, members(log, "abc"))

    assert await states(sup) == {"a": "running", "b": "running", "c": "running"}
    assert await sup.stop()
    assert log.lines == ["+a", "+b", "+c", "-c", "-b", "-a"]


async def test_a_child_starts_when_the_one_before_runs(actor_system: ActorSystem) -> None:
    gate = asyncio.Event()
    log = Log()

    class Slow(Member):
        async def on_start(self) -> None:
            await gate.wait()
            await super().on_start()

    specs = [ChildSpec(Slow, args=(log, "a"), name="a"), member(log, "b")]
    sup = actor_system.start(Supervisor, (specs,))
    await settle()
    assert log.lines == []

    gate.set()
    await sup.ready()
    assert log.lines == ["+a", "+b"]


@pytest.mark.conformance("R43")
@pytest.mark.parametrize(
    ("restart", "end", "expected"),
    [
        ("permanent", "normal", "running"),
        ("permanent", "shutdown", "running"),
        ("permanent", "crash", "running"),
        ("permanent", "killed", "running"),
        ("transient", "normal", "stopped"),
        ("transient", "shutdown", "stopped"),
        ("transient", "crash", "running"),
        ("transient", "killed", "running"),
        ("temporary", "normal", None),
        ("temporary", "shutdown", None),
        ("temporary", "crash", None),
        ("temporary", "killed", None),
    ],
)
async def test_the_restart_policy_and_the_reason_decide_what_becomes_of_a_child(
    actor_system: ActorSystem, restart: Any, end: str, expected: str | None
) -> None:
    log = Log()
    sup = await supervise(actor_system, [member(log, "a", restart=restart), member(log, "b")])
    ref = await ref_of(sup, "a")
    other = await ref_of(sup, "b")

    if end == "normal":
        ref.tell("stop")
    elif end == "shutdown":
        await ref.stop()
    elif end == "crash":
        ref.tell("crash")
    else:
        await ref.kill()
    await settle()

    found = await sup.proxy().get_child("a")
    assert (None if found is None else str(found.state)) == expected
    assert (await sup.proxy().count_children()).specs == (1 if expected is None else 2)
    assert (await sup.proxy().count_children()).active == (2 if expected == "running" else 1)
    assert ref.is_alive() is (expected == "running")
    assert other.incarnation == 1
    if expected == "running":
        assert found is not None
        assert found.ref == ref
        assert found.incarnation == 2
        assert await ref.ask("hello") == "hello"


@pytest.mark.conformance("R44")
async def test_siblings_live_on_when_one_for_one_restarts_a_child(actor_system: ActorSystem) -> None:
    log = Log()
    sup = await supervise(actor_system, members(log, "abc"))

    await crash(sup, "b")

    assert await lives(sup) == {"a": 1, "b": 2, "c": 1}
    assert log.lines == ["+a", "+b", "+c", "+b"]


@pytest.mark.conformance("R44")
async def test_a_child_without_hooks_restarts_within_the_step_that_tells_of_its_end(actor_system: ActorSystem) -> None:
    sup = await supervise(actor_system, [ChildSpec(Plain, name="a")])
    ref = await ref_of(sup, "a")

    with pytest.raises(Boom):
        await ref.ask("crash")

    assert await ref.ask("hello") == "hello"
    assert ref.incarnation == 2


@pytest.mark.conformance("R2")
async def test_a_failed_start_stops_those_before_and_fails_the_supervisor(actor_system: ActorSystem) -> None:
    log = Log()
    log.failing.add("c")
    sup = actor_system.start(Supervisor, (members(log, "abcd"),))

    with pytest.raises(ActorStartError, match="child 'c' could not start") as caught:
        await sup.ready()

    assert log.lines == ["+a", "+b", "+c", "-b", "-a"]
    assert isinstance(_root(caught.value), Boom)
    assert actor_system.actors() == []


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


@pytest.mark.conformance("R7")
async def test_a_start_that_fails_a_hundred_times_leaves_nothing_behind(actor_system: ActorSystem) -> None:
    log = Log()
    log.failing.add("b")
    for _ in range(100):
        with pytest.raises(ActorStartError):
            await supervise(actor_system, members(log, "ab"), name="family")

    log.failing.clear()
    sup = await supervise(actor_system, members(log, "ab"), name="family")
    assert actor_system.get("family") == sup
    assert len(actor_system.actors()) == 3


@pytest.mark.conformance("R4")
async def test_a_child_whose_start_takes_too_long_fails_the_supervisor(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    log = Log()
    log.hanging.add("b")
    sup = actor_system.start(Supervisor, (members(log, "ab", start_timeout=2.0),))
    ready = sup.ready()
    await manual_clock.advance(1.9)
    assert not ready.done()

    await manual_clock.advance(0.1)

    with pytest.raises(ActorStartError) as caught:
        await ready
    assert any(isinstance(error, StartTimeoutError) for error in _chain(caught.value))
    assert log.lines == ["+a", "+b", "-a"]
    assert actor_system.actors() == []


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None:
        found.append(error)
        error = error.__cause__
    return found


@pytest.mark.conformance("R4")
async def test_a_supervisor_whose_own_start_takes_too_long_stops_the_children_that_run(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    log = Log()
    log.hanging.add("b")
    inner = ChildSpec(Supervisor, args=(members(log, "ab"),), name="inner", start_timeout=2.0)
    ready = actor_system.start(Supervisor, ([inner],)).ready()

    await manual_clock.advance(2.0)

    with pytest.raises(ActorStartError):
        await ready
    assert log.lines == ["+a", "+b", "-a"]
    assert actor_system.actors() == []


@pytest.mark.conformance("R5")
@pytest.mark.parametrize(
    ("restart", "expected"), [("permanent", "stopped"), ("transient", "stopped"), ("temporary", None)]
)
async def test_a_child_that_decides_not_to_run_is_no_failure(
    actor_system: ActorSystem, restart: Any, expected: str | None
) -> None:
    log = Log()
    log.ignoring.add("a")
    sup = await supervise(actor_system, [member(log, "a", restart=restart), member(log, "b")])

    assert (await states(sup)).get("a") == expected
    assert (await states(sup))["b"] == "running"


@pytest.mark.conformance("R5")
async def test_a_child_may_decide_not_to_run_again(actor_system: ActorSystem) -> None:
    log = Log()
    sup = await supervise(actor_system, members(log, "ab"))
    log.ignoring.add("a")

    await crash(sup, "a")

    assert await states(sup) == {"a": "stopped", "b": "running"}
    assert not (await ref_of(sup, "a")).is_alive()


@pytest.mark.conformance("R10")
async def test_the_factory_of_a_child_runs_when_it_is_started(actor_system: ActorSystem) -> None:
    made: list[AsyncioActor] = []

    def make() -> AsyncioActor:
        made.append(Plain())
        return made[-1]

    sup = await supervise(actor_system, [ChildSpec(make, name="a")])
    assert len(made) == 1

    await crash(sup, "a")
    assert len(made) == 2
    assert made[0] is not made[1]


@pytest.mark.conformance("R57")
@pytest.mark.parametrize(
    ("children", "options", "field"),
    [
        ([{"actor_class": Plain, "name": "x"}, {"actor_class": Plain, "name": "x"}], {}, "name"),
        ([{"name": "x"}], {}, "actor_class"),
        ([{"actor_class": Plain, "restart": "sometimes"}], {}, "restart"),
        ([{"actor_class": Plain, "shutdown": -1.0}], {}, "shutdown"),
        ([{"actor_class": Plain, "colour": "red"}], {}, "colour"),
        ([{"actor_class": Plain, "restart": "transient", "significant": True}], {}, "significant"),
        ([], {"strategy": "one_by_one"}, "strategy"),
        ([], {"auto_shutdown": "sometimes"}, "auto_shutdown"),
        ([], {"intensity": 3}, "intensity"),
        ([], {"backoff": 0.5}, "backoff"),
    ],
)
async def test_a_bad_spec_is_refused_before_anything_starts(
    actor_system: ActorSystem, children: list[Any], options: dict[str, Any], field: str
) -> None:
    log = Log()
    with pytest.raises(SupervisionOptionError, match=field) as caught:
        actor_system.start(Supervisor, ([member(log, "first"), *children],), options)

    assert caught.value.field == field
    assert log.lives == {}
    assert actor_system.actors() == []


async def test_a_bad_spec_names_the_child(actor_system: ActorSystem) -> None:
    with pytest.raises(ChildSpecError, match="child 'x'"):
        actor_system.start(Supervisor, ([ChildSpec(Plain, name="x"), ChildSpec(Plain, name="x")],))


async def test_names_of_children_are_their_supervisors_own(actor_system: ActorSystem) -> None:
    log = Log()
    one = await supervise(actor_system, members(log, "a"))
    other = await supervise(actor_system, members(log, "a"))

    assert await ref_of(one, "a") != await ref_of(other, "a")
    assert (await ref_of(one, "a")).name == "a"


async def test_children_belong_to_their_supervisor_in_the_tree(actor_system: ActorSystem) -> None:
    sup = await supervise(actor_system, members(Log(), "ab"), name="family")

    (node,) = actor_system.tree()
    assert (node.name, [each.name for each in node.children]) == ("family", ["a", "b"])
    assert [ref.name for ref in actor_system.orphans()] == [sup.name]


async def test_a_restart_is_told_to_those_who_want_to_know(actor_system: ActorSystem) -> None:
    told: list[Any] = []
    actor_system.events.subscribe(told.append, [ChildRestarted])
    sup = await supervise(actor_system, members(Log(), "ab"), name="family")

    await crash(sup, "a")

    (event,) = told
    assert (event.actor, event.child, event.incarnation, event.attempt) == ("family", "a", 2, 1)
    assert event.reason == "crash (Boom: a)"


async def test_a_child_that_crashes_while_its_siblings_start_is_restarted_when_all_run(
    actor_system: ActorSystem,
) -> None:
    log = Log()
    gate = asyncio.Event()

    class Late(Member):
        async def on_start(self) -> None:
            await gate.wait()

    sup = actor_system.start(
        Supervisor, ([member(log, "a"), ChildSpec(Late, args=(log, "b"), name="b")],), {"backoff": None}
    )
    await settle()
    (a,) = [ref for ref in actor_system.actors() if ref.name == "a"]
    a.tell("crash")
    await settle()
    assert str(a.state) == "restarting"

    gate.set()
    await sup.ready()
    await settle()
    assert (a.state, a.incarnation) == (ActorState.RUNNING, 2)


async def test_a_supervisor_with_a_handler_that_waits_still_restarts_its_children(actor_system: ActorSystem) -> None:
    class Patient(Supervisor):
        async def on_receive(self, message: Any) -> Any:
            found = self.get_child("a")
            assert found is not None
            assert found.ref is not None
            found.ref.tell("crash")
            return await found.ref.ask(message)

    sup = await actor_system.start(Patient, ([ChildSpec(Plain, name="a")],), {"backoff": None}).ready()

    assert await sup.ask("hello") == "hello"
    assert (await child(sup, "a")).incarnation == 2


async def test_a_handler_of_a_supervisor_may_wait_for_a_child_that_it_starts(actor_system: ActorSystem) -> None:
    log = Log()

    class Growing(Supervisor):
        async def on_receive(self, message: Any) -> Any:
            ref = await self.start_child(member(log, message))
            assert ref is not None
            return await ref.ask("got")

    sup = await actor_system.start(Growing).ready()

    assert await sup.ask("a") == []
    assert log.lines == ["+a"]


async def test_a_supervisor_serves_threads(actor_system: ActorSystem) -> None:
    sup = await supervise(actor_system, members(Log(), "ab"))

    found = await asyncio.to_thread(lambda: sup.proxy().children().get())

    assert [each.name for each in found] == ["a", "b"]


async def test_a_thousand_crashes_below_the_limit_leave_nothing_behind(actor_system: ActorSystem) -> None:
    limit = RestartIntensity(limit=1_000_000, period=1.0)
    sup = await supervise(actor_system, [ChildSpec(Plain, name="a")], intensity=limit)
    ref = await ref_of(sup, "a")
    for _ in range(1_000):
        ref.tell("crash")
    await settle()

    assert ref.incarnation == 1_001
    assert len(actor_system.actors()) == 2
