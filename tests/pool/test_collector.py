"""Garbage is looked for as before when pools are open, however many open at the same time, and whatever fails."""

from __future__ import annotations

import gc
from contextlib import ExitStack, nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import AgentPool
from actors.pool.collector import RARELY, rare_collection


@given(st.lists(st.integers(0, 3)))
def test_the_threshold_is_that_of_the_process_when_the_last_one_is_done(order: list[int]) -> None:
    before = gc.get_threshold()
    open_ones: list[ExitStack] = []
    for choice in order:
        if choice and open_ones:
            open_ones.pop(choice % len(open_ones)).close()
        else:
            open_ones.append(ExitStack())
            open_ones[-1].enter_context(rare_collection())
        assert gc.get_threshold()[0] == (RARELY if open_ones else before[0])
    for one in open_ones:
        one.close()
    assert gc.get_threshold() == before


@pytest.mark.parametrize("error", [None, OSError("broken")])
async def test_a_pool_opens_with_it_and_is_left_without(error: OSError | None) -> None:
    before, seen = gc.get_threshold(), list[int]()

    class Noting(AgentPool[None]):
        async def _open_nodes(self) -> None:
            seen.append(gc.get_threshold()[0])
            if error is not None:
                raise error
            await super()._open_nodes()

    with nullcontext() if error is None else pytest.raises(OSError, match="broken"):
        async with Noting():
            assert gc.get_threshold() == before
    assert seen == [RARELY]
    assert gc.get_threshold() == before


def test_what_the_process_has_chosen_meanwhile_stays() -> None:
    before = gc.get_threshold()
    try:
        with rare_collection():
            gc.set_threshold(1_000)
        assert gc.get_threshold()[0] == 1_000
        gc.set_threshold(0)
        with rare_collection():
            assert gc.get_threshold()[0] == 0
        assert gc.get_threshold()[0] == 0
    finally:
        gc.set_threshold(*before)
