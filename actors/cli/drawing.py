"""Write a picture of a manifest: mermaid or Graphviz text, or drawn by the program of Graphviz."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from actors.cli.exit_code import CommandError, ExitCode
from actors.config.graph import dot, mermaid

if TYPE_CHECKING:
    from actors.config.manifest import Manifest

_SECONDS: Final = 60.0
_KINDS: Final[Mapping[str, str]] = {
    ".mmd": "mermaid",
    ".md": "mermaid",
    ".dot": "dot",
    ".gv": "dot",
    ".svg": "drawn",
    ".png": "drawn",
    ".pdf": "drawn",
}


def save_drawing(manifest: Manifest, file: Path) -> None:
    """Write a picture into a file, in the format of the file name.

    Raises:
        CommandError: the format is unknown, Graphviz is missing or fails, or the file cannot be written.
    """
    kind = _KINDS.get(file.suffix.lower())
    if kind is None:
        msg = f"unknown kind of picture {file.suffix!r} of {str(file)!r}; known are {', '.join(_KINDS)}"
        raise CommandError(msg)
    text = mermaid(manifest) if kind == "mermaid" else dot(manifest)
    if file.suffix.lower() == ".md":
        text = f"```mermaid\n{text}```\n"
    data = text.encode()
    if kind == "drawn":
        data = _drawn(data, file.suffix.lower().removeprefix("."))
    try:
        file.write_bytes(data)
    except OSError as error:
        msg = f"{str(file)!r} cannot be written: {error.strerror or error}"
        raise CommandError(msg, ExitCode.FAILED) from error


def _drawn(source: bytes, kind: str) -> bytes:
    program = shutil.which("dot")
    if program is None:
        msg = f"Graphviz, which draws {kind}, is not installed (no program 'dot'); write .mmd or .dot instead"
        raise CommandError(msg)
    try:
        done = subprocess.run([program, f"-T{kind}"], input=source, capture_output=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        msg = f"Graphviz did not end within {_SECONDS:g} s"
        raise CommandError(msg, ExitCode.FAILED) from error
    except OSError as error:
        msg = f"Graphviz cannot be run: {error}"
        raise CommandError(msg, ExitCode.FAILED) from error
    if done.returncode or not done.stdout:
        reason = done.stderr.decode(errors="replace").strip()[:500] or f"exit code {done.returncode}"
        msg = f"Graphviz failed: {reason}"
        raise CommandError(msg, ExitCode.FAILED)
    return done.stdout
