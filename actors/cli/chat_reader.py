"""What somebody types, put together to prompts: lines, lines that go on, blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from actors.cli.exit_code import CommandError

QUOTES: Final = '"""'
"""Begins and ends a block of lines."""
MOST_CHARACTERS: Final = 1_000_000
"""Longest prompt."""

ReadLine = Callable[[bool], str | None]
"""Returns the next line without its end, None when there are no more; is told whether the prompt goes on."""


class ChatReader:
    r"""Makes prompts of lines.

    A line that ends in ``\`` goes on in the next one; what stands between lines of ``\"\"\"`` is one prompt.

    Example:
        >>> lines = iter(["one \\\\", "two", '\"\"\"three', '  four\"\"\"'])
        >>> reader = ChatReader(lambda _: next(lines, None))
        >>> reader.next(), reader.next(), reader.next()
        ('one \ntwo', 'three\n  four', None)
    """

    def __init__(self, read_line: ReadLine) -> None:
        """Take where the lines come from."""
        self._read_line = read_line

    def next(self) -> str | None:
        """Return the next prompt; None when there are no more. The last one may lack its end.

        Raises:
            CommandError: it is too long.
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
