"""A process that is killed anywhere loses nothing that was accepted."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.durability.kills import survive

if TYPE_CHECKING:
    from pathlib import Path

    from tests.durability.forks import Forks

ROUND = 100


@pytest.mark.parametrize("play", ["shop", "desk"])
def test_kills_lose_repeat_and_reorder_nothing(forks: Forks, tmp_path: Path, journal: str, play: str) -> None:
    found = survive(forks, tmp_path, kills=20, seed=7, journal=journal, play=play)
    assert found.problems() == []
    assert found.accepted


def test_kills_lose_repeat_and_reorder_nothing_that_waits_for_a_trigger(
    forks: Forks, tmp_path: Path, journal: str
) -> None:
    found = survive(forks, tmp_path, kills=20, seed=11, journal=journal, play="queued")
    assert found.problems() == []
    assert {node for node, _, _ in found.accepted} == {"source", "other"}


def test_kills_neither_lose_nor_repeat_a_text_of_add_context(forks: Forks, tmp_path: Path, journal: str) -> None:
    found = survive(forks, tmp_path, kills=20, seed=3, journal=journal, play="context")
    assert found.problems() == []
    runs: dict[str, list[str]] = {}
    for _, what, *more in found.lines:
        if what == "read":
            runs[more[0]] = more[1]  # what the last delivery has read, which was acknowledged
    read = Counter(text for texts in runs.values() for text in texts)
    assert {f"note {text}" for _, text, _ in found.accepted} <= read.keys()
    assert set(read.values()) == {1}


@pytest.mark.soak
@pytest.mark.parametrize("play", ["shop", "queued", "desk"])
@pytest.mark.parametrize("turn", range(2_000 // ROUND))
def test_thousands_of_kills_lose_repeat_and_reorder_nothing(
    forks: Forks, tmp_path: Path, journal: str, turn: int, play: str
) -> None:
    found = survive(forks, tmp_path, kills=ROUND, seed=(turn + 1) * 10_000, journal=journal, play=play)
    assert found.problems() == []
    print(f"{turn}: {len(found.accepted)} accepted, {len(found.effects)} effects, {found.copies} copies")  # noqa: T201
