"""Looking at a run while it goes on. What draws it is a `Screen`; one of rich is in `actors.cli.stats_screen`."""

import sys
from typing import Protocol, TextIO

from actors.stats.run_snapshot import RunSnapshot, text_table


class Screen(Protocol):
    """Shows a run, again and again."""

    def show(self, run: RunSnapshot) -> None:
        """Show the run as it is now, in place of what was shown before."""
        ...


class TextScreen:
    """Writes the table to a stream: over the last one on a terminal; elsewhere once, at the end."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Take where to write; None for standard output."""
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
