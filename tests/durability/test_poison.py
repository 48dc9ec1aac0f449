"""A message that ends the process is found and set aside; one that was only there when it ended is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.durability.findings import Findings
from tests.durability.order import DIED, Order

if TYPE_CHECKING:
    from pathlib import Path

    from tests.durability.forks import Forks


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_message_that_ends_the_process_is_set_aside_alone(forks: Forks, tmp_path: Path, concurrency: int) -> None:
    ended = [
        forks.live(
            Order(
                folder=str(tmp_path),
                play="poison",
                life=life,
                death=("never", 0) if life < 6 else None,
                concurrency=concurrency,
                deliveries=5,
            )
        )
        for life in range(7)
    ]
    assert ended == [DIED] * 6 + [0]
    assert Findings(tmp_path, concurrency=concurrency, gone=("c:3",)).problems() == []


def test_a_message_that_ends_the_process_does_so_for_ever_without_marks(forks: Forks, tmp_path: Path) -> None:
    def live(life: int) -> int:
        return forks.live(Order(folder=str(tmp_path), play="poison", life=life, mutation="marks nothing", deliveries=5))

    assert [live(life) for life in range(9)] == [DIED] * 9


def test_a_process_that_dies_while_it_starts_sets_nothing_aside(forks: Forks, tmp_path: Path) -> None:
    forks.live(Order(folder=str(tmp_path), death=("effect", 9)))
    points = ("the file is open", "deliveries start", "open messages are read", "begin before its commit")
    for life in range(1, 51):
        order = Order(folder=str(tmp_path), play="quiet", life=life, death=(points[life % 4], 1), deliveries=5)
        assert forks.live(order) == DIED
    assert forks.live(Order(folder=str(tmp_path), life=51, deliveries=5)) == 0
    assert Findings(tmp_path).problems() == []
