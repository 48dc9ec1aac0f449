"""The lock of the files that triggers keep."""

import logging
from typing import Final

from actors.config.file_lock import FileLock, FileLockedError
from protocols.triggers import TriggerError

_log: Final = logging.getLogger("understage.triggers")


class StateLockedError(TriggerError):
    """Another process, or another pool of this process, runs the triggers of the manifest."""


class StateLock(FileLock):
    """The lock of the triggers of one manifest."""

    def acquire(self) -> None:
        """Lock the file. A file system that cannot lock is a warning.

        Raises:
            StateLockedError: The lock is taken; the text names the owner.
        """
        try:
            super().acquire()
        except FileLockedError as error:
            raise StateLockedError(f"{error} runs the triggers of this manifest; end it first") from error
        except OSError as error:
            _log.warning("%r cannot be locked (%s); a second process would run the triggers too", str(self.path), error)
