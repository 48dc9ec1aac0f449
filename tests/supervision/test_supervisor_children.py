"""Children that are added, taken down, brought back and forgotten while the supervisor runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime.errors import ActorStartError, ActorStoppingError
from actors.supervision.backoff import Backoff
from actors.supervision.child import ChildSpec, ChildSpecError
from actors.supervision.child_state import ChildCounts
from actors.supervision.errors import ChildOperationError
from actors.supervision.intensity import RestartIntensity
from actors.supervision.strategies import Answer
from actors.supervision.supervisor import Supervisor
from actors.testing.settle import settle
from tests.supervision.children import (
    Boom,
    Log,
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
    from actors.runtime.ref import ActorRef
    from actors.runtime.system import ActorSystem
    from actors.testing.clock import ManualClock

SLOW = Backoff(min=10.0, max=10.0, jitter=0.0)


async def refusal(asked: Any) -> Answer:
    """Return why an operation is refused."""
    with pytest.raises(ChildOperationError) as caught:
        await asked
    return caught.value.answer


async def with_child(system: ActorSystem, where: str) -> tuple[ActorRef[Supervisor], Log]:
    """Return a supervisor with child ``a`` running, stopped, restarting or unknown."""
    log = Log()
    sup = await supervise(system, [] if where == "unknown" else members(log, "a"), backoff=SLOW)
    if where == "stopped":
        await sup.proxy().terminate_child("a")
    elif where == "restarting":
        await crash(sup, "a")
    return sup, log


@pytest.mark.conformance("R58")
@pytest.mark.parametrize(
    ("where", "expected"),
    [("running", Answer.ALREADY_STARTED), ("stopped", Answer.ALREADY_PRESENT), ("restarting", Answer.ALREADY_PRESENT)],
)
async def test_a_name_that_is_taken_cannot_be_started(
    actor_system: ActorSystem, manual_clock: ManualClock, where: str, expected: Answer
) -> None:
    sup, log = await with_child(actor_system, where)

    with pytest.raises(ChildOperationError) as caught:
        await sup.proxy().start_child(member(log, "a"))

    assert caught.value.answer is expected
    assert caught.value.ref == await ref_of(sup, "a")
    assert sup.is_alive()
    assert manual_clock.now() == 0.0


@pytest.mark.conformance("R58")
@pytest.mark.parametrize(
    ("where", "expected"),
    [("running", Answer.RUNNING), ("restarting", Answer.RESTARTING), ("unknown", Answer.NOT_FOUND)],
)
@pytest.mark.parametrize("operation", ["restart_child", "delete_child"])
async def test_only_a_child_that_is_down_can_be_brought_back_or_forgotten(
    actor_system: ActorSystem, manual_clock: ManualClock, operation: str, where: str, expected: Answer
) -> None:
    sup, _ = await with_child(actor_system, where)

    assert await refusal(getattr(sup.proxy(), operation)("a")) is expected
    assert manual_clock.now() == 0.0


@pytest.mark.conformance("R58")
async def test_an_unknown_child_cannot_be_terminated(actor_system: ActorSystem) -> None:
    sup, _ = await with_child(actor_system, "unknown")

    assert await refusal(sup.proxy().terminate_child("a")) is Answer.NOT_FOUND
    assert await sup.proxy().get_child("a") is None


@pytest.mark.conformance("R58")
@pytest.mark.parametrize("where", ["running", "stopped", "restarting"])
async def test_a_known_child_can_be_terminated_brought_back_and_forgotten(
    actor_system: ActorSystem, manual_clock: ManualClock, where: str
) -> None:
    sup, _ = await with_child(actor_system, where)
    before = await ref_of(sup, "a")

    assert await sup.proxy().terminate_child("a") is True
    assert await states(sup) == {"a": "stopped"}
    assert not before.is_alive()

    back = await sup.proxy().restart_child("a")
    assert await states(sup) == {"a": "running"}
    assert back == await ref_of(sup, "a")
    assert back != before

    assert await sup.proxy().terminate_child("a") is True
    assert await sup.proxy().delete_child("a") is True
    assert await states(sup) == {}
    await manual_clock.advance(100.0)
    assert await states(sup) == {}


@pytest.mark.conformance("R43")
@pytest.mark.parametrize(
    ("restart", "expected"),
    [("permanent", {"a": "stopped"}), ("transient", {"a": "stopped"}), ("temporary", {})],
)
async def test_a_terminated_child_is_not_restarted_and_keeps_its_spec_unless_it_is_temporary(
    actor_system: ActorSystem, restart: Any, expected: dict[str, str]
) -> None:
    sup = await supervise(actor_system, members(Log(), "a", restart=restart))

    assert await sup.proxy().terminate_child("a")

    assert await states(sup) == expected


async def test_a_new_child_is_the_last_one(actor_system: ActorSystem) -> None:
    log = Log()
    sup = await supervise(actor_system, members(log, "ab"))

    ref = await sup.proxy().start_child(member(log, "c"))

    assert await ref.ask("hello") == "hello"
    assert await states(sup) == {"a": "running", "b": "running", "c": "running"}
    await sup.stop()
    assert log.lines == ["+a", "+b", "+c", "-c", "-b", "-a"]


async def test_a_new_child_is_restarted_like_the_others(actor_system: ActorSystem) -> None:
    log = Log()
    sup = await supervise(actor_system, members(log, "a"), strategy="one_for_all")
    await sup.proxy().start_child(member(log, "b"))

    await crash(sup, "b")

    assert await lives(sup) == {"a": 2, "b": 2}


async def test_a_new_child_that_cannot_start_is_forgotten(actor_system: ActorSystem) -> None:
    log = Log()
    log.failing.add("b")
    sup = await supervise(actor_system, members(log, "a"))

    with pytest.raises(ActorStartError) as caught:
        await sup.proxy().start_child(member(log, "b"))

    assert isinstance(caught.value.__cause__, Boom)
    assert await states(sup) == {"a": "running"}


async def test_a_new_child_whose_constructor_raises_is_forgotten(actor_system: ActorSystem) -> None:
    def broken() -> Plain:
        raise Boom("constructor")

    sup = await supervise(actor_system, [])

    with pytest.raises(ActorStartError, match="child 'a' could not start: Boom: constructor"):
        await sup.proxy().start_child(ChildSpec(broken, name="a"))

    assert await states(sup) == {}
    assert len(actor_system.actors()) == 1


@pytest.mark.conformance("R5")
async def test_a_new_child_may_decide_not_to_run(actor_system: ActorSystem) -> None:
    log = Log()
    log.ignoring.update("ab")
    sup = await supervise(actor_system, [])

    assert await sup.proxy().start_child(member(log, "a")) is None
    assert await sup.proxy().start_child(member(log, "b", restart="temporary")) is None
    assert await states(sup) == {"a": "stopped"}


async def test_a_child_that_cannot_be_brought_back_keeps_its_spec(actor_system: ActorSystem) -> None:
    log = Log()
    sup = await supervise(actor_system, members(log, "a"))
    await sup.proxy().terminate_child("a")
    log.failing.add("a")

    with pytest.raises(ActorStartError):
        await sup.proxy().restart_child("a")
    assert await states(sup) == {"a": "stopped"}

    log.failing.clear()
    assert await sup.proxy().restart_child("a") is not None
    assert await states(sup) == {"a": "running"}


async def test_a_bad_new_spec_is_told_to_the_asker_and_harms_nobody(actor_system: ActorSystem) -> None:
    sup = await supervise(actor_system, members(Log(), "a"))

    with pytest.raises(ChildSpecError, match="restart"):
        await sup.proxy().start_child({"actor_class": Plain, "restart": "sometimes"})
    with pytest.raises(ChildSpecError, match="significant"):
        await sup.proxy().start_child(ChildSpec(Plain, name="b", restart="transient", significant=True))

    assert sup.is_alive()
    assert await lives(sup) == {"a": 1}


async def test_a_supervisor_answers_while_a_new_child_starts(actor_system: ActorSystem) -> None:
    log = Log()
    log.hanging.add("b")
    sup = await supervise(actor_system, members(log, "a"))
    started = sup.proxy().start_child(member(log, "b"))
    await settle()

    assert await states(sup) == {"a": "running", "b": "starting"}
    assert not started.done()
    assert await sup.proxy().terminate_child("b")
    with pytest.raises(ActorStartError):
        await started
    assert (await states(sup)).get("b") in {None, "stopped"}


async def test_whoever_waits_for_a_child_learns_that_its_supervisor_has_ended(actor_system: ActorSystem) -> None:
    log = Log()
    log.hanging.add("b")
    sup = await supervise(actor_system, members(log, "a"))
    started = sup.proxy().start_child(member(log, "b"))
    await settle()

    await sup.stop()

    with pytest.raises((ActorStartError, ActorStoppingError)):
        await started


async def test_a_start_interrupted_by_a_group_restart_is_answered_in_the_end(actor_system: ActorSystem) -> None:
    log = Log()
    log.hanging.add("b")
    sup = await supervise(actor_system, members(log, "a"), strategy="one_for_all")
    started = sup.proxy().start_child(member(log, "b"))
    await settle()
    log.hanging.clear()

    await crash(sup, "a")

    assert await started == await ref_of(sup, "b")
    assert await states(sup) == {"a": "running", "b": "running"}


async def test_children_are_counted(actor_system: ActorSystem) -> None:
    log = Log()
    inner = ChildSpec(Supervisor, args=(members(log, "xyz"),), name="inner")
    sup = await supervise(actor_system, [*members(log, "ab"), inner])
    await sup.proxy().terminate_child("b")

    assert await sup.proxy().count_children() == ChildCounts(specs=3, active=2, supervisors=1, workers=2)


async def test_a_stop_of_a_child_that_waits_for_its_restart_follows_its_policy(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    log = Log()
    specs = [member(log, "a", restart="permanent"), member(log, "b", restart="transient")]
    sup = await supervise(actor_system, specs, backoff=SLOW)
    a, b = await ref_of(sup, "a"), await ref_of(sup, "b")
    await crash(sup, "a")
    await crash(sup, "b")

    assert await a.stop()
    assert await b.stop()
    await settle()
    assert await states(sup) == {"a": "restarting", "b": "stopped"}

    await manual_clock.advance(10.0)
    assert await states(sup) == {"a": "running", "b": "stopped"}
    assert await a.ask("hello") == "hello"
    assert log.lives == {"a": 2, "b": 1}


async def test_a_kill_of_a_child_that_waits_for_its_restart_changes_nothing(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    log = Log()
    sup = await supervise(actor_system, members(log, "a"), backoff=SLOW, intensity=RestartIntensity(limit=1))
    await crash(sup, "a")
    ref = await ref_of(sup, "a")

    assert await ref.kill()
    await manual_clock.advance(10.0)

    assert await states(sup) == {"a": "running"}
    assert (await child(sup, "a")).incarnation == 2
    assert await ref.ask("hello") == "hello"
