"""Journals in files, for tests: open ones, and looks at what is on disk."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

from actors.storage.journal_sqlite import SqliteJournal

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path


@asynccontextmanager
async def opened(path: Path, **options: Any) -> AsyncGenerator[SqliteJournal]:
    journal = SqliteJournal(path, reserve=0, **options)
    await journal.open()
    try:
        yield journal
    finally:
        await journal.close()


def size(path: Path) -> int:
    return path.stat().st_size


def content(path: Path) -> bytes:
    return path.read_bytes()


def modes(folder: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


def written(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def change(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(sql)
