"""A disk that is full: what cannot be kept is refused, what is open ends, and nothing is lost."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import sqlite3
import subprocess
from typing import TYPE_CHECKING

import pytest

from actors.storage.journal_sql import journal_error
from actors.storage.journal_sqlite import SqliteJournal
from protocols.journal import JournalFullError
from tests.contracts.journal_kinds import CLERK, WallTime, accept, entry, handled, waiting

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

MIB = 1024 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Generator[Path]:
    """Return a folder on a disk of 6 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=True)


def eat(path: Path, size: int) -> None:
    path.write_bytes(bytes(size))


async def fill(journal: SqliteJournal, wall_time: WallTime) -> int:
    """Accept messages until that is refused; return how many."""
    for number in itertools.count():
        wall_time.time += 1
        try:
            await journal.accept([entry(number, payload=b"x" * 2_000)])
        except JournalFullError:
            return number
    raise AssertionError


@pytest.mark.parametrize("sync", ["process", "full"])
async def test_a_file_that_may_not_grow_refuses_and_goes_on_when_it_may(tmp_path: Path, sync: str) -> None:
    journal = SqliteJournal(tmp_path / "pool.journal", sync="full" if sync == "full" else "process", reserve=0)
    await journal.open()
    await accept(journal, 1, 2, 3)
    writer = journal.file.connections[0]
    (pages,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count = {pages}").fetchone()
    large = [journal.accept([entry(number, payload=b"x" * 5_000)]) for number in range(4, 7)]
    results = await asyncio.gather(*large, journal.settle(handled(1)), return_exceptions=True)
    assert [type(result) for result in results] == [JournalFullError] * 3 + [list]
    assert "has no room to grow; free some disk space" in str(results[0])
    writer.execute("PRAGMA max_page_count = 1000000").fetchone()
    await accept(journal, 4, 5, 6)
    assert (await waiting(journal), journal.statistics().broken) == ([2, 3, 4, 5, 6], "")
    await journal.close()


async def test_all_that_was_accepted_on_a_full_disk_can_end(small_disk: Path) -> None:
    wall_time = WallTime()
    journal = SqliteJournal(small_disk / "pool.journal", reserve=2 * MIB, now=wall_time)
    await journal.open()
    count = await fill(journal, wall_time)
    assert count > 100
    assert journal.statistics().is_full
    for number in range(count):
        await journal.settle(handled(number, reply=b"y" * 50))
    assert await waiting(journal) == []
    await asyncio.to_thread(journal.file.checkpoint)
    wall_time.time += 10
    while await journal.prune(5):
        await asyncio.to_thread(journal.file.checkpoint)
    wall_time.time += 10
    await accept(journal, count + 1)
    assert not journal.statistics().is_full
    await journal.close()


async def test_a_disk_without_a_reserve_fills_to_the_last_byte_and_loses_nothing(small_disk: Path) -> None:
    wall_time = WallTime()
    path, ballast = small_disk / "pool.journal", small_disk / "ballast"
    eat(ballast, MIB)
    journal = SqliteJournal(path, reserve=0, now=wall_time)
    await journal.open()
    count = await fill(journal, wall_time)
    assert journal.statistics().broken == ""
    assert await waiting(journal) == list(range(min(count, 1_000)))
    await journal.close()
    os.unlink(ballast)
    again = SqliteJournal(path, reserve=0, now=wall_time)
    await again.open()
    assert await again.counts() == {CLERK: count}
    await again.close()


async def test_the_room_of_the_disk_is_looked_at_once_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Path] = []
    real = os.statvfs

    def look(path: Path) -> os.statvfs_result:
        looks.append(path)
        return real(path)

    monkeypatch.setattr(os, "statvfs", look)
    wall_time = WallTime()
    journal = SqliteJournal(tmp_path / "pool.journal", reserve=0, now=wall_time)
    await journal.open()
    for number in range(20):
        await accept(journal, number)
        await journal.settle(handled(number))
        wall_time.time += 0.1
    await journal.close()
    assert len(looks) == 2


def test_no_room_for_the_index_of_the_log_is_not_a_broken_disk() -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
    assert isinstance(journal_error(error, "x"), JournalFullError)
