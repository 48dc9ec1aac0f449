"""Texts of the command line without secrets."""

import sys
from typing import Any, TextIO

from protocols.plain_text import one_line as _as_line
from protocols.plain_text import visible
from protocols.redaction import redact


def presentable(text: str) -> str:
    """Return a text without secrets and control characters."""
    return visible(redact(text))


def one_line(text: str) -> str:
    """Return the same as one line."""
    return _as_line(redact(text))


def for_stdout(text: str) -> str:
    """Return the text unchanged for a file or a pipe, and only its visible characters for a terminal."""
    return visible(text) if sys.stdout is not None and sys.stdout.isatty() else text  # pyright: ignore[reportUnnecessaryComparison]


class RedactedStream:
    """A stream, such as standard error, that redacts what is written to it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text that does not end within a secret."""
        self._stream.write(redact(text))
        return len(text)

    def write_secret(self, text: str) -> None:
        """Write a text as it is: for the line that tells the user a new token."""
        self._stream.write(text)

    def flush(self) -> None:
        """Flush the stream."""
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
