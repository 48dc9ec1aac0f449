"""A process that dies between any two of its steps loses nothing that was accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.durability.conftest import STORES
from tests.durability.findings import Findings
from tests.durability.order import DIED, Order
from tests.durability.points import OF_FILES, OF_SERVERS, OF_TRIGGERS, POINTS, UPKEEP

if TYPE_CHECKING:
    from pathlib import Path

    from tests.durability.forks import Forks

FIRST_LIFE = {"the file is claimed", "the schema is made", "before the file is made", "the file is made"}
"""Where a process comes only while it makes the file."""


CASES = [
    (point, store)
    for store in STORES
    for point in POINTS
    if not point.removeprefix("before ").startswith(OF_FILES if store == "postgres" else OF_SERVERS)
]


@pytest.mark.parametrize(("point", "journal"), CASES, indirect=["journal"])
def test_a_death_at_this_point_loses_nothing(forks: Forks, tmp_path: Path, point: str, journal: str) -> None:
    deaths: list[tuple[str, int] | None] = [(point, 1), (point, 2), None]
    if point not in FIRST_LIFE:
        deaths.insert(0, ("effect", 9))
    play = "queued" if point.endswith(OF_TRIGGERS) else "shop"
    ended = [
        forks.live(Order(folder=str(tmp_path), play=play, journal=journal, life=life, death=death, messages=2))
        for life, death in enumerate(deaths)
    ]
    assert ended[-1] == 0
    assert DIED in ended[:-1]
    assert Findings(tmp_path, journal=journal).problems() == []


def test_deaths_while_dead_letters_and_mailboxes_are_looked_after_lose_nothing(
    forks: Forks, tmp_path: Path, journal: str
) -> None:
    points = [f"{write} {when}" for write in UPKEEP for when in ("before its commit", "after its commit")]
    ended = [
        forks.live(Order(folder=str(tmp_path), play="upkeep", journal=journal, life=life, death=(point, 1)))
        for life, point in enumerate(points)
    ]
    assert dict(zip(points, ended, strict=True)) == dict.fromkeys(points, DIED)
    assert forks.live(Order(folder=str(tmp_path), play="upkeep", journal=journal, life=len(points))) == 0
    found = Findings(tmp_path, journal=journal)
    done = {tuple(more) for _, what, *more in found.lines if what == "done"}
    assert {("clerk", text) for _, text, _ in found.accepted if not text.startswith("gone")} <= done
    assert found.problems_of_journal() == []
