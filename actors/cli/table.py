"""Tables as plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_GAP = "  "


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
    right = [bool(cells) and all(_is_number(row[place]) for row in cells) for place in range(len(head))]
    return "\n".join(_line(row, widths, right) for row in (head, *cells))


def _line(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    cells = (
        cell.rjust(width) if is_right else cell.ljust(width)
        for cell, width, is_right in zip(row, widths, right, strict=True)
    )
    return _GAP.join(cells).rstrip()


def _is_number(cell: str) -> bool:
    return cell[:1].isdigit()
