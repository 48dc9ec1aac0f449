"""Lines of standard input, typed or piped, put together to prompts."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, Final

from actors.cli.exit_code import fail
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
            fail("standard input is closed; type prompts, or pipe them in")
        self.is_interactive = sys.stdin.isatty()
        """True if a person types."""
        self._edits = self.is_interactive and sys.stdout.isatty()
        self._editor: Any = None
        if self._edits:
            with suppress(ImportError):  # not on every system; lines can be typed all the same
                self._editor = import_module("readline")

    @contextmanager
    def restored(self) -> Generator[None]:
        """Leave the terminal as it was, although the last line may never be read to its end."""
        if self._editor is None:
            yield
            return
        termios: Any = import_module("termios")
        before = termios.tcgetattr(sys.stdin)
        try:
            yield
        finally:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)

    def show_line(self) -> None:
        """Show once more what is typed so far."""
        if self._editor is not None:
            sys.stdout.write(f"{PROMPT}{self._editor.get_line_buffer()}")
            sys.stdout.flush()

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
            line.encode()  # bytes that are no text may have come as surrogates
        except EOFError:
            return None
        except UnicodeError as error:
            fail(f"standard input is not text in {sys.stdin.encoding}: {error}")
        return line.rstrip("\r\n") if line else None


QUOTES: Final = '"""'
"""Begins and ends a block of lines."""
MOST_CHARACTERS: Final = 1_000_000
"""Longest prompt."""

ReadLine = Callable[[bool], str | None]
"""Returns the next line without its end; None at the end. True asks for the rest of a prompt."""


class ChatReader:
    r"""Makes prompts of lines.

    A line that ends in ``\`` continues in the next line. Lines between two ``\"\"\"`` are one prompt.

    Example:
        >>> lines = iter(["one \\\\", "two", '\"\"\"three', '  four\"\"\"'])
        >>> reader = ChatReader(lambda _: next(lines, None))
        >>> reader.next(), reader.next(), reader.next()
        ('one \ntwo', 'three\n  four', None)
    """

    def __init__(self, read_line: ReadLine) -> None:
        self._read_line = read_line

    def next(self) -> str | None:
        """Return the next prompt; None at the end. The end of the last prompt may be missing.

        Raises:
            CommandError: the prompt is too long.
        """
        line = self._read_line(False)
        if line is None:
            return None
        if line.lstrip().startswith(QUOTES):
            return self._block(line.lstrip().removeprefix(QUOTES))
        return self._lines(line)

    def _block(self, line: str | None) -> str:
        parts: list[str] = []
        while line is not None:
            if line.rstrip().endswith(QUOTES):
                parts.append(line.rstrip().removesuffix(QUOTES))
                break
            parts.append(line)
            _check(parts)
            line = self._read_line(True)
        return "\n".join(parts).strip("\n")

    def _lines(self, line: str | None) -> str:
        parts: list[str] = []
        while line is not None and line.endswith("\\"):
            parts.append(line[:-1])
            _check(parts)
            line = self._read_line(True)
        return "\n".join([*parts, *([] if line is None else [line])])


def _check(parts: list[str]) -> None:
    if sum(map(len, parts)) > MOST_CHARACTERS:
        fail(f"the prompt is longer than {MOST_CHARACTERS:,} characters; pass such texts to 'understage run --file'")
