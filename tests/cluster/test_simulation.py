"""Hosts that die, freeze, thaw, leave and join while messages are under way: every law holds, whatever the seed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster import mutations
from tests.cluster.simulation import simulate

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

ENOUGH = 60
"""Seeds after which a mutation must have been caught."""
FOUND = (901, 1197, 2225)
"""Seeds that have found a fault: a read for which all waited no more was logged as an error; the next host delivered
what its caller had given up after what came later; a caller gave up while the journal of its host was being closed."""


@pytest.mark.parametrize("seed", [*range(200), *FOUND])
def test_every_law_holds(seed: int) -> None:
    assert simulate(seed).broken == []


@pytest.mark.parametrize("seed", range(20))
def test_no_run_of_a_node_that_lives_at_all_hosts_is_lost(seed: int) -> None:
    assert simulate(seed, spread="c").broken == []


@pytest.mark.parametrize("seed", range(20))
def test_each_time_of_a_schedule_has_a_run(seed: int) -> None:
    assert simulate(seed, is_timed=True).broken == []


def test_a_seed_is_the_same_each_time() -> None:
    first, second = simulate(7), simulate(7)
    assert first.begins == second.begins
    assert [repr(answer) for answer in first.answers] == [repr(answer) for answer in second.answers]


@pytest.mark.parametrize("seed", range(8))
def test_looks_find_what_no_notice_has_told(seed: int) -> None:
    with mutations.no_notices():
        assert simulate(seed).broken == []


@pytest.mark.parametrize(
    ("mutation", "first", "laws"),
    [
        (mutations.no_fence, 14, "L3"),
        (mutations.no_self_fence, 35, "L3"),
        (mutations.no_marks, 9, "L4"),
        (mutations.no_order, 703, ("L1", "L2", "L5")),
        (mutations.no_notices_and_no_looks, 0, "L1"),
        (mutations.no_notices_and_no_looks, 0, "L5"),
        (mutations.asked_again, 0, "L7"),
        (mutations.no_drain, 0, "L8"),
        (mutations.no_look_back, 0, "L9"),
    ],
)
def test_a_mutation_is_caught(mutation: Callable[[], AbstractContextManager[None]], first: int, laws: Any) -> None:
    """It is caught by the first seed, or by a later one where other changes have moved the disturbances."""
    play = partial(simulate, is_timed=laws == "L9")
    with mutation():
        seeds = range(first, first + ENOUGH)
        caught = next((seed for seed in seeds if any(one.startswith(laws) for one in play(seed).broken)), None)
    assert caught is not None


@pytest.mark.soak
def test_every_law_holds_for_10_000_seeds() -> None:
    broken = {seed: found for seed in range(200, 10_000) if (found := simulate(seed).broken)}
    assert broken == {}
