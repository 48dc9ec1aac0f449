"""Look at a running pool from another process, by a socket: `top --config` finds the socket of `watch`."""

import os
import socket
import stat
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

from actors.cli.exit_code import ExitCode, fail

_PRIVATE = 0o700


def monitor_path(manifest_file: Path) -> Path:
    """Return the path of the socket of a manifest, in a private folder of the user.

    Raises:
        CommandError: the folder belongs to another user, or others may use it.
    """
    full = manifest_file.resolve()
    digest = sha256(os.fsencode(full)).hexdigest()[:16]
    return _folder() / f"{full.stem[:24]}-{digest}.sock"


def _folder() -> Path:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(runtime or os.sep) / "understage"
    try:
        if not runtime or not Path(runtime).is_dir():
            folder = Path(tempfile.gettempdir()) / f"understage-{os.getuid()}"
        folder.mkdir(mode=_PRIVATE, exist_ok=True)
        state = folder.lstat()
    except OSError as error:
        fail(f"the folder {str(folder)!r} for sockets cannot be used: {error.strerror or error}", ExitCode.FAILED)
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid() or state.st_mode & 0o077:
        fail(
            f"the folder {str(folder)!r} for sockets is not private; remove it, or set its mode to 0700",
            ExitCode.FAILED,
        )
    return folder


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
            fail(f"no running pool at {str(path)!r}: {why}; start it with 'understage watch FILE'", ExitCode.FAILED)
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
        except TimeoutError:
            fail(
                f"the pool at {str(self._path)!r} has not answered within {_PATIENCE:g} s; its event loop is blocked",
                ExitCode.FAILED,
            )
        except OSError:
            return None
        return line.rstrip(b"\n") if line.endswith(b"\n") else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._lines.close()
        self._socket.close()
