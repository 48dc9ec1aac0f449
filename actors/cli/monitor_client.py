"""Look at a running pool from another process, by a socket: `top --config` finds the socket of `watch`."""

import os
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from hashlib import sha256
from io import BufferedReader
from pathlib import Path
from typing import Final

from actors.cli.exit_code import ExitCode, fail
from actors.cli.progress import to_stderr

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


def moments(path: Path, *, interval: float, once: bool, ask: bytes = b"") -> Iterator[bytes]:
    """Yield snapshots of a running pool, lines of JSON, until it ends; see `actors.cli.monitor`.

    Args:
        path: path of the socket.
        interval: seconds between two snapshots.
        once: True for one snapshot.
        ask: what to ask for after the first snapshot; empty for the next one.

    Raises:
        CommandError: no running pool listens at the path, or the pool does not answer.
    """
    with socket.socket(socket.AF_UNIX) as opened:
        opened.settimeout(_PATIENCE)
        try:
            opened.connect(str(path))
        except OSError as error:
            why = error.strerror or str(error)
            fail(f"no running pool at {str(path)!r}: {why}; start it with 'understage watch FILE'", ExitCode.FAILED)
        with opened.makefile("rb") as lines:
            line = _answer(opened, lines, path)
            if not line:
                why = "it has as many viewers as it takes, or it is ending"
                fail(f"the pool has closed the connection at once; {why}", ExitCode.FAILED)
            while line:
                yield line
                if once:
                    return
                time.sleep(interval)
                line = _answer(opened, lines, path, ask=ask + b"\n")
    to_stderr("understage: the pool has ended")


def _answer(opened: socket.socket, lines: BufferedReader, path: Path, *, ask: bytes = b"") -> bytes:
    """Return a line of the pool; an empty one after its end."""
    try:
        opened.sendall(ask)
        line = lines.readline(_MOST_BYTES)
    except TimeoutError:
        why = f"has not answered within {_PATIENCE:g} s; its event loop is blocked"
        fail(f"the pool at {str(path)!r} {why}", ExitCode.FAILED)
    except OSError:
        return b""
    return line.rstrip(b"\n") if line.endswith(b"\n") else b""
