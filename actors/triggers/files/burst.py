"""Changes that come together: merged per file, complete after a quiet time. No clock, no disk."""

from typing import Final

from protocols.triggers import ChangeKind, FileChange

MOST_LISTED: Final = 1_000
"""Files that one event lists; further ones are counted."""
MOST_DELAYED: Final = 10
"""Quiet times after which an endless burst is taken all the same."""


class FileBurst:
    """The changes since the last event.

    Example:
        >>> burst = FileBurst(quiet=1.0)
        >>> burst.add("deleted", "a.md", now=0.0)
        >>> burst.add("added", "a.md", now=0.5)
        >>> burst.due, burst.take()
        (1.5, ((FileChange(kind='modified', path='a.md'),), 0))
    """

    def __init__(self, quiet: float) -> None:
        self._quiet = quiet
        self._kinds: dict[str, ChangeKind] = {}
        self._omitted: set[str] = set()
        self._first: float | None = None
        self.due: float | None = None
        """Time at which the burst is complete; None while it is empty."""

    def add(self, kind: ChangeKind, path: str, *, now: float) -> None:
        """Add one change, which delays the end of the burst."""
        if path not in self._kinds and len(self._kinds) >= MOST_LISTED:
            if len(self._omitted) < 100 * MOST_LISTED:
                self._omitted.add(path)
        else:
            merged = _merged(self._kinds.get(path), kind)
            if merged is None:
                del self._kinds[path]
            else:
                self._kinds[path] = merged
        if self._first is None:
            self._first = now
        self.due = min(now + self._quiet, self._first + MOST_DELAYED * self._quiet)

    def take(self) -> tuple[tuple[FileChange, ...], int]:
        """Return the changes in the order of their paths and the number of unlisted ones. Empty the burst."""
        changes = tuple(FileChange(kind, path) for path, kind in sorted(self._kinds.items()))
        omitted = len(self._omitted)
        self._kinds, self._omitted = {}, set()
        self._first = self.due = None
        return changes, omitted


def _merged(before: ChangeKind | None, kind: ChangeKind) -> ChangeKind | None:
    """Return the sum of two changes of one file; None if they cancel each other."""
    if before == "added":
        return None if kind == "deleted" else "added"
    if before == "deleted" and kind != "deleted":
        return "modified"
    return kind
