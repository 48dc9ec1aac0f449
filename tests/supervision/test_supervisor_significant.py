"""Significant children, whose end is the end of their supervisor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from actors.supervision.child import ChildSpec
from actors.supervision.supervisor import Supervisor
from actors.testing.settle import settle
from protocols.control import ExitReason
from tests.supervision.children import (
    Log,
    crash,
    lives,
    member,
    members,
    ref_of,
    states,
    supervise,
)

if TYPE_CHECKING:
    from actors.runtime.system import ActorSystem


@pytest.mark.conformance("R55")
@pytest.mark.parametrize(
    ("mode", "ends", "alive"),
    [
        ("any_significant", ["a"], False),
        ("any_significant", ["x"], True),
        ("all_significant", ["a"], True),
        ("all_significant", ["a", "b"], False),
    ],
)
@pytest.mark.parametrize("restart", ["transient", "temporary"])
async def test_significant_children_that_end_by_themselves_end_their_supervisor(
    actor_system: ActorSystem, mode: Any, ends: list[str], alive: bool, restart: Any
) -> None:
    log = Log()
    specs = [*members(log, "ab", restart=restart, significant=True), member(log, "x", restart="transient")]
    sup = await supervise(actor_system, specs, auto_shutdown=mode)

    for name in ends:
        (await ref_of(sup, name)).tell("stop")
        await settle()

    assert sup.is_alive() is alive
    assert len(actor_system.actors()) == (4 - len(ends) if alive else 0)


@pytest.mark.conformance("R55")
async def test_a_crash_of_a_transient_significant_child_restarts_it(actor_system: ActorSystem) -> None:
    specs = members(Log(), "ab", restart="transient", significant=True)
    sup = await supervise(actor_system, specs, auto_shutdown="any_significant")

    await crash(sup, "a")

    assert await lives(sup) == {"a": 2, "b": 1}


@pytest.mark.conformance("R55")
async def test_a_crash_of_a_temporary_significant_child_ends_the_supervisor(actor_system: ActorSystem) -> None:
    specs = members(Log(), "ab", restart="temporary", significant=True)
    sup = await supervise(actor_system, specs, auto_shutdown="any_significant")

    (await ref_of(sup, "a")).tell("crash")
    await settle()

    assert not sup.is_alive()


@pytest.mark.conformance("R55")
async def test_the_end_of_a_significant_child_by_request_does_not_count(actor_system: ActorSystem) -> None:
    specs = members(Log(), "ab", restart="temporary", significant=True)
    sup = await supervise(actor_system, specs, auto_shutdown="any_significant")

    assert await sup.proxy().terminate_child("a")
    await settle()

    assert await states(sup) == {"b": "running"}


@pytest.mark.conformance("R55")
async def test_the_end_of_a_significant_child_for_a_sibling_does_not_count(actor_system: ActorSystem) -> None:
    log = Log()
    specs = [member(log, "a"), member(log, "b", restart="temporary", significant=True)]
    sup = await supervise(actor_system, specs, strategy="one_for_all", auto_shutdown="any_significant")

    await crash(sup, "a")

    assert await states(sup) == {"a": "running"}


@pytest.mark.conformance("R56")
@pytest.mark.parametrize("inner_is_significant", [True, False])
async def test_an_automatic_shutdown_climbs_up_if_the_inner_supervisor_is_significant(
    actor_system: ActorSystem, inner_is_significant: bool
) -> None:
    log = Log()
    inner = ChildSpec(
        Supervisor, args=([member(log, "a", restart="transient", significant=True)],),
        kwargs={"auto_shutdown": "any_significant"}, name="inner", restart="transient",
        significant=inner_is_significant,
    )  # fmt: skip
    sup = await supervise(actor_system, [inner, member(log, "z")], auto_shutdown="any_significant")
    nested = await ref_of(sup, "inner")

    (await ref_of(nested, "a")).tell("stop")
    await settle()

    assert not nested.is_alive()
    assert nested._cell.reason is ExitReason.SHUTDOWN  # pyright: ignore[reportPrivateUsage]
    assert sup.is_alive() is not inner_is_significant
