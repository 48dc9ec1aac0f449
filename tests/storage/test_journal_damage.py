"""A damaged file: whatever byte is wrong, a journal tells all that it has kept as it was, or that it is broken."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from actors.storage import journal_file
from actors.storage.journal_file import PAGE_SIZE, JournalFile
from actors.storage.journal_sql import journal_error
from actors.storage.journal_sqlite import SqliteJournal
from actors.storage.journal_tables import JournalTables
from protocols.journal import Acknowledgement, JournalBrokenError, JournalError
from tests.contracts.journal_kinds import CLERK, WallTime, accept, dead, entry, handled, id_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Damage = Callable[[bytearray, int], None]

OTHER = "pool/other"


async def fill(path: Path) -> None:
    journal = SqliteJournal(path, pool="pool", reserve=0, now=WallTime())
    await journal.open()
    await accept(journal, 1, 2, 3, 4)
    await journal.accept([entry(5, OTHER, due=5.5, expires=6.5, attempts=3), entry(6, OTHER, payload=b"long" * 900)])
    await journal.keep_step(id_of(3), "model/1", b"digest", b"a step")
    await journal.settle(handled(1, reply=b"42", memory=((CLERK, b"one"), (CLERK, b"two"), (f"{OTHER}#a", b"x"))))
    await journal.settle(Acknowledgement(id_of(2), "failed", error="ValueError: no"))
    await journal.settle(dead(4, error="it died"))
    await journal.begin(id_of(5))
    await journal.postpone(id_of(6), 7.5, "later")
    await journal.close()


def read_all(path: Path) -> dict[str, Any]:
    """Open a journal as a pool does, and return all that it tells."""
    file = JournalFile(path, "pool", is_guest=False)
    try:
        tables = JournalTables(file.open(), WallTime())
        tables.version()
        boxes = tables.counts()
        return {
            "counts": boxes,
            "waiting": [tables.waiting(box, 0, 100) for box in (CLERK, OTHER)],
            "numbers": (tables.tally["open"], tables.tally["dead"]),
            "outcomes": [tables.find(id_of(number)) for number in range(1, 8)],
            "dead": tables.dead(),
            "memories": [tables.memory(name, 9) for name in (CLERK, OTHER, f"{OTHER}#a")],
            "steps": [tables.steps(id_of(number)) for number in range(1, 7)],
        }
    except Exception as error:
        raise journal_error(error, str(path)) from error
    finally:
        file.close()


def replace_bytes(path: Path, old: bytes, new: bytes) -> None:
    path.write_bytes(path.read_bytes().replace(old, new))


def flip(data: bytearray, place: int) -> None:
    data[place] ^= 1 << (place % 8)


def invert(data: bytearray, place: int) -> None:
    data[place] ^= 0xFF


def zero(data: bytearray, place: int) -> None:
    data[place] = 0


def zero_rest_of_page(data: bytearray, place: int) -> None:
    end = place - place % PAGE_SIZE + PAGE_SIZE
    data[place:end] = bytes(end - place)


def truncate(data: bytearray, place: int) -> None:
    del data[place:]


DAMAGES: list[Damage] = [flip, invert, zero, zero_rest_of_page, truncate]


def wrong(folder: Path, whole: bytes, damage: Damage, places: list[int]) -> list[tuple[int, str]]:
    """Return the places at which a damage makes a journal tell something else, without an error."""
    found: list[tuple[int, str]] = []
    path = folder / "damaged.journal"
    path.write_bytes(whole)
    right = read_all(path)
    for place in places:
        data = bytearray(whole)
        damage(data, place)
        path.write_bytes(data)
        try:
            told = read_all(path)
        except JournalError:
            continue
        finally:
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
        if told != right:
            found.append((place, next(key for key in right if told[key] != right[key])))
    return found


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    path = tmp_path / "whole.journal"
    asyncio.run(fill(path))
    return path.read_bytes()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_byte_is_never_told_as_a_wrong_row(tmp_path: Path, whole: bytes, damage: Damage) -> None:
    places = sorted({*range(100), *random.Random(13).sample(range(len(whole)), 150)})

    assert wrong(tmp_path, whole, damage, places) == []


@pytest.mark.soak
@pytest.mark.parametrize("damage", DAMAGES)
def test_no_damaged_byte_at_all_is_told_as_a_wrong_row(tmp_path: Path, whole: bytes, damage: Damage) -> None:
    assert wrong(tmp_path, whole, damage, list(range(len(whole)))) == []


async def test_a_damaged_row_of_a_large_journal_is_found_when_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large.journal"
    await fill(path)
    monkeypatch.setattr(journal_file, "FULLY_CHECKED", 0)
    replace_bytes(path, b"message 3", b"massage 3")
    journal = SqliteJournal(path, reserve=0)
    await journal.open()
    with pytest.raises(JournalBrokenError, match="has a damaged row"):
        await journal.waiting(CLERK, 0, 10)
    assert len(await journal.waiting(OTHER, 0, 10)) == 2
    await journal.close()


async def test_other_tables_than_those_of_this_version_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "whole.journal"
    await fill(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP INDEX message_id")
    with pytest.raises(JournalBrokenError, match="has other tables than it should"):
        await SqliteJournal(path).open()


async def test_statistics_that_a_user_has_made_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "whole.journal"
    await fill(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ANALYZE")
    journal = SqliteJournal(path, pool="pool")
    await journal.open()
    await journal.close()


@pytest.mark.parametrize(
    ("table", "sql"),
    [
        ("memory", "UPDATE memory SET mailbox = 'pool/clark' WHERE seq = 1"),
        ("step", "UPDATE step SET run = x'00'"),
        ("dead", "UPDATE dead SET sender = 'wab'"),
        ("message", "UPDATE message SET reply = x'41' WHERE reply IS NOT NULL"),
    ],
)
async def test_a_damaged_row_of_a_small_journal_is_found_when_it_is_opened(
    tmp_path: Path, table: str, sql: str
) -> None:
    path = tmp_path / "whole.journal"
    await fill(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(sql)
    with pytest.raises(JournalBrokenError, match=f"has a damaged row of its table '{table}'; restore a copy of it"):
        await SqliteJournal(path).open()
