"""Lines of input, put together to prompts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from actors.cli.exit_code import CommandError

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
        text = f"the prompt is longer than {MOST_CHARACTERS:,} characters; pass such texts to 'understudy run --file'"
        raise CommandError(text)
