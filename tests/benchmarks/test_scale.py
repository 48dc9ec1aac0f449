"""What the questions of many do, done a few times: each looks at its own numbers and raises if one is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.bench_scale import ITEMS, by

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


@pytest.mark.parametrize("work", [work for _, work, _, _ in ITEMS], ids=[name for name, *_ in ITEMS])
async def test_work_of_a_scale_question_is_done(work: Callable[[int], Awaitable[float]]) -> None:
    assert await work(4) >= 0.0


async def test_work_is_done_so_many_at_a_time_after_a_few_that_do_not_count() -> None:
    sizes: list[int] = []

    async def work(size: int) -> float:
        sizes.append(size)
        return 1.0

    assert await by(20, work, 60) == 3.0
    assert await by(100, work, 50) == 1.0
    assert sizes == [10, 20, 20, 20, 10, 50]
