"""The checks after the last life find each fault that they are for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from tests.durability.findings import Findings
from tests.durability.order import Order

if TYPE_CHECKING:
    from pathlib import Path

    from tests.durability.forks import Forks


@pytest.mark.parametrize(
    ("mutation", "death", "problem"),
    [
        ("says yes before the commit", ("accept before its commit", 9), "lost"),
        ("acknowledges before the effect", ("before an effect", 9), "lost"),
        ("passes on in a second transaction", ("settle after its commit", 1), "of target"),
        ("knows no ids", ("effect", 20), "copy without a flag"),
        ("takes the newest first", ("effect", 20), "out of order"),
        ("releases before it keeps", ("settle after its commit", 14), "lost"),
        ("suspects nothing", ("a run has an answer", 5), "copy without a flag"),
        ("marks nothing", ("a run has an answer", 5), "copy without a flag"),
    ],
)
def test_a_fault_is_found(forks: Forks, tmp_path: Path, mutation: str, death: tuple[str, int], problem: str) -> None:
    # Which messages are released together differs between lives, so it takes some.
    first, last, deaths = ("queued", "queued", 12) if mutation.startswith("releases") else ("shop", "quiet", 2)
    for life in range(deaths):
        order = Order(folder=str(tmp_path), play=first, life=life, death=death, mutation=mutation)
        assert forks.live(order) != 0
    forks.live(Order(folder=str(tmp_path), play=last, life=deaths, mutation=mutation))
    assert any(problem in found for found in Findings(tmp_path).problems())


def test_asking_again_under_another_id_is_found(forks: Forks, tmp_path: Path) -> None:
    order = Order(folder=str(tmp_path), play="desk", mutation="derives no ids", death=("effect", 2))
    assert forks.live(order) != 0
    forks.live(replace(order, life=1, death=None))
    assert any("copy with another key" in found for found in Findings(tmp_path).problems())
