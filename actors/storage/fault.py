"""What a database's error means for the caller: wait, give up, or drop this message. The text holds no SQL or data."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy import exc

from protocols.errors import type_name
from protocols.stores import StorageError, StoreCorruptError, StoreRejectedError, StoreUnavailableError

# https://www.sqlite.org/rescode.html; the lower byte is the primary code.
_SQLITE: dict[int, tuple[type[StorageError], str]] = {
    sqlite3.SQLITE_BUSY: (StoreUnavailableError, "is locked by another program; close it, or wait and try again"),
    sqlite3.SQLITE_LOCKED: (StoreUnavailableError, "is locked; wait and try again"),
    sqlite3.SQLITE_READONLY: (StoreUnavailableError, "is read-only; make the file and its directory writable"),
    sqlite3.SQLITE_IOERR: (StoreUnavailableError, "cannot be read or written; check the disk"),
    sqlite3.SQLITE_FULL: (StoreUnavailableError, "has no room to grow; free some disk space"),
    sqlite3.SQLITE_CANTOPEN: (StoreUnavailableError, "cannot be opened; check the path and its permissions"),
    sqlite3.SQLITE_PERM: (StoreUnavailableError, "cannot be opened; check its permissions"),
    sqlite3.SQLITE_NOMEM: (StoreUnavailableError, "ran out of memory"),
    sqlite3.SQLITE_CORRUPT: (StoreCorruptError, "is damaged; move it away, or restore a copy of it"),
    sqlite3.SQLITE_NOTADB: (StoreCorruptError, "is no SQLite database; choose another path, or move the file away"),
    sqlite3.SQLITE_TOOBIG: (StoreRejectedError, "takes no message of this size"),
    sqlite3.SQLITE_CONSTRAINT: (StoreRejectedError, "does not take this message"),
    sqlite3.SQLITE_MISMATCH: (StoreRejectedError, "does not take this message"),
}

# https://www.postgresql.org/docs/current/errcodes-appendix.html; the first two characters are the class.
_POSTGRES: dict[str, tuple[type[StorageError], str]] = {
    "08": (StoreUnavailableError, "lost its connection"),
    "25": (StoreUnavailableError, "takes no writes now"),
    "28": (StorageError, "refused the user or password"),
    "3D": (StorageError, "does not have this database"),
    "40": (StoreUnavailableError, "rolled the transaction back"),
    "53": (StoreUnavailableError, "is out of resources"),
    "55": (StoreUnavailableError, "is locked"),
    "57": (StoreUnavailableError, "is shutting down or starting"),
    "58": (StoreUnavailableError, "has a system error"),
    "XX": (StoreCorruptError, "is damaged"),
    "22": (StoreRejectedError, "does not take this message"),
    "23": (StoreRejectedError, "does not take this message"),
    "54": (StoreRejectedError, "does not take a message of this size"),
}

_DISCONNECTED = (exc.InterfaceError, exc.OperationalError)


@contextmanager
def translated(location: str) -> Generator[None]:
    """Turn the errors of drivers and system into a `StorageError` that names the store."""
    try:
        yield
    except (StorageError, ValueError):  # ours already, or a wrong argument
        raise
    except (exc.SQLAlchemyError, sqlite3.Error, OSError, OverflowError) as error:
        raise fault(error, location) from error


def fault(error: Exception, location: str) -> StorageError:
    """Return the `StorageError` for one error of a driver or of the system."""
    original = error.orig if isinstance(error, exc.DBAPIError) and error.orig is not None else error
    known = _known(original)
    if known is not None:
        kind, meaning = known
        # The text of a refusal quotes what was to be stored.
        detail = type_name(original) if kind is StoreRejectedError else _brief(original)
        return kind(f"{meaning} ({detail})", location=location)
    is_lost = isinstance(error, exc.DBAPIError) and error.connection_invalidated
    if is_lost or isinstance(original, (OSError, exc.TimeoutError)) or isinstance(error, _DISCONNECTED):
        return StoreUnavailableError(f"cannot be reached: {_brief(original)}", location=location)
    if isinstance(error, (exc.DataError, exc.IntegrityError)) or isinstance(
        original, (exc.StatementError, OverflowError)
    ):
        return StoreRejectedError(f"does not take this message ({type_name(original)})", location=location)
    return StorageError(_brief(original), location=location)


def _known(error: BaseException) -> tuple[type[StorageError], str] | None:
    if isinstance(code := getattr(error, "sqlite_errorcode", None), int):
        return _SQLITE.get(code & 0xFF)
    state = getattr(error, "sqlstate", None)
    return _POSTGRES.get(state[:2]) if isinstance(state, str) else None


def _brief(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type_name(error)}: {lines[0]:.200}" if lines else type_name(error)
