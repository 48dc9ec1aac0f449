"""What is on the disk below a root, without ever leaving it: links that lead out, pipes and devices do not count."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final, Literal

from protocols.triggers import TriggerError, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from actors.triggers.files.pattern import FilePattern, FileSelection

Identity = tuple[int, int]
"""Device and number of a folder: another one at the same path has another identity."""
Entry = Literal["file", "folder", "missing", "refused"]
"""What a path is."""

MOST_FOLDERS: Final = 50_000
"""Folders that one root may have watched."""
_NEVER_ENTERED: Final = frozenset(
    {".git", ".hg", ".svn", "__pycache__", "node_modules", ".venv", ".tox", ".mypy_cache"}
)
_MOST_WARNED: Final = 1_000


class Folder:
    """A root that file triggers watch."""

    def __init__(self, root: Path, warn: Callable[[str, str], None]) -> None:
        """Take the root as the user wrote it.

        Args:
            root: The folder that nothing leaves.
            warn: Told once for each path that is left out, with the reason.
        """
        self.given = root
        self._warn = warn
        self._warned: set[str] = set()
        self.root = root

    def open(self) -> Identity:
        """Find the root, following links to it.

        Raises:
            TriggerError: It is missing, or no folder.
        """
        try:
            self.root = self.given.resolve(strict=True)
            found = self.root.stat()
        except (OSError, RuntimeError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            msg = f"the root {str(self.given)!r} of a file trigger cannot be watched: {why}"
            raise TriggerError(msg) from error
        if not stat.S_ISDIR(found.st_mode):
            msg = f"the root {str(self.given)!r} of a file trigger is no folder"
            raise TriggerError(msg)
        return found.st_dev, found.st_ino

    def relative(self, path: str) -> str:
        """Return a path below the root with `/`; empty for the root itself."""
        relative = os.path.relpath(path, self.root)
        return "" if relative == "." else relative.replace(os.sep, "/")

    def entry(self, relative: str) -> Entry:
        """Return what a path below the root is. A link counts as what it leads to, if that is below the root."""
        path = self.root / relative
        try:
            found = path.lstat()
            if stat.S_ISLNK(found.st_mode):
                return self._linked(relative, path)
            if not path.parent.resolve(strict=True).is_relative_to(self.root):
                return self._refuse(relative, "it lies outside the root")
        except FileNotFoundError:
            return "missing"
        except (OSError, RuntimeError, ValueError) as error:
            return self._refuse(relative, str(error))
        if stat.S_ISDIR(found.st_mode):
            return "folder"
        return "file" if stat.S_ISREG(found.st_mode) else self._refuse(relative, "it is no regular file")

    def was_refused(self, relative: str) -> bool:
        """Whether the path was left out, so that its end is no news either."""
        return relative in self._warned

    def survey(self, selections: Iterable[FileSelection]) -> dict[str, Identity]:
        """Return the folders to watch for these patterns. Where one is missing yet, that is the nearest one above it.

        Raises:
            TriggerError: There are too many.
        """
        found: dict[str, Identity] = {}
        for pattern in {pattern.text: pattern for each in selections for pattern in each.patterns}.values():
            for relative, identity in self._folders_of(pattern):
                found[relative] = identity
                if len(found) > MOST_FOLDERS:
                    msg = f"file triggers below {str(self.root)!r} would watch more than {MOST_FOLDERS} folders"
                    raise TriggerError(msg)
        return found

    def files(self, relative: str) -> Iterator[str]:
        """Yield the paths of what lies directly in a folder and is not a folder itself."""
        try:
            with os.scandir(self.root / relative) as entries:
                for entry in entries:
                    path = f"{relative}/{entry.name}" if relative else entry.name
                    if not entry.is_dir(follow_symlinks=False) and self._is_text(path):
                        yield path
        except OSError:
            return  # it has gone again

    def changed_since(self, relative: str, time: float) -> Iterator[str]:
        """Yield those of `files` that were changed, made, or moved there, at a time by the wall clock or later."""
        for path in self.files(relative):
            try:
                if (self.root / path).lstat().st_ctime >= time:
                    yield path
            except OSError:
                continue  # it has gone again

    def _is_text(self, path: str) -> bool:
        """Whether the name is UTF-8; the watcher knows no other ones."""
        try:
            path.encode()
        except UnicodeEncodeError:
            self._refuse(path, "its name is no UTF-8")
            return False
        return True

    def _folders_of(self, pattern: FilePattern) -> Iterator[tuple[str, Identity]]:
        start = pattern.prefix
        kind = self._kind(start)
        while start and kind != "folder":
            start = start.rpartition("/")[0]
            kind = self._kind(start)
        if start != pattern.prefix or not pattern.is_deep:
            yield from self._identified(start)
            return
        named = set(pattern.text.split("/"))
        for path, folders, _ in os.walk(self.root / start):
            relative = self.relative(path)
            folders[:] = [
                name
                for name in folders
                if (name not in _NEVER_ENTERED or name in named) and self._is_text(f"{relative}/{name}".lstrip("/"))
            ]
            yield from self._identified(relative)

    def _kind(self, relative: str) -> Entry:
        return self.entry(relative) if relative else "folder"

    def _identified(self, relative: str) -> Iterator[tuple[str, Identity]]:
        try:
            found = (self.root / relative).stat()
        except OSError:
            return  # it has gone again
        yield relative, (found.st_dev, found.st_ino)

    def _linked(self, relative: str, path: Path) -> Entry:
        target = path.resolve(strict=True)
        if not target.is_relative_to(self.root):
            return self._refuse(relative, "it is a link that leads out of the root")
        mode = target.stat().st_mode
        if stat.S_ISDIR(mode):
            return "folder"
        return "file" if stat.S_ISREG(mode) else self._refuse(relative, "it leads to no regular file")

    def _refuse(self, relative: str, why: str) -> Entry:
        if relative not in self._warned and len(self._warned) < _MOST_WARNED:
            self._warned.add(relative)
            self._warn(printable(relative), printable(why))
        return "refused"
