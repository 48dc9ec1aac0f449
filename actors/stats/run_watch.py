"""Watching a run. A `Screen` shows it; `actors.cli.stats_screen` has a screen made with rich."""

import sys
from typing import Protocol, TextIO

from actors.stats.run_snapshot import RunSnapshot, text_table


class Screen(Protocol):
    """Shows a run repeatedly."""

    def show(self, run: RunSnapshot) -> None:
        """Show the run in place of the last snapshot."""


class TextScreen:
    """Writes the table to a stream, by default standard output: over the last table on a terminal, else at the end."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream
        self._height = 0

    def show(self, run: RunSnapshot) -> None:
        """Write the table."""
        is_terminal = self._stream.isatty()
        if not is_terminal and not run.done:
            return
        text = text_table(run)
        back = f"\x1b[{self._height}A\x1b[J" if is_terminal and self._height else ""
        self._stream.write(f"{back}{text}\n")
        self._stream.flush()
        self._height = text.count("\n") + 1
