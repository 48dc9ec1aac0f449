"""Other programs that have the file of a journal open: writes wait for theirs, and what they read holds up nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from actors.storage import journal_sql
from protocols.journal import JournalError
from tests.contracts.journal_kinds import accept, dead, entry, waiting
from tests.storage.journal_files import opened, size

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
async def kept(tmp_path: Path) -> Path:
    """Return a journal with an open message and a dead letter."""
    path = tmp_path / "pool.journal"
    async with opened(path, pool="pool") as journal:
        await accept(journal, 1, 2)
        await journal.settle(dead(2))
    return path


async def test_a_program_that_reads_keeps_neither_writes_nor_checkpoints_from_their_end(kept: Path) -> None:
    log = kept.with_name("pool.journal-wal")
    async with opened(kept) as journal:
        with closing(sqlite3.connect(kept, isolation_level=None)) as other:
            other.execute("BEGIN")
            assert other.execute("SELECT count(*) FROM message").fetchone() == (2,)
            await journal.accept([entry(number, payload=b"x" * 50_000) for number in range(10, 300)])
            await asyncio.to_thread(journal.file.checkpoint)
            await accept(journal, 3)
            grown = size(log)
            assert other.execute("SELECT count(*) FROM message").fetchone() == (2,)
            other.execute("COMMIT")
        await asyncio.to_thread(journal.file.checkpoint)
        await accept(journal, 4)
        assert size(log) < grown / 10
        assert journal.statistics().open == 293


@pytest.mark.parametrize("sync", ["process", "full"])
async def test_writes_wait_in_order_while_another_program_writes(kept: Path, sync: str) -> None:
    seen: list[int] = []

    def told(number: int, _: asyncio.Future[Any]) -> None:
        seen.append(number)

    async with opened(kept, sync=sync) as journal:
        with closing(sqlite3.connect(kept, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            futures = [journal.accept([entry(number)]) for number in range(3, 900)]
            for number, future in enumerate(futures):
                future.add_done_callback(partial(told, number))
            for _ in range(1_000):
                await asyncio.sleep(0)
            assert (seen, await waiting(journal)) == ([], [1])
            assert journal.statistics().waiting_since is not None
            other.execute("COMMIT")
            await asyncio.wait(futures)
    assert seen == list(range(897))


async def test_closing_gives_up_what_another_program_keeps_from_being_written(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_sql, "PATIENCE", 0.01)
    async with opened(kept) as journal:
        with closing(sqlite3.connect(kept, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            future = journal.accept([entry(3)])
            await journal.close()
            with pytest.raises(JournalError, match="was closed before it could write this"):
                await future
