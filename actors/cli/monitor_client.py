"""Look at a running pool from another process."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Final, Self

from actors.cli.exit_code import CommandError, ExitCode

_PATIENCE: Final = 10.0
"""Seconds that a pool has to answer."""
_MOST_BYTES: Final = 64 * 1024 * 1024


class MonitorClient:
    """A connection to the socket of a running pool; see `actors.cli.monitor`.

    Args:
        path: path of the socket.

    Raises:
        CommandError: no running pool listens at the path.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_PATIENCE)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            why = error.strerror or str(error)
            text = f"no running pool at {str(path)!r}: {why}; start it with 'understudy watch FILE'"
            raise CommandError(text, ExitCode.FAILED) from error
        self._lines = self._socket.makefile("rb")
        self._has_read = False

    def read(self) -> bytes | None:
        """Return the next snapshot, a line of JSON; None after the end of the pool.

        Raises:
            CommandError: the pool does not answer.
        """
        try:
            if self._has_read:
                self._socket.sendall(b"\n")
            self._has_read = True
            line = self._lines.readline(_MOST_BYTES)
        except TimeoutError as error:
            text = f"the pool at {str(self._path)!r} has not answered within {_PATIENCE:g} s; its event loop is blocked"
            raise CommandError(text, ExitCode.FAILED) from error
        except OSError:
            return None
        return line.rstrip(b"\n") if line.endswith(b"\n") else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._lines.close()
        self._socket.close()
