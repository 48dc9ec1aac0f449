"""File patterns below a root: what they match, and which folders to watch for them. No access to the disk."""

import re
from fnmatch import translate
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Final
from unicodedata import normalize

from actors.config.trigger import FileTrigger
from protocols.triggers import TriggerConfigError

_MAGIC: Final = re.compile(r"[*?\[]")
_TEMPORARY: Final = re.compile(r"\.#.*|.*~|#.*#|.*\.sw[a-z]|4913")
"""Files that editors make for themselves."""
UNWATCHED: Final = frozenset({".git", ".hg", ".svn", "__pycache__", "node_modules", ".venv", ".tox", ".mypy_cache"})
"""Folders that no pattern enters unless it names them."""


class FilePattern:
    """One pattern: `**` is any number of folders, `*`, `?` and `[abc]` stay within one name; case counts.

    A pattern without these is a file, or a folder with all its content. One that could leave the root raises
    TriggerConfigError.

    Example:
        >>> pattern = FilePattern("docs/**/*.md")
        >>> pattern.matches("docs/a/b/c.md"), pattern.matches("docs/c.md"), pattern.matches("other/c.md")
        (True, True, False)
    """

    def __init__(self, text: str, *, recursive: bool = True) -> None:
        text = normalize("NFC", text)  # a Mac spells names decomposed
        parts = PurePosixPath(text).parts
        if not text.strip() or text.startswith(("/", "~", "\\")) or ".." in parts or "\0" in text:
            message = f"file pattern {text!r} must stay below its root: not absolute, without '..' and '~'"
            raise TriggerConfigError(message)
        self.text = text
        self._recursive = recursive
        self._parts = tuple(part for part in parts if part != ".")
        fixed = next((n for n, part in enumerate(self._parts) if _MAGIC.search(part)), len(self._parts))
        self.is_plain = fixed == len(self._parts)
        """True for a plain path."""
        self.prefix = "/".join(self._parts[:fixed])
        """The folder (or plain path) above every match; empty for the root itself."""
        rest = self._parts[fixed:]
        self.is_deep = recursive if self.is_plain else len(rest) > 1 or rest[:1] == ("**",)
        """True if folders inside the prefix must be watched."""
        self._names = frozenset(self._parts)

    def matches(self, path: str) -> bool:
        """Return True for a match of this path below the root, written with `/`."""
        parts = tuple(normalize("NFC", path).split("/"))
        if any(part in UNWATCHED and part not in self._names for part in parts[:-1]):
            return False
        if not self.is_plain:
            return _match(self._parts, parts)
        depth = len(self._parts)
        return parts[:depth] == self._parts and (self._recursive or len(parts) <= depth + 1)


class FileSelection:
    """All patterns of one trigger together."""

    def __init__(self, settings: FileTrigger) -> None:
        self.patterns = tuple(FilePattern(text, recursive=settings.recursive) for text in settings.paths)
        self._ignored = tuple(FilePattern(text) for text in settings.ignore_paths)
        self._extensions = tuple(settings.extensions)

    def matches(self, path: str) -> bool:
        """Return True if the trigger wants this path below the root, written with `/`."""
        name = path.rpartition("/")[2]
        if _TEMPORARY.fullmatch(name) or (self._extensions and not name.lower().endswith(self._extensions)):
            return False
        if not any(pattern.matches(path) for pattern in self.patterns):
            return False
        return not any(pattern.matches(path) for pattern in self._ignored)


def _match(pattern: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    """Match name by name and keep the set of reached places: linear in both, for every pattern."""
    reached = _skip(pattern, {0})
    for part in parts:
        fitting = [place for place in reached if place < len(pattern) and _fits(pattern[place], part)]
        reached = _skip(pattern, {place if pattern[place] == "**" else place + 1 for place in fitting})
    return len(pattern) in reached


def _skip(pattern: tuple[str, ...], places: set[int]) -> set[int]:
    """Add the place after each `**`, which may stand for zero folders."""
    found = set(places)
    for place in range(len(pattern)):
        if place in found and pattern[place] == "**":
            found.add(place + 1)
    return found


def _fits(name: str, part: str) -> bool:
    return name in ("**", part) or _name(name).fullmatch(part) is not None  # a name may have brackets


@lru_cache(maxsize=1_024)
def _name(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))
