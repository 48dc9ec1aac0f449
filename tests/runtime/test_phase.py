"""The phases of an actor's life: the table is whole, and no actor leaves it (`Cell.enter` checks every step)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from actors.runtime.phase import ENDING, NEXT_TO_END, ON_START, TRANSITIONS, Phase, state_of
from protocols.control import ActorState
from tests.runtime.conftest import cell_of
from tests.support.actors import Echo

if TYPE_CHECKING:
    from actors.runtime.system import ActorSystem


def reachable(phase: Phase) -> set[Phase]:
    found: set[Phase] = set()
    left = [phase]
    while left:
        new = TRANSITIONS[left.pop()] - found
        found |= new
        left.extend(new)
    return found


def test_every_phase_is_in_the_table_and_can_be_reached() -> None:
    assert set(TRANSITIONS) == set(Phase)
    assert reachable(Phase.NEW) == set(Phase) - {Phase.NEW}


@pytest.mark.parametrize("phase", set(Phase) - {Phase.STOPPED})
def test_every_actor_can_be_killed_wherever_it_is(phase: Phase) -> None:
    assert {Phase.STOPPING, Phase.STOPPED} & TRANSITIONS[phase]


def test_nothing_follows_the_end() -> None:
    assert TRANSITIONS[Phase.STOPPED] == frozenset()


def test_a_failure_leads_to_a_phase_that_ends_the_incarnation() -> None:
    assert all(after in TRANSITIONS[before] for before, after in NEXT_TO_END.items())
    assert ENDING.isdisjoint(ON_START)
    assert all(Phase.HELD in TRANSITIONS[phase] for phase in ENDING)


def test_the_order_of_the_phases_says_whether_the_mailbox_is_open() -> None:
    is_open = [state_of(phase, 1) not in (ActorState.STOPPING, ActorState.STOPPED) for phase in Phase]
    assert is_open == [phase < Phase.CLOSING for phase in Phase]


def test_whatever_comes_before_a_later_incarnation_runs_is_a_restart() -> None:
    assert {state_of(phase, 1) for phase in Phase if phase < Phase.RUNNING} == {ActorState.STARTING}
    assert {state_of(phase, 2) for phase in Phase if phase < Phase.RUNNING} == {ActorState.RESTARTING}


async def test_an_actor_refuses_a_step_that_the_table_does_not_have(actor_system: ActorSystem) -> None:
    cell = cell_of(actor_system.start(Echo))

    with pytest.raises(AssertionError, match="RUNNING -> NEW"):
        cell.enter(Phase.NEW)
    assert cell.phase is Phase.RUNNING
