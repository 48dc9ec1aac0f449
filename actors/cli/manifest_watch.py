"""Notice changes of a manifest and of the files it inherits from."""

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from actors.cli.exit_code import ExitCode, fail
from protocols.triggers import TriggerError

if TYPE_CHECKING:
    from actors.triggers.files.notifier import FolderNotifier

_PAUSE: Final = 0.1
"""Seconds between the first change and the check: an editor writes in several steps."""
_STEP: Final = 0.02

_Mark = tuple[int, int, int] | None
"""Identity, time and size of a file; None if the file does not exist."""


class ManifestWatch:
    """Watches the folders of some files, so a file that an editor replaces is noticed.

    Links are followed to the file behind the name, and watched where they are. Other files in the folders do not count.
    """

    def __init__(self, changed: Callable[[], object]) -> None:
        self._changed = changed
        self._marks: dict[Path, _Mark] = {}
        self._folders: frozenset[str] = frozenset()
        self._notifier: FolderNotifier | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def watch(self, files: Iterable[Path]) -> None:
        """Watch these files from now on, and no others.

        Raises:
            CommandError: a library is missing, or the folders cannot be watched.
        """
        self._marks = {file: self._marks[file] if file in self._marks else _mark(file) for file in files}
        folders = frozenset(folder for file in self._marks for folder in _folders(file.absolute(), set()))
        if folders == self._folders:
            return
        make, arrive = notifier_class(), self._arrive
        new = make(sorted(folders), step=_STEP, on_change=lambda _changes: arrive(), on_gap=arrive)
        before, self._notifier = self._notifier, new
        self._folders = folders
        try:
            await self._notifier.opened
        except TriggerError as error:
            fail(f"changes of the manifest cannot be noticed: {error}", ExitCode.FAILED)
        finally:
            if before is not None:
                await before.close()

    async def close(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
        if self._notifier is not None:
            await self._notifier.close()

    def _arrive(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_PAUSE, self._look)

    def _look(self) -> None:
        self._timer = None
        marks = {file: _mark(file) for file in self._marks}
        if marks != self._marks:
            self._marks = marks
            self._changed()


def _mark(file: Path) -> _Mark:
    with suppress(OSError):
        state = file.stat()
        return state.st_ino, state.st_mtime_ns, state.st_size
    return None


def _folders(file: Path, seen: set[Path]) -> Iterator[str]:
    """Yield the folders in which a change can put another file behind this path: its own, and those of the links."""
    yield os.path.realpath(file.parent)
    for path in (file, *file.parents):
        if path not in seen and path.is_symlink():
            seen.add(path)
            yield os.path.realpath(path.parent)
            yield from _folders(path.parent / os.readlink(path), seen)


def notifier_class() -> "type[FolderNotifier]":
    """Return the class that watches folders.

    Raises:
        CommandError: a library is missing.
    """
    try:
        from actors.triggers.files.notifier import FolderNotifier
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        extra = "install the extra: pip install 'understage[triggers]'"
        fail(f"--reload needs {library}, which is not installed; {extra}")
    return FolderNotifier
