"""Models and tools whose work is in the journal are not paid again, wherever the process is killed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.durability.kills import survive

if TYPE_CHECKING:
    from pathlib import Path

    from tests.durability.findings import Findings
    from tests.durability.forks import Forks


def _paid_twice(found: Findings, kills: int) -> tuple[int, int]:
    """Return how many requests to the model and calls of the tool were paid again. None of them was in the journal."""
    kept: set[tuple[str, str]] = set()
    paid: Counter[tuple[str, str]] = Counter()
    for _, what, *more in found.lines:
        assert what != "wrong"
        if what == "kept":
            kept.add((more[0], more[1]))
        elif what == "effect":
            _, run, step, attempt = more
            assert (run, step) not in kept
            assert attempt or not paid[run, step]
            paid[run, step] += 1
    again = {step: count - 1 for step, count in paid.items() if count > 1}
    models = sum(count for (_, step), count in again.items() if step.startswith("model"))
    assert sum(again.values()) <= kills
    assert found.problems_of_journal() == []
    return models, sum(again.values()) - models


def test_kept_steps_are_paid_once(forks: Forks, tmp_path: Path) -> None:
    _paid_twice(survive(forks, tmp_path, kills=12, seed=3, play="paid"), 12)


@pytest.mark.soak
def test_kept_steps_are_paid_once_in_many_kills(forks: Forks, tmp_path: Path, journal: str) -> None:
    found = survive(forks, tmp_path, kills=150, seed=5, journal=journal, play="paid")
    models, tools = _paid_twice(found, 150)
    print(f"{len(found.effects)} paid, {models} of models and {tools} of tools again, all before their commit")  # noqa: T201
