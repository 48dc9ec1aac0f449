"""One process has a journal. What it has accepted is handled by the next one, also if it was only stopped."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.durability.findings import Findings
from tests.durability.forks import STOPPED, Forks
from tests.durability.order import DIED, Order

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def others() -> Iterator[Forks]:
    with Forks() as made:
        yield made


@pytest.fixture
def stopped(forks: Forks, tmp_path: Path) -> Order:
    order = Order(folder=str(tmp_path), play="stop", concurrency=1)
    assert forks.live(order) == STOPPED
    return order


def test_a_second_process_is_refused_while_the_first_one_is_stopped(
    forks: Forks, others: Forks, stopped: Order, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match=r"JournalLockedError: journal .*shop\.journal': is used by"):
        others.live(Order(folder=str(tmp_path), play="quiet", life=1))
    assert forks.signal(signal.SIGCONT, stopped) == 0
    assert Findings(tmp_path, concurrency=1).problems() == []


def test_a_second_process_goes_on_when_the_first_one_is_killed(
    forks: Forks, others: Forks, stopped: Order, tmp_path: Path
) -> None:
    assert forks.signal(signal.SIGKILL, stopped) == -signal.SIGKILL
    assert others.live(Order(folder=str(tmp_path), play="quiet", life=1, concurrency=1)) == 0
    assert Findings(tmp_path, concurrency=1).problems() == []


def test_a_process_whose_journal_was_taken_over_keeps_and_handles_nothing(
    forks: Forks, others: Forks, stopped: Order, tmp_path: Path
) -> None:
    (tmp_path / "shop.journal.lock").unlink()
    assert others.live(Order(folder=str(tmp_path), play="quiet", life=1, concurrency=1)) == 0
    before = Findings(tmp_path, concurrency=1)
    assert before.problems() == []
    assert forks.signal(signal.SIGCONT, stopped) == DIED
    after = Findings(tmp_path, concurrency=1)
    assert after.lines[-1][1:3] == ["refused", "JournalFencedError"]
    assert len(after.effects) <= len(before.effects) + 1  # the one that its actor had
    assert after.problems_of_journal() == []
