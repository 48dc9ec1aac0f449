"""The file of a SQLite database: private to its user, and never a file that another user has planted."""

import os
import stat
import threading
from pathlib import Path

from protocols.stores import StorageError, StoreUnavailableError

PRIVATE_FILE = 0o600
PRIVATE_DIRECTORY = 0o700
COMPANIONS = ("", "-wal", "-shm", "-journal")
"""SQLite reads these together with the database, so a planted one is as bad as a planted database."""

# Closing any descriptor of a file drops all POSIX locks that this process holds on it, also those of SQLite. So an
# existing database is never opened here, and one thread must not make a file that another takes for an existing one.
_creating = threading.Lock()


def claim(path: Path) -> None:
    """Make the file and its directories private to this user, or check that the existing one is ours.

    Raises:
        StorageError: It is a symbolic link, no regular file, or belongs to another user.
        StoreUnavailableError: It cannot be made or looked at.
    """
    try:
        with _creating:
            _make_directory(path.parent)
            if not _create(path):
                for suffix in COMPANIONS:
                    _check(path.with_name(path.name + suffix))
    except OSError as error:
        message = f"cannot be used: {error.strerror} ({error.filename!r}); choose a place that this user may write to"
        raise StoreUnavailableError(message, location=str(path)) from error


def _make_directory(path: Path) -> None:
    if not path.exists():
        _make_directory(path.parent)
        path.mkdir(mode=PRIVATE_DIRECTORY, exist_ok=True)


def _create(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, PRIVATE_FILE)
    except FileExistsError:
        return False
    try:
        os.fchmod(descriptor, PRIVATE_FILE)  # a strange umask may have taken the user's own bits
    finally:
        os.close(descriptor)
    return True


def _check(path: Path) -> None:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if stat.S_ISLNK(status.st_mode):
        raise StorageError("is a symbolic link; give the path that it leads to", location=str(path))
    if not stat.S_ISREG(status.st_mode):
        raise StorageError("is no regular file; choose another path", location=str(path))
    if status.st_uid != os.geteuid():
        message = f"belongs to user {status.st_uid}, not to {os.geteuid()} who runs this; its content could be forged"
        raise StorageError(message, location=str(path))
    if stat.S_IMODE(status.st_mode) & 0o077:
        path.chmod(PRIVATE_FILE)
