"""Standard output: the answer and nothing else. Tables as plain text."""

import sys
from collections.abc import Iterable, Sequence

from actors.cli.exit_code import CommandError, ExitCode
from actors.cli.redaction import for_stdout


class ReaderGoneError(CommandError):
    """The reader closed the output."""

    def __init__(self) -> None:
        super().__init__("nobody reads the output any more", ExitCode.BROKEN_PIPE)


def write(text: str, end: str = "\n") -> None:
    """Write text and a line break (or `end`) to standard output. Control characters do not reach a terminal.

    A character that the encoding of the output does not have is written as its escape.

    Raises:
        ReaderGoneError: the reader closed the output.
        CommandError: the text cannot be written.
    """
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison] - so it is when the shell closed it
        raise CommandError("standard output is closed", ExitCode.FAILED)
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write((for_stdout(text) + end).encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    except BrokenPipeError:
        raise ReaderGoneError from None
    except OSError as error:
        raise CommandError(f"the output cannot be written: {error.strerror or error}", ExitCode.FAILED) from error


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows under their headings, in columns; numbers stand right.

    Example:
        >>> print(table(("node", "tokens"), [("writer", "1,200"), ("editor", "80")]))
        node    tokens
        writer   1,200
        editor      80
    """
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    right = [bool(cells) and all(row[place][:1].isdigit() for row in cells) for place in range(len(head))]
    return "\n".join(_line(row, widths, right) for row in (head, *cells))


def _line(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    cells = (
        cell.rjust(width) if is_right else cell.ljust(width)
        for cell, width, is_right in zip(row, widths, right, strict=True)
    )
    return "  ".join(cells).rstrip()
