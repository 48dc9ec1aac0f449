"""The lock of the files that triggers keep. Every call blocks for a moment."""

import fcntl
import logging
import os
import socket
from pathlib import Path
from typing import Final

from protocols.triggers import TriggerError

_FLAGS: Final = os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC

_log: Final = logging.getLogger("understage.triggers")


class StateLockedError(TriggerError):
    """Another process, or another pool of this process, runs the triggers of the manifest."""


class StateLock:
    """A file that one process locks until it ends, however it ends. The file names the process.

    Args:
        path: the file; it stays when the lock is released.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = -1

    def acquire(self) -> None:
        """Lock the file. A file system that cannot lock is a warning.

        Raises:
            StateLockedError: The lock is taken; the text names the owner.
        """
        opened = -1
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            opened = os.open(self.path, _FLAGS, 0o600)
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.truncate(opened, 0)
            os.write(opened, f"process {os.getpid()} on {socket.gethostname()}".encode())
        except OSError as error:
            owner = os.read(opened, 200).decode("utf-8", "replace") if opened >= 0 else ""
            if opened >= 0:
                os.close(opened)
            if isinstance(error, BlockingIOError):
                message = f"{owner or 'another process'} runs the triggers of this manifest; end it first"
                raise StateLockedError(message) from error
            _log.warning("%r cannot be locked (%s); a second process would run the triggers too", str(self.path), error)
            return
        self._file = opened

    def release(self) -> None:
        """Release the lock; harmless when it is not taken."""
        opened, self._file = self._file, -1
        if opened >= 0:
            os.close(opened)
