"""Files and folders below a root. Links that lead out of the root, pipes and devices are left out."""

import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple

from actors.config.yaml.file import on_disk
from actors.triggers.files.pattern import UNWATCHED, FilePattern, FileSelection
from protocols.plain_text import printable
from protocols.triggers import TriggerError

Identity = tuple[int, int]
"""Device and number of a folder: a new folder at the same path has another identity."""
Entry = Literal["file", "folder", "missing", "refused"]
"""What a path leads to."""

MOST_FOLDERS: Final = 50_000
"""Folders that may be watched for one root."""
_MOST_WARNED: Final = 1_000
_COARSEST: Final = 2_000_000_000
"""Nanoseconds within which two changes of a file may get the same time, on the coarsest file systems."""


class FileMark(NamedTuple):
    """What tells the content of a file from its earlier content, without reading it. Its mode does not count."""

    number: int
    modified: int
    size: int
    is_fresh: bool
    """True if the content may have changed since the last look and the rest of the mark has not."""

    @classmethod
    def of(cls, found: os.stat_result) -> "FileMark":
        """Return the mark of a file."""
        is_last = found.st_mtime_ns == found.st_ctime_ns  # a later change of the mode moves only the second one
        is_fresh = is_last and time.time_ns() - found.st_mtime_ns < _COARSEST
        return cls(found.st_ino, found.st_mtime_ns, found.st_size, is_fresh)


class Folder:
    """A root that file triggers watch. `warn` is called once for each path that is left out, with the reason."""

    def __init__(self, root: Path, warn: Callable[[str, str], None]) -> None:
        self.given = root
        self._warn = warn
        self._warned: set[str] = set()
        self.root = root

    def open(self) -> Identity:
        """Find the root, following links to it.

        Raises:
            TriggerError: The root is missing, or not a folder.
        """
        try:
            self.root = self.given.resolve(strict=True)
            found = self.root.stat()
        except (OSError, RuntimeError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise TriggerError(f"the root {str(self.given)!r} of a file trigger cannot be watched: {why}") from error
        if not stat.S_ISDIR(found.st_mode):
            raise TriggerError(f"the root {str(self.given)!r} of a file trigger is no folder")
        return found.st_dev, found.st_ino

    def relative(self, path: str) -> str:
        """Return a path below the root with `/`; empty for the root itself."""
        relative = os.path.relpath(path, self.root)
        return "" if relative == "." else relative.replace(os.sep, "/")

    def entry(self, relative: str) -> Entry:
        """Return what a path below the root leads to. A link is followed if its end is below the root."""
        path = self.root / relative
        try:
            is_link = path.is_symlink()
            target = path.resolve(strict=True)
            mode = target.stat().st_mode
        except FileNotFoundError:
            return "missing"
        except (OSError, RuntimeError, ValueError) as error:
            return self._refuse(relative, str(error))
        if not target.is_relative_to(self.root):
            why = "it is a link that leads out of the root" if is_link else "it lies outside the root"
            return self._refuse(relative, why)
        if stat.S_ISDIR(mode):
            return "folder"
        why = "it leads to no regular file" if is_link else "it is no regular file"
        return "file" if stat.S_ISREG(mode) else self._refuse(relative, why)

    def look(self, relative: str, found: "os.DirEntry[str] | None" = None) -> FileMark | None:
        """Return the mark of a file; None if the path leads to no file. `found` is its entry in a searched folder."""
        try:
            if found is not None and found.is_file(follow_symlinks=False):
                return FileMark.of((self.root / relative).lstat())
            return FileMark.of((self.root / relative).stat()) if self.entry(relative) == "file" else None
        except OSError:
            return None  # it has gone again

    def survey(self, selections: Iterable[FileSelection]) -> dict[str, Identity]:
        """Return the folders to watch for these patterns, and those above. The nearest one stands for a missing one.

        Raises:
            TriggerError: There are too many folders.
        """
        found: dict[str, Identity] = {}
        for pattern in {pattern.text: pattern for each in selections for pattern in each.patterns}.values():
            for relative, identity in self._folders_of(pattern):
                found[relative] = identity
                if len(found) > MOST_FOLDERS:
                    message = f"file triggers below {str(self.root)!r} would watch more than {MOST_FOLDERS} folders"
                    raise TriggerError(message)
        return found

    def files(self, relative: str) -> "Iterator[tuple[str, os.DirEntry[str]]]":
        """Yield the paths of the files directly in a folder, with their entries."""
        try:
            with os.scandir(self.root / relative) as entries:
                for entry in entries:
                    path = f"{relative}/{entry.name}" if relative else entry.name
                    if not entry.is_dir(follow_symlinks=False) and self._is_text(path):
                        yield path, entry
        except OSError:
            return  # it has gone again

    def _is_text(self, path: str) -> bool:
        """Return True if the name is UTF-8; the watcher knows only those."""
        try:
            path.encode()
        except UnicodeEncodeError:
            self._refuse(path, "its name is no UTF-8")
            return False
        return True

    def _folders_of(self, pattern: FilePattern) -> Iterator[tuple[str, Identity]]:
        prefix = start = self.relative(str(on_disk(self.root, pattern.prefix)))
        kind = self.entry(start)
        while start and kind != "folder":
            start = start.rpartition("/")[0]
            kind = self.entry(start)
        above = start
        while above:  # a folder that is moved away tells only the folder that it was in
            above = above.rpartition("/")[0]
            yield from self._identified(above)
        if start != prefix or not pattern.is_deep:
            yield from self._identified(start)
            return
        named = set(pattern.text.split("/"))
        for path, folders, _ in os.walk(self.root / start):
            relative = self.relative(path)
            folders[:] = [
                name
                for name in folders
                if (name not in UNWATCHED or name in named) and self._is_text(f"{relative}/{name}".lstrip("/"))
            ]
            yield from self._identified(relative)

    def _identified(self, relative: str) -> Iterator[tuple[str, Identity]]:
        try:
            found = (self.root / relative).stat()
        except OSError:
            return  # it has gone again
        yield relative, (found.st_dev, found.st_ino)

    def _refuse(self, relative: str, why: str) -> Entry:
        if relative not in self._warned and len(self._warned) < _MOST_WARNED:
            self._warned.add(relative)
            self._warn(printable(relative), printable(why))
        return "refused"
