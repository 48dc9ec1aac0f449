"""From the words in a manifest or on a command line to a store: the only place that knows all kinds."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from actors.storage.memory import MemoryHistoryStore
from protocols.stores import HistoryStore, StorageError

SQLITE_MODULES = ("sqlalchemy", "greenlet", "aiosqlite", "alembic")
POSTGRES_MODULES = ("sqlalchemy", "greenlet", "asyncpg", "alembic")
MEMORY_NAMES = frozenset({"memory", "memory:", "memory://", ":memory:", "sqlite://", "sqlite:///:memory:"})
POSTGRES_SCHEMES = frozenset({"postgresql", "postgres", "postgresql+asyncpg"})
SQLITE_SCHEMES = frozenset({"sqlite", "sqlite+aiosqlite"})
DEFAULT_TIMEOUT = 5.0
"""Seconds to wait for a lock or a connection before the store counts as unavailable."""


class StorageExtraError(StorageError, ImportError):
    """A library that this kind of store needs is not installed. The text names the extra to install."""

    def __init__(self, kind: str, extra: str, missing: Sequence[str]) -> None:
        super().__init__(
            f"{kind} history needs {', '.join(missing)}, which is not installed; "
            f"install the extra: pip install 'understage[{extra}]'"
        )


def open_store(
    target: str | Path, *, timeout: float = DEFAULT_TIMEOUT, root: Path | None = None, read_only: bool = False
) -> HistoryStore:
    """Return the store that `target` names; ``async with`` or ``await store.open()`` connects it.

    ==============================================  ===========================================
    ``memory``                                      this process only, bounded
    ``sqlite:///history.db``, ``history.db``, Path  SQLite file, made with permissions 0600
    ``postgresql://user:password@host/database``    PostgreSQL; ``?ssl=require`` and others of asyncpg
    ==============================================  ===========================================

    Args:
        target: A word, a path or a URL of the table.
        timeout: Seconds to wait for a lock or a connection before the store counts as unavailable.
        root: Folder that relative paths begin in; None is the working directory.
        read_only: True to open only what is there, and change nothing.

    Example:
        >>> open_store("memory").location
        'memory'

    Raises:
        StorageExtraError: The libraries of that kind are not installed.
        StorageError: The kind of store is unknown.
    """
    if isinstance(target, str) and target.strip() in MEMORY_NAMES:
        return MemoryHistoryStore()
    root = root or Path()
    scheme, mark, rest = ("", "", "") if isinstance(target, Path) else target.strip().partition("://")
    if not mark:
        return _sqlite(root / _path(str(target)), timeout, read_only)
    if scheme in SQLITE_SCHEMES:
        return _sqlite(root / _path(rest.removeprefix("/")), timeout, read_only)
    if scheme in POSTGRES_SCHEMES:
        return _postgres(rest, timeout, read_only)
    raise StorageError(f"there is no {scheme!r} history; use 'memory', a path, 'sqlite:///PATH' or 'postgresql://...'")


def _path(text: str) -> Path:
    if not text.strip() or "\0" in text:
        raise StorageError(f"{text!r} is no path of a SQLite file; use 'sqlite:///history.db' or a path")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise StorageError(f"{text!r} is no path of a SQLite file: {error}") from error


def _sqlite(path: Path, timeout: float, read_only: bool) -> HistoryStore:
    _require("SQLite", "storage", SQLITE_MODULES)
    from actors.storage.sql import SqlHistoryStore
    from actors.storage.sqlite import SqliteBackend

    return SqlHistoryStore(SqliteBackend(path, timeout=timeout, read_only=read_only))


def _postgres(rest: str, timeout: float, read_only: bool) -> HistoryStore:
    _require("PostgreSQL", "postgres", POSTGRES_MODULES)
    from actors.storage.postgres import PostgresBackend
    from actors.storage.sql import SqlHistoryStore

    return SqlHistoryStore(PostgresBackend(f"postgresql+asyncpg://{rest}", timeout=timeout, read_only=read_only))


def _require(kind: str, extra: str, modules: Sequence[str]) -> None:
    if missing := missing_modules(modules):
        raise StorageExtraError(kind, extra, missing)


def missing_modules(modules: Sequence[str]) -> list[str]:
    """Return those that are not installed."""
    return [name for name in modules if importlib.util.find_spec(name) is None]
