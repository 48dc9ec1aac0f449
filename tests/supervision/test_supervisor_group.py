"""Strategies that restart siblings together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from actors.supervision.backoff import Backoff
from actors.supervision.intensity import RestartIntensity
from actors.testing.settle import settle
from protocols.control import ActorState
from tests.supervision.children import Log, child, crash, lives, member, members, ref_of, states, supervise

if TYPE_CHECKING:
    from actors.runtime.system import ActorSystem
    from actors.testing.clock import ManualClock

MANY = RestartIntensity(limit=100, period=1.0)


@pytest.mark.conformance("R45")
async def test_one_for_all_stops_all_others_in_reverse_order_and_starts_all_in_order(actor_system: ActorSystem) -> None:
    log = Log()
    sup = await supervise(actor_system, members(log, "abcd"), strategy="one_for_all")
    refs = {name: await ref_of(sup, name) for name in "abcd"}
    log.take()

    await crash(sup, "b")

    assert log.lines == ["-d", "-c", "-a", "+a", "+b", "+c", "+d"]
    assert await lives(sup) == {"a": 2, "b": 2, "c": 2, "d": 2}
    assert {name: await ref_of(sup, name) for name in "abcd"} == refs


@pytest.mark.conformance("R46")
async def test_rest_for_one_restarts_the_child_and_those_started_after_it(actor_system: ActorSystem) -> None:
    log = Log()
    sup = await supervise(actor_system, members(log, "abcde"), strategy="rest_for_one")
    log.take()

    await crash(sup, "c")

    assert log.lines == ["-e", "-d", "+c", "+d", "+e"]
    assert await lives(sup) == {"a": 1, "b": 1, "c": 2, "d": 2, "e": 2}


@pytest.mark.conformance("R45")
async def test_a_group_restart_counts_as_one(actor_system: ActorSystem) -> None:
    log = Log()
    limit = RestartIntensity(limit=2, period=60.0)
    sup = await supervise(actor_system, members(log, "abcd"), strategy="one_for_all", intensity=limit)

    await crash(sup, "a")
    await crash(sup, "d")

    assert await lives(sup) == {"a": 3, "b": 3, "c": 3, "d": 3}


@pytest.mark.conformance("R47")
async def test_one_for_all_stops_the_restarted_ones_when_a_sibling_cannot_start(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    log = Log()
    sup = await supervise(
        actor_system, members(log, "abc"), strategy="one_for_all", intensity=MANY, backoff=Backoff(min=1.0, jitter=0.0)
    )
    log.take()
    log.failing.add("c")

    await crash(sup, "a")
    assert log.take() == ["-c", "-b"]
    await manual_clock.advance(1.0)
    assert log.take() == ["+a", "+b", "+c", "-b", "-a"]
    assert await states(sup) == {"a": "restarting", "b": "restarting", "c": "restarting"}

    log.failing.clear()
    await manual_clock.advance(2.0)
    assert log.take() == ["+a", "+b", "+c"]
    assert await states(sup) == {"a": "running", "b": "running", "c": "running"}


@pytest.mark.conformance("R48")
async def test_rest_for_one_leaves_the_restarted_ones_running_when_a_later_one_cannot_start(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    log = Log()
    sup = await supervise(
        actor_system,
        members(log, "abcd"),
        strategy="rest_for_one",
        intensity=MANY,
        backoff=Backoff(min=1.0, jitter=0.0),
    )
    log.take()
    log.failing.add("c")

    await crash(sup, "b")
    await manual_clock.advance(1.0)
    assert log.take() == ["-d", "-c", "+b", "+c"]

    log.failing.clear()
    await manual_clock.advance(1.0)
    assert log.take() == ["+c", "+d"]
    assert (await lives(sup))["b"] == 2


@pytest.mark.conformance("R49")
@pytest.mark.parametrize(("strategy", "left"), [("one_for_all", "bcd"), ("rest_for_one", "abcd")])
async def test_a_temporary_sibling_is_stopped_and_forgotten(
    actor_system: ActorSystem, strategy: Any, left: str
) -> None:
    log = Log()
    specs = [
        member(log, "a", restart="temporary"), member(log, "b"), member(log, "c"), member(log, "d"),
        member(log, "e", restart="temporary"),
    ]  # fmt: skip
    sup = await supervise(actor_system, specs, strategy=strategy)
    temporary = await ref_of(sup, "e")

    await crash(sup, "c")

    assert await states(sup) == dict.fromkeys(left, "running")
    assert not temporary.is_alive()
    assert log.lives["e"] == 1


async def test_the_end_of_a_temporary_child_restarts_nobody(actor_system: ActorSystem) -> None:
    log = Log()
    sup = await supervise(
        actor_system, [*members(log, "ab"), member(log, "c", restart="temporary")], strategy="one_for_all"
    )

    await crash(sup, "c")

    assert await lives(sup) == {"a": 1, "b": 1}


async def test_siblings_stop_before_the_delay_begins(actor_system: ActorSystem, manual_clock: ManualClock) -> None:
    log = Log()
    sup = await supervise(
        actor_system, members(log, "ab"), strategy="one_for_all", backoff=Backoff(min=3.0, jitter=0.0)
    )
    log.take()

    await crash(sup, "a")
    assert log.take() == ["-b"]
    assert await states(sup) == {"a": "restarting", "b": "restarting"}

    await manual_clock.advance(2.9)
    assert log.take() == []
    await manual_clock.advance(0.1)
    assert log.take() == ["+a", "+b"]


async def test_two_that_crash_at_once_are_restarted_together_once(actor_system: ActorSystem) -> None:
    log = Log()
    sup = await supervise(
        actor_system, members(log, "abc"), strategy="one_for_all", intensity=RestartIntensity(limit=1, period=60.0)
    )
    (await ref_of(sup, "c")).tell("crash")
    (await ref_of(sup, "a")).tell("crash")
    await settle()

    assert await lives(sup) == {"a": 2, "b": 2, "c": 2}


async def test_a_crash_during_the_delay_of_the_rest_widens_the_restart(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    log = Log()
    sup = await supervise(
        actor_system, members(log, "abcd"), strategy="rest_for_one", backoff=Backoff(min=1.0, jitter=0.0)
    )
    log.take()

    await crash(sup, "c")
    await manual_clock.advance(0.5)
    await crash(sup, "b")
    assert await states(sup) == {"a": "running", "b": "restarting", "c": "restarting", "d": "restarting"}

    await manual_clock.advance(1.0)
    assert log.take() == ["-d", "+b", "+c", "+d"]
    assert await lives(sup) == {"a": 1, "b": 2, "c": 2, "d": 2}


async def test_a_restarted_child_that_crashes_while_a_later_one_starts_begins_the_restart_anew(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    log = Log()
    sup = await supervise(actor_system, members(log, "abc"), strategy="rest_for_one", intensity=MANY)
    log.take()
    log.hanging.add("c")

    await crash(sup, "b")
    assert log.take() == ["-c", "+b", "+c"]
    log.hanging.clear()
    await crash(sup, "a")

    assert log.take() == ["-b", "+a", "+b", "+c"]
    assert await states(sup) == {"a": "running", "b": "running", "c": "running"}
    assert manual_clock.pending == 0 or (await child(sup, "c")).state is ActorState.RUNNING


async def test_a_sibling_that_does_not_stop_in_time_is_cut_short_and_then_restarted(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    log = Log()
    sup = await supervise(actor_system, members(log, "ab", shutdown=2.0), strategy="one_for_all")
    log.take()
    (await ref_of(sup, "b")).tell("hang")
    (await ref_of(sup, "b")).tell("kept")
    await settle()

    await crash(sup, "a")
    await manual_clock.advance(1.9)
    assert log.take() == []
    await manual_clock.advance(0.1)

    assert log.take() == ["-b", "+a", "+b"]
    assert await (await ref_of(sup, "b")).ask("got") == ["kept"]


async def test_a_sibling_with_shutdown_kill_is_not_asked_to_stop(actor_system: ActorSystem) -> None:
    log = Log()
    sup = await supervise(actor_system, [member(log, "a"), member(log, "b", shutdown="kill")], strategy="one_for_all")
    (await ref_of(sup, "b")).tell("hang")
    await settle()
    log.take()

    await crash(sup, "a")

    assert log.take() == ["+a", "+b"]
    assert await lives(sup) == {"a": 2, "b": 2}


async def test_messages_of_a_stopped_sibling_wait_for_its_next_life(actor_system: ActorSystem) -> None:
    log = Log()
    sup = await supervise(actor_system, members(log, "ab"), strategy="one_for_all")
    b = await ref_of(sup, "b")
    (await ref_of(sup, "a")).tell("crash")
    for number in range(10):
        b.tell(number)
    await settle()

    got = await b.ask("got")
    assert b.incarnation == 2
    assert got == sorted(got)
    assert await b.ask("still there") == "still there"


async def test_a_child_terminated_during_a_group_restart_stays_down(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    log = Log()
    sup = await supervise(
        actor_system, members(log, "abc"), strategy="one_for_all", backoff=Backoff(min=1.0, jitter=0.0)
    )
    await crash(sup, "a")

    assert await sup.proxy().terminate_child("b")
    await manual_clock.advance(1.0)

    assert await states(sup) == {"a": "running", "b": "stopped", "c": "running"}
