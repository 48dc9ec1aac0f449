"""One file, one process: who may open a journal, what a guest may do, and when there is room."""

from __future__ import annotations

import asyncio
import os
import re
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from actors.storage.journal_file import CHECKPOINT, LOG_LIMIT
from actors.storage.journal_sqlite import SqliteJournal
from protocols.journal import (
    JournalBrokenError,
    JournalError,
    JournalFencedError,
    JournalFullError,
    JournalLockedError,
    JournalVersionError,
)
from tests.contracts.journal_kinds import CLERK, WallTime, accept, dead, entry, handled, id_of, waiting
from tests.storage.journal_files import change, content, modes, opened, size, written

if TYPE_CHECKING:
    from pathlib import Path

NOTHING = re.escape("does not exist: nothing was kept")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "pool.journal"


@pytest.fixture
async def kept(path: Path) -> Path:
    """Return a journal with an open message and a dead letter."""
    async with opened(path, pool="pool") as journal:
        await accept(journal, 1, 2)
        await journal.settle(dead(2))
    return path


async def refused(path: Path, kind: type[JournalError], match: str, **options: Any) -> None:
    journal = SqliteJournal(path, **options)
    with pytest.raises(JournalError, match=match) as caught:
        await journal.open()
    assert type(caught.value) is kind
    assert str(path) in str(caught.value)
    await journal.close()


# ------------------------------------------------------------------------------------------- who may open


async def test_the_files_are_private(path: Path) -> None:
    async with opened(path) as journal:
        await accept(journal, 1)
        assert modes(path.parent) == {f"pool.journal{name}": 0o600 for name in ("", ".lock", "-shm", "-wal")}
    assert modes(path.parent.parent)["state"] == 0o700


async def test_a_second_one_is_refused_and_told_who_has_it(kept: Path) -> None:
    async with opened(kept) as journal:
        await refused(kept, JournalLockedError, rf"is used by process {os.getpid()} on .* \(since 2.*\); end it first")
        await journal.open()
        await accept(journal, 3)
    async with opened(kept) as journal:
        assert await waiting(journal) == [1, 3]


async def test_the_journal_of_another_pool_is_refused_until_it_is_moved(kept: Path) -> None:
    match = "belongs to pool 'pool', not to 'shop'; choose another file, or name the pool as before"
    await refused(kept, JournalBrokenError, match, pool="shop")
    async with opened(kept) as journal:
        assert await journal.move("pool", "shop") == 1
    async with opened(kept, pool="shop") as journal:
        assert await waiting(journal, "shop/clerk") == [1]


async def test_a_journal_of_a_newer_version_is_not_touched(kept: Path) -> None:
    change(kept, "UPDATE meta SET value = 99 WHERE key = 'schema'")
    before = content(kept)
    for is_guest in (False, True):
        await refused(kept, JournalVersionError, "has schema 99, and this version knows 1", as_guest=is_guest)
    assert content(kept) == before


async def test_a_guest_leaves_an_old_schema_to_the_pool(kept: Path) -> None:
    change(kept, "UPDATE meta SET value = 0 WHERE key = 'schema'")
    await refused(kept, JournalVersionError, "old schema 0", as_guest=True)


@pytest.mark.parametrize("text", ["", "no database", "x" * 100_000])
async def test_a_file_of_another_kind_is_refused_and_not_touched(path: Path, text: str) -> None:
    written(path, text)
    await refused(path, JournalBrokenError, "is not a SQLite database" if text else "is empty, as a journal never is")
    assert content(path) == text.encode()


async def test_a_database_of_another_kind_is_refused_and_not_touched(path: Path) -> None:
    written(path, "")
    change(path, "CREATE TABLE understage_history(id)")
    before = content(path)
    await refused(path, JournalBrokenError, r"holds tables of something else \(understage_history\)")
    assert content(path) == before


async def test_a_log_without_its_database_is_not_written_over(path: Path) -> None:
    log = path.with_name("pool.journal-wal")
    written(log, "frames")
    await refused(path, JournalBrokenError, "is missing, but its log 'pool.journal-wal' is there")
    assert modes(path.parent).keys() == {log.name, "pool.journal.lock"}
    assert size(log) == 6


