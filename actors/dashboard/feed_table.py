"""One table of the feed: rows by key, bounded, that knows what has changed since it was last asked."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from protocols.redaction import redact

Row = Mapping[str, Any]
"""One row; it is never changed, only replaced."""
MOST_BYTES: Final = 8_000_000
"""Bytes of text that one table keeps."""
SHORT: Final = 200
"""Characters of a name."""
LONG: Final = 2_000
"""Characters of any other text."""


def shown(text: str, most: int = LONG) -> str:
    """Return a text cut to so many characters, without secrets, as JSON can hold it."""
    return name_of(redact(text if len(text) <= most else f"{text[: most - 1]}…"), most)


def name_of(text: str, most: int = SHORT) -> str:
    """Return a name cut to so many characters, as JSON can hold it."""
    if len(text) > most:
        text = f"{text[: most - 1]}…"
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


class FeedTable:
    """Rows by key. A full ring drops the row that was put first, another full table takes no further rows.

    Args:
        most: rows that it keeps.
        is_ring: True for rows that are put once; those that are put again and again would push each other out.
    """

    def __init__(self, most: int, *, is_ring: bool = False) -> None:
        self.rows: dict[str, Row] = {}
        """The rows, in the order in which their keys came."""
        self.bytes = 0
        """Bytes of text in the rows."""
        self._most = most
        self._is_ring = is_ring
        self._changed: dict[str, None] = {}

    def put(self, key: str, row: Row) -> None:
        """Set a row. One that says what is known changes nothing."""
        before = self.rows.get(key)
        if before == row:
            return
        weight = self.bytes + _weight(row) - (0 if before is None else _weight(before))
        if not self._is_ring and (weight > MOST_BYTES or (before is None and len(self.rows) >= self._most)):
            self.drop(key)
            return
        self.bytes = weight
        self.rows[key] = row
        self._changed[key] = None
        while len(self.rows) > self._most or (self.bytes > MOST_BYTES and len(self.rows) > 1):
            self.drop(next(iter(self.rows)))

    def drop(self, key: str) -> None:
        """Remove a row, if it is there."""
        row = self.rows.pop(key, None)
        if row is not None:
            self.bytes -= _weight(row)
            self._changed[key] = None

    def keep(self, keys: Iterable[str]) -> None:
        """Remove all rows but these."""
        kept = set(keys)
        for key in [key for key in self.rows if key not in kept]:
            self.drop(key)

    def clear(self) -> None:
        """Remove all rows."""
        self.keep(())

    def take(self) -> dict[str, Any] | None:
        """Return what has changed since the last call, as a message says it; None for nothing."""
        if not self._changed:
            return None
        changed, self._changed = self._changed, {}
        gone = [key for key in changed if key not in self.rows]
        return {"set": {key: self.rows[key] for key in changed if key in self.rows}, "gone": gone}


def _weight(row: Row) -> int:
    """Return the bytes of the texts of a row, at most. What Python says of a text grows when it is first encoded."""
    return sum(50 + (1 if value.isascii() else 8) * len(value) for value in row.values() if isinstance(value, str))
