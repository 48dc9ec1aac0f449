"""A process that is killed anywhere loses nothing that was accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.durability.kills import survive

if TYPE_CHECKING:
    from pathlib import Path

    from tests.durability.forks import Forks

ROUND = 100


@pytest.mark.parametrize("sync", ["process", "full"])
def test_kills_lose_repeat_and_reorder_nothing(forks: Forks, tmp_path: Path, sync: str) -> None:
    found = survive(forks, tmp_path, kills=20, seed=len(sync), sync=sync)
    assert found.problems() == []
    assert found.accepted


@pytest.mark.soak
@pytest.mark.parametrize("sync", ["process", "full"])
@pytest.mark.parametrize("turn", range(2_000 // ROUND))
def test_thousands_of_kills_lose_repeat_and_reorder_nothing(forks: Forks, tmp_path: Path, sync: str, turn: int) -> None:
    found = survive(forks, tmp_path, kills=ROUND, seed=(turn + 1) * 10_000 + len(sync), sync=sync)
    assert found.problems() == []
    print(f"{sync} {turn}: {len(found.accepted)} accepted, {len(found.effects)} effects, {found.copies} copies")  # noqa: T201
