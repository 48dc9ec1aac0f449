"""A file that one process locks until it ends, however it ends. The file names the process."""

import fcntl
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from weakref import WeakSet

from protocols.errors import UnderstageError

_FLAGS: Final = os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


class FileLockedError(UnderstageError):
    """Another process, or another part of this one, has the lock. The text names it."""


class FileLock:
    """Taken once; a fork of the process does not have it. Every call blocks for a moment.

    Args:
        path: the file; it stays when the lock is released.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = -1

    def acquire(self) -> None:
        """Lock the file.

        Raises:
            FileLockedError: The lock is taken.
            OSError: The file cannot be made, or its file system cannot lock.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        opened = os.open(self.path, _FLAGS, 0o600)
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.truncate(opened, 0)
            since = datetime.now(UTC).isoformat(" ", "seconds")
            os.write(opened, f"process {os.getpid()} on {socket.gethostname()} (since {since})".encode())
        except BlockingIOError as error:
            owner = os.read(opened, 200).decode("utf-8", "replace")
            os.close(opened)
            raise FileLockedError(owner or "another process") from error
        except OSError:
            os.close(opened)
            raise
        self._file = opened
        _taken.add(self)

    def release(self) -> None:
        """Release the lock; harmless when it is not taken."""
        opened, self._file = self._file, -1
        if opened >= 0:
            os.close(opened)


_taken: Final[WeakSet[FileLock]] = WeakSet()


def _release_in_fork() -> None:
    """Close what a fork has inherited: it would keep the lock when the process that took it has died."""
    for lock in list(_taken):
        lock.release()


os.register_at_fork(after_in_child=_release_in_fork)
