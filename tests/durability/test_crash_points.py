"""A process that dies between any two of its steps loses nothing that was accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.durability.findings import Findings
from tests.durability.order import DIED, Order
from tests.durability.points import POINTS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.durability.forks import Forks

FIRST_LIFE = {"the file is claimed", "the schema is made", "before the file is made", "the file is made"}
"""Where a process comes only while it makes the file."""


@pytest.mark.parametrize("sync", ["process", "full"])
@pytest.mark.parametrize("point", POINTS)
def test_a_death_at_this_point_loses_nothing(forks: Forks, tmp_path: Path, point: str, sync: str) -> None:
    deaths: list[tuple[str, int] | None] = [(point, 1), (point, 2), None]
    if point not in FIRST_LIFE:
        deaths.insert(0, ("effect", 9))
    ended = [
        forks.live(Order(folder=str(tmp_path), sync=sync, life=life, death=death, messages=2))
        for life, death in enumerate(deaths)
    ]
    assert ended[-1] == 0
    assert DIED in ended
    assert Findings(tmp_path).problems() == []