async def test_what_is_not_a_file_of_its_own_is_refused(tmp_path: Path, kept: Path) -> None:
    link = tmp_path / "link.journal"
    os.symlink(kept, link)
    await refused(link, JournalError, "is a symbolic link")
    await refused(tmp_path, JournalError, "is no regular file")
    await refused(tmp_path / "pool" / ("x" * 300), JournalError, "cannot be locked: File name too long")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
async def test_the_file_of_another_user_is_refused(kept: Path) -> None:
    os.chown(kept, 65_534, 65_534)
    for is_guest in (False, True):
        await refused(kept, JournalError, "belongs to user 65534", as_guest=is_guest)


async def test_what_a_killed_start_has_left_is_cleared_away(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        written(path.with_name(f"pool.journal.new{suffix}"), "half")
    async with opened(path) as journal:
        await accept(journal, 1)
    assert modes(path.parent).keys() == {"pool.journal", "pool.journal.lock"}


async def test_a_start_that_is_cancelled_lets_go_of_the_file(path: Path) -> None:
    task = asyncio.ensure_future(SqliteJournal(path).open())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    for _ in range(10_000):
        try:
            async with opened(path):
                return
        except JournalLockedError:
            await asyncio.sleep(0)
    pytest.fail("the file is still locked")


# ------------------------------------------------------------------------------------------------ guests


async def test_a_guest_reads_replays_and_discards_beside_the_pool(kept: Path) -> None:
    async with opened(kept, pool="pool") as journal, opened(kept, as_guest=True) as guest:
        before = await journal.version()
        assert (await waiting(guest), (await guest.dead())[0].entry.id) == ([1], id_of(2))
        assert len(await guest.replay([id_of(2)])) == 1
        assert await journal.version() != before
        assert (journal.statistics().open, journal.statistics().dead) == (2, 0)
        await journal.settle(dead(1))
        assert await guest.discard([id_of(1)]) == 1
        await journal.version()
        assert (journal.statistics().open, journal.statistics().dead) == (1, 0)
        await accept(journal, 3)
        assert await waiting(guest) == [2, 3]
        assert (await guest.find(id_of(3)), await guest.counts()) == (await journal.find(id_of(3)), {CLERK: 2})


async def test_a_guest_changes_nothing_else(kept: Path) -> None:
    async with opened(kept, as_guest=True) as guest:
        for use in (
            partial(guest.accept, [entry(3)]),
            partial(guest.settle, handled(1)),
            partial(guest.begin, id_of(1)),
            partial(guest.prune, 0),
            partial(guest.move, "pool", "shop"),
            partial(guest.forget, CLERK),
        ):
            with pytest.raises(JournalError, match="may be in use by its pool"):
                await use()
        assert await waiting(guest) == [1]


async def test_a_guest_makes_no_file(path: Path) -> None:
    await refused(path, JournalError, NOTHING, as_guest=True)
    assert modes(path.parent.parent) == {}


# ----------------------------------------------------------------------------------------------- fences


async def test_a_process_that_lost_the_file_to_another_writes_nothing_more(kept: Path) -> None:
    async with opened(kept) as first:
        os.unlink(kept.parent / "pool.journal.lock")
        async with opened(kept) as second:
            waits: list[asyncio.Future[Any]] = [
                first.accept([entry(3)]),
                first.settle(handled(1)),
                first.begin(id_of(1)),
            ]
            results = await asyncio.gather(*waits, return_exceptions=True)
            assert [type(result) for result in results] == [JournalFencedError] * 3
            with pytest.raises(JournalFencedError, match="was taken over by another process"):
                await first.prune(0)
            assert "taken over" in first.statistics().broken
            assert await waiting(second) == [1]
            await accept(second, 3)


@pytest.mark.parametrize("is_replaced", [True, False])
async def test_a_file_that_was_removed_takes_no_messages(kept: Path, is_replaced: bool) -> None:
    wall_time = WallTime()
    async with opened(kept, now=wall_time) as journal:
        await accept(journal, 3)
        os.unlink(kept)
        if is_replaced:
            written(kept, "")
        wall_time.time += 1
        with pytest.raises(JournalBrokenError, match="was removed or replaced while it was open"):
            await journal.accept([entry(4)])
        with pytest.raises(JournalBrokenError):
            await journal.settle(handled(3))
        assert "was removed" in journal.statistics().broken


# ------------------------------------------------------------------------------------------------- room


async def test_below_the_reserve_nothing_is_accepted_and_all_can_end(kept: Path) -> None:
    wall_time = WallTime()
    async with opened(kept, now=wall_time) as journal:
        await accept(journal, 3)
        journal.reserve = 1 << 60
        wall_time.time += 1
        with pytest.raises(JournalFullError, match=r"only .* are free, and `reserve` is 1,073,741,824 GiB; free some"):
            await journal.accept([entry(4)])
        assert journal.statistics().is_full
        assert await journal.settle(handled(1, outbox=(entry(5),))) != [None]
        await journal.keep_step(id_of(3), "model/1", b"d", b"p")
        journal.reserve = 0
        wall_time.time -= 1_000
        await accept(journal, 4)
        assert (await waiting(journal), journal.statistics().is_full) == ([3, 5, 4], False)


async def test_beyond_its_size_nothing_is_accepted(kept: Path) -> None:
    wall_time = WallTime()
    async with opened(kept, now=wall_time, max_size=400_000) as journal:
        await journal.accept([entry(number, payload=b"x" * 10_000) for number in range(3, 50)])
        wall_time.time += 1
        with pytest.raises(
            JournalFullError, match=r"has .* KiB, and `max_size` is 390.6 KiB; raise it, or lower `keep`"
        ):
            await journal.accept([entry(50)])
        assert journal.statistics().bytes > 400_000
        await journal.settle(handled(1))
        assert 1 not in await waiting(journal)


async def test_pruning_gives_the_room_back(kept: Path) -> None:
    wall_time = WallTime()
    async with opened(kept, now=wall_time) as journal:
        numbers = range(10, 200)
        await journal.accept([entry(number, payload=b"x" * 20_000) for number in numbers])
        await journal.settle(handled(10, also=tuple(id_of(number) for number in numbers)))
        await asyncio.to_thread(journal.file.checkpoint)
        large = size(kept)
        wall_time.time += 10
        assert await journal.prune(5) == 189
        await asyncio.to_thread(journal.file.checkpoint)
        assert size(kept) < large / 3
        assert await waiting(journal) == [1]


async def test_a_month_of_messages_takes_the_room_of_a_few_days(path: Path) -> None:
    wall_time = WallTime()
    sizes: list[int] = []
    async with opened(path, now=wall_time) as journal:
        for day in range(30):
            first = day * 400
            await journal.accept([entry(first + n, payload=b"x" * 1_000) for n in range(400)])
            await journal.settle(
                handled(first, also=tuple(id_of(first + n) for n in range(1, 400)), reply=b"y" * 1_000)
            )
            wall_time.time += 86_400
            await journal.prune(86_400)
            await asyncio.to_thread(journal.file.checkpoint)
            sizes.append(size(path))
        assert journal.statistics().settled == 12_000
    assert max(sizes) < max(sizes[:3]) * 1.1


async def test_the_log_is_moved_into_the_database_while_messages_come(kept: Path) -> None:
    log = kept.with_name("pool.journal-wal")
    largest = 0
    async with opened(kept) as journal:
        for number in range(10, 160):
            many = [journal.accept([entry(number * 100 + n, payload=b"x" * 50_000)]) for n in range(20)]
            await asyncio.wait(many)
            largest = max(largest, size(log))
        while journal.is_checkpointing:
            await journal.version()
        assert CHECKPOINT < largest < 3 * LOG_LIMIT, "of 150 MB that were written"
        assert journal.statistics().open == 3_001
