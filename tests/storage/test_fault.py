"""What errors of drivers become: the right kind, the store's name, and nothing of what was to be stored."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy import exc

from actors.storage.fault import fault, translated
from protocols.stores import (
    StorageError,
    StoreCorruptError,
    StoreRejectedError,
    StoreUnavailableError,
)

SECRET = "the prompt of somebody"


def sqlite_error(code: int) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(SECRET)
    error.sqlite_errorcode = code
    return error


class ServerError(Exception):
    """As asyncpg's: with the state of the SQL standard."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__(SECRET)
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("original", "kind"),
    [
        (sqlite_error(sqlite3.SQLITE_BUSY), StoreUnavailableError),
        (sqlite_error(sqlite3.SQLITE_BUSY | 2 << 8), StoreUnavailableError),  # SQLITE_BUSY_SNAPSHOT
        (sqlite_error(sqlite3.SQLITE_IOERR), StoreUnavailableError),
        (sqlite_error(sqlite3.SQLITE_READONLY), StoreUnavailableError),
        (sqlite_error(sqlite3.SQLITE_CORRUPT), StoreCorruptError),
        (sqlite_error(sqlite3.SQLITE_TOOBIG), StoreRejectedError),
        (sqlite_error(sqlite3.SQLITE_ERROR), StorageError),
        (ServerError("57P01"), StoreUnavailableError),
        (ServerError("08006"), StoreUnavailableError),
        (ServerError("40P01"), StoreUnavailableError),
        (ServerError("53100"), StoreUnavailableError),
        (ServerError("22021"), StoreRejectedError),
        (ServerError("XX001"), StoreCorruptError),
        (ServerError("42P01"), StorageError),
    ],
)
def test_error_of_a_driver_becomes_its_kind(original: Exception, kind: type[StorageError]) -> None:
    found = fault(exc.DBAPIError("INSERT INTO secret_table", {"content": SECRET}, original), "here")
    assert type(found) is kind
    assert found.location == "here"
    assert "'here'" in str(found)
    assert "secret_table" not in str(found)
    if kind is StoreRejectedError:
        assert SECRET not in str(found)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionRefusedError(111, "refused"), StoreUnavailableError),
        (TimeoutError(), StoreUnavailableError),
        (exc.TimeoutError("pool"), StoreUnavailableError),
        (exc.DataError("x", {}, ValueError(SECRET)), StoreRejectedError),
        (OverflowError(SECRET), StoreRejectedError),
        (exc.ArgumentError("x"), StorageError),
    ],
)
def test_error_without_a_code_becomes_its_kind(error: Exception, kind: type[StorageError]) -> None:
    found = fault(error, "here")
    assert type(found) is kind
    assert SECRET not in str(found)


def test_cause_is_chained_and_errors_of_callers_pass() -> None:
    with pytest.raises(StoreUnavailableError) as caught, translated("here"):
        raise ConnectionResetError
    assert isinstance(caught.value.__cause__, ConnectionResetError)
    with pytest.raises(ValueError, match="mine"), translated("here"):
        raise ValueError("mine")
    with pytest.raises(StoreRejectedError), translated("here"):
        raise StoreRejectedError("ours")
