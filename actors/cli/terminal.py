"""Read lines from standard input, typed or piped."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module
from typing import Final

from actors.cli.exit_code import CommandError
from actors.cli.progress import to_stderr

PROMPT: Final = "> "
GOES_ON: Final = ". "


class Terminal:
    """Standard input. A person gets a prompt, editing and earlier lines.

    Raises:
    CommandError: standard input is closed.
    """

    def __init__(self) -> None:
        if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison] - so it is when the shell closed it
            text = "standard input is closed; type prompts, or pipe them in"
            raise CommandError(text)
        self.is_interactive = sys.stdin.isatty()
        """True if a person types."""
        self._edits = self.is_interactive and sys.stdout.isatty()
        if self._edits:
            with suppress(ImportError):  # not on every system; lines can be typed all the same
                import_module("readline")

    def read_line(self, goes_on: bool) -> str | None:
        """Return the next line without its end; None at the end.

        Raises:
            CommandError: the line is not text.
        """
        prompt = GOES_ON if goes_on else PROMPT
        try:
            if self._edits:
                return input(prompt)
            if self.is_interactive:
                to_stderr(prompt.rstrip())
            line = sys.stdin.readline()
        except EOFError:
            return None
        except UnicodeDecodeError as error:
            text = f"standard input is not text in {sys.stdin.encoding}: {error}"
            raise CommandError(text) from error
        return line.rstrip("\r\n") if line else None
