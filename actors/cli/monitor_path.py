"""The path of the socket of a manifest: `top --config` finds the socket of `watch`."""

from __future__ import annotations

import os
import stat
import tempfile
from hashlib import sha256
from pathlib import Path

from actors.cli.exit_code import CommandError, ExitCode

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
    if runtime and Path(runtime).is_dir():
        folder = Path(runtime) / "understudy"
    else:
        folder = Path(tempfile.gettempdir()) / f"understudy-{os.getuid()}"
    try:
        folder.mkdir(mode=_PRIVATE, exist_ok=True)
        state = folder.lstat()
    except OSError as error:
        text = f"the folder {str(folder)!r} for sockets cannot be used: {error.strerror or error}"
        raise CommandError(text, ExitCode.FAILED) from error
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid() or state.st_mode & 0o077:
        text = f"the folder {str(folder)!r} for sockets is not private; remove it, or set its mode to 0700"
        raise CommandError(text, ExitCode.FAILED)
    return folder
