"""From words to stores, and what is said when a library is missing."""

# ruff: noqa: ASYNC240 - nothing else runs on the loop while a test looks at a directory

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from actors.storage import MemoryHistoryStore, StorageExtraError, open_store
from protocols.stores import HistoryStore, StorageError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("target", ["memory", "memory://", ":memory:", "sqlite://", " memory "])
def test_memory_is_in_memory(target: str) -> None:
    assert isinstance(open_store(target), MemoryHistoryStore)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("sqlite:////var/lib/history.db", "/var/lib/history.db"),
        ("sqlite+aiosqlite:////var/lib/history.db", "/var/lib/history.db"),
        ("/var/lib/history.db", "/var/lib/history.db"),
        ("sqlite:///history.db", str(Path.cwd() / "history.db")),
        ("history.db", str(Path.cwd() / "history.db")),
        ("~/history.db", str(Path.home() / "history.db")),
        ("odd ?x=1#y%20.db", str(Path.cwd() / "odd ?x=1#y%20.db")),
    ],
)
def test_path_is_a_sqlite_file(target: str, expected: str) -> None:
    assert open_store(target).location == expected


def test_path_object_is_a_sqlite_file(tmp_path: Path) -> None:
    store = open_store(tmp_path / "memory")
    assert store.location == str(tmp_path / "memory")
    assert isinstance(store, HistoryStore)


async def test_strange_path_is_taken_literally(tmp_path: Path) -> None:
    async with open_store(tmp_path / "odd ?mode=memory#y%20 'ü'.db") as store:
        assert await store.count() == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["odd ?mode=memory#y%20 'ü'.db"]


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
def test_postgres_location_hides_the_password_and_options(scheme: str) -> None:
    store = open_store(f"{scheme}://me:s3cret%40@db.example:5433/app?password=other&ssl=require")
    assert store.location == "postgresql://me:***@db.example:5433/app"


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("mysql://x/y", "there is no 'mysql' history; use 'memory', a path"),
        ("", "is no path of a SQLite file"),
        ("sqlite:///", "is no path of a SQLite file"),
        ("a\0b", "is no path of a SQLite file"),
        ("postgresql://user:pass@host:port/db", "PostgreSQL URL cannot be read"),
    ],
)
def test_nonsense_is_refused(target: str, problem: str) -> None:
    with pytest.raises(StorageError, match=problem) as caught:
        open_store(target)
    assert "pass@" not in str(caught.value)


@pytest.mark.parametrize(
    ("missing", "target", "extra"),
    [
        ("sqlalchemy", "history.db", "storage"),
        ("aiosqlite", "history.db", "storage"),
        ("alembic", "history.db", "storage"),
        ("asyncpg", "postgresql://h/d", "postgres"),
    ],
)
def test_missing_library_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, missing: str, target: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(StorageExtraError, match=rf"needs {missing}.*pip install 'understage\[{extra}\]'"):
        open_store(target)


def test_import_of_the_room_loads_no_database_library() -> None:
    script = (
        "import sys, actors.storage\n"
        "print([m for m in ('sqlalchemy', 'sqlite3', 'aiosqlite', 'alembic', 'asyncpg') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
