from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.triggers.webhook.replay_journal import LONGEST_LIFE, ReplayGuard, ReplayJournal
from protocols.triggers import TriggerError

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_700_000_000.0


class Process:
    """A process that begins at some time and may end at any time."""

    def __init__(self, path: Path, now: float = NOW) -> None:
        self.now = now
        self.journal = ReplayJournal(path, wall=lambda: self.now)
        self.journal.open()
        self.guard = ReplayGuard(journal=self.journal, scope="n/w")

    def accept(self, identifier: str, expires: float) -> None:
        self.guard.remember(identifier, expires=expires)

    def knows(self, identifier: str) -> bool:
        return self.guard.knows(identifier, now=self.now)

    def die(self) -> None:
        """End without any farewell: nothing is flushed that was not written."""
        self.journal.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "webhooks.replay"


def test_what_was_accepted_is_known_in_the_next_process_until_it_expires(path: Path) -> None:
    first = Process(path)
    first.accept("a", NOW + 300)
    first.die()

    second = Process(path, NOW + 100)
    third_time = Process(path, NOW + 311)

    assert (second.knows("a"), second.knows("b"), third_time.knows("a")) == (True, False, False)
    assert second.journal.since == NOW
    second.die()
    third_time.die()


def test_other_triggers_know_nothing_of_it(path: Path) -> None:
    first = Process(path)
    first.accept("a", NOW + 300)
    first.die()
    second = Process(path)

    other = ReplayGuard(journal=second.journal, scope="n/other")

    assert (second.knows("a"), other.knows("a", now=NOW)) == (True, False)
    second.die()


def test_the_first_process_knows_nothing_of_what_was_before_it(path: Path) -> None:
    process = Process(path, NOW + 0.7)

    assert process.journal.since == NOW
    process.die()


def test_the_file_belongs_to_its_owner_alone(path: Path) -> None:
    before = os.umask(0)
    try:
        Process(path).die()
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_the_file_does_not_grow_for_ever_and_nothing_is_forgotten_meanwhile(path: Path) -> None:
    process = Process(path)
    for day in range(5):
        process.now = NOW + day * (LONGEST_LIFE + 1)
        for number in range(100):
            process.accept(f"{day}-{number}", process.now + 600)
    process.die()
    size = sum(each.stat().st_size for each in path.parent.iterdir())
    again = Process(path, process.now + 1)

    assert size <= 2 * 101 * 32
    assert again.knows("4-0")
    assert again.knows("4-99")
    again.die()


@settings(max_examples=40)
@given(cut=st.integers(0, 200), count=st.integers(0, 5))
def test_a_torn_end_costs_only_itself(tmp_path_factory: pytest.TempPathFactory, cut: int, count: int) -> None:
    path = tmp_path_factory.mktemp("j") / "r"
    first = Process(path)
    for number in range(count):
        first.accept(f"{number}", NOW + 300)
    first.die()
    data = path.read_bytes()
    path.write_bytes(data[: max(0, len(data) - cut)])

    second = Process(path, NOW + 10)
    whole = (len(data) - 32 - cut) // 32
    known = [number for number in range(count) if second.knows(f"{number}")]
    second.accept("new", NOW + 300)
    second.die()
    third = Process(path, NOW + 20)

    assert known == list(range(max(0, whole)))
    assert second.journal.since == (NOW if len(data) - cut >= 32 else NOW + 10)
    assert third.knows("new")
    third.die()


@pytest.mark.parametrize("content", [b"", b"something else entirely, and longer than a head", b"\0" * 100])
def test_a_file_that_is_something_else_opens_nothing(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)

    process = Process(path, NOW)

    assert process.journal.since == NOW
    process.die()


def test_a_place_that_cannot_be_written_says_so(path: Path) -> None:
    path.parent.write_text("a file")

    with pytest.raises(TriggerError, match=r"what webhooks accept cannot be kept in '.*webhooks\.replay'"):
        Process(path)


def test_a_file_of_another_user_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Process(path).die()
    monkeypatch.setattr("os.geteuid", lambda: -1)

    with pytest.raises(TriggerError, match="belongs to another user"):
        Process(path)


def test_a_disk_that_is_full_refuses_nobody_now_and_opens_nothing_later(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    process = Process(path)

    def full(_file: int, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.write", full)
        process.accept("a", NOW + 300)
        process.accept("b", NOW + 300)
    later = Process(path, NOW + 10)

    assert (process.knows("a"), process.knows("b")) == (True, True)
    assert caplog.text.count("cannot be written any more") == 1
    assert later.journal.since == NOW + 10
    later.die()
