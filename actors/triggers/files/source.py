"""The file trigger: all of one root share an actor. Folders may come, go and come again."""

import asyncio
import os
from collections.abc import Callable, Container, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from actors.config.trigger import FileTrigger
from actors.config.yaml.file import from_home
from actors.triggers.files.burst import FileBurst
from actors.triggers.files.folder import FileMark, Folder, Identity
from actors.triggers.files.pattern import FileSelection
from actors.triggers.source import TriggerSource
from actors.triggers.trigger import Trigger
from actors.triggers.trigger_type import BuildContext, SourceSpec, TriggerType
from protocols.clock import pause
from protocols.triggers import ChangeKind, FileChanged, Metadata, TriggerError

if TYPE_CHECKING:  # needs a library of the extra
    from actors.triggers.files.notifier import FolderNotifier, RawChanges

_CHECK: Final = 2.0
"""Seconds between two checks that the root is still the same."""
_SHORTEST_STEP: Final = 0.005
_LONGEST_STEP: Final = 0.015
_MOST_WAITING: Final = 100_000
"""Changed paths that wait for a check; for further ones the folders are searched."""

_Changes = dict[tuple[int, str], tuple[ChangeKind, FileMark | None]]
"""What happened, and how the file looks now; by the number of the watch and the path below the root."""


class FileWatch:
    """One file trigger: its patterns, and the burst that it collects."""

    def __init__(self, trigger: Trigger, settings: FileTrigger) -> None:
        self.trigger = trigger
        self.selection = FileSelection(settings)
        self.debounce = settings.debounce
        self.burst = FileBurst(self.debounce)
        self.known: dict[str, FileMark] = {}
        """The files that the trigger wants, as they were when the trigger was last told of them."""
        self.has_seen = False
        """True when `known` is complete: differences from it are told."""


class _BurstEnded(msgspec.Struct, frozen=True):
    watch: int


class FileWatchActor(TriggerSource):
    """Watches the folders that the patterns of some triggers need.

    The search for folders follows no links. The actor knows all files that its triggers want, and tells how they differ
    from what it knows: a folder that appears or goes adds or deletes its files, and a restart misses nothing.
    """

    def __init__(self, root: Path, watches: Sequence[FileWatch], *, wall: Callable[[], float]) -> None:
        super().__init__([watch.trigger for watch in watches])
        self._watches = tuple(watches)
        self._wall = wall
        self._folder = Folder(root, self._warn)
        self._step = min(_LONGEST_STEP, max(_SHORTEST_STEP, min(watch.debounce for watch in watches) / 4))
        self._changed: dict[str, set[ChangeKind]] = {}
        self._arrived = asyncio.Event()
        self._has_gap = True
        """True if changes may have been missed."""
        self._notifiers: list[FolderNotifier] = []
        self._folders: dict[str, Identity] = {}

    async def observe(self) -> None:
        """Watch until cancelled, or until the root is replaced."""
        in_thread = self.system.in_thread
        root = await in_thread(self._folder.open)()
        try:
            await self._survey()
            self.established()
            while True:
                await self._next_batch(root)
                waiting, self._changed = self._changed, {}
                found, has_folders = await self.system.in_thread(self._checked)(waiting)
                self._collect(found)
                if has_folders or self._has_gap:
                    await self._survey()
        finally:
            for notifier in self._notifiers:
                await notifier.close()

    async def _survey(self) -> None:
        """Watch the folders that exist now, then compare the files of new ones, or of all folders after a gap."""
        from actors.triggers.files.notifier import FolderNotifier

        is_all, self._has_gap = self._has_gap, False
        selections = [watch.selection for watch in self._watches]
        folders: dict[str, Identity] = await self.system.in_thread(self._folder.survey)(selections)
        before, self._folders = self._folders, folders
        if folders != before:
            # The new one watches before the old one ends, so that nothing falls between them.
            paths = [str(self._folder.root / folder) for folder in folders]
            notifier = FolderNotifier(paths, step=self._step, on_change=self._arrive, on_gap=self._note_gap)
            self._notifiers.append(notifier)
            await notifier.opened
            while len(self._notifiers) > 1:
                await self._notifiers[0].close()
                del self._notifiers[0]
        new = [path for path, identity in folders.items() if is_all or before.get(path) != identity]
        self._collect(await self.system.in_thread(partial(self._compared, is_all=is_all))(new))
        for watch in self._watches:
            watch.has_seen = True

    def _compared(self, folders: Iterable[str], *, is_all: bool) -> _Changes:
        """Return how the files of these folders differ from those that are known."""
        found: _Changes = {}
        seen: set[str] = set()
        for folder in folders:
            for path, entry in self._folder.files(folder):
                seen.add(path)
                found |= self._judged(path, entry)
        return found | self._missed(lambda path: path not in seen) if is_all else found

    def _missed(self, is_meant: Callable[[str], bool]) -> _Changes:
        """Return how those of the known files differ."""
        found: _Changes = {}
        for path in {path for watch in self._watches for path in watch.known if is_meant(path)}:
            found |= self._judged(path)
        return found

    def _note_gap(self) -> None:
        self._has_gap = True
        self._arrived.set()

    def _arrive(self, changes: "RawChanges") -> None:
        for kind, path in changes:
            if len(self._changed) >= _MOST_WAITING and path not in self._changed:
                self._has_gap = True  # a search of the folders finds the rest
                break
            self._changed.setdefault(path, set()).add(kind)
        self._arrived.set()

    async def _next_batch(self, root: Identity) -> None:
        """Wait for changes; meanwhile check that the root is still the same."""
        notifier = self._notifiers[-1]
        while not (self._changed or self._has_gap):
            self._arrived.clear()
            notifier.ended.add_done_callback(self._wake)
            try:
                await pause(self.system.clock, _CHECK, self._arrived)
            finally:
                notifier.ended.remove_done_callback(self._wake)
            if notifier.ended.done():
                notifier.ended.result()
                raise TriggerError("folders are not watched any more")
            await self._check(root)
        if str(self._folder.root) in self._changed:
            await self._check(root)

    async def _check(self, root: Identity) -> None:
        if await self.system.in_thread(self._folder.open)() != root:
            raise TriggerError(f"the root {str(self._folder.given)!r} has been replaced; it is opened again")

    def _wake(self, _: object) -> None:
        self._arrived.set()

    def _checked(self, waiting: dict[str, set[ChangeKind]]) -> tuple[_Changes, bool]:
        """Return how the changed paths differ from those that are known, and True if folders have come or gone."""
        found: _Changes = {}
        has_folders = False
        gone: set[str] = set()
        for path, kinds in waiting.items():
            relative = self._folder.relative(path)
            if not relative or relative.startswith("../"):
                continue
            judged = self._judged(relative, is_told=True)
            found |= judged
            has_folders |= not judged and "added" in kinds and self._folder.entry(relative) == "folder"
            self._has_gap |= not judged and os.path.islink(path)  # other links may lead through it
            if "deleted" in kinds and relative in self._folders:
                gone.add(relative)
        if gone:
            # A folder that comes again is another folder, even with the same number.
            self._folders = {path: one for path, one in self._folders.items() if not _is_within(path, gone)}
            found |= self._missed(lambda path: _is_within(path, gone))
        return found, has_folders or bool(gone)

    def _judged(self, relative: str, entry: "os.DirEntry[str] | None" = None, *, is_told: bool = False) -> _Changes:
        """Return how a path differs from what its triggers know. `is_told`: the system has told of a change."""
        wanted = [number for number, watch in enumerate(self._watches) if watch.selection.matches(relative)]
        mark = self._folder.look(relative, entry) if wanted else None
        found: _Changes = {}
        for number in wanted:
            before = self._watches[number].known.get(relative)
            if mark is None:
                if before is not None and self._folder.entry(relative) != "refused":
                    found[number, relative] = "deleted", None
            elif before is None:
                found[number, relative] = "added", mark
            elif before[:3] != mark[:3] or (is_told and mark.is_fresh):
                found[number, relative] = "modified", mark
        return found

    def _collect(self, changes: _Changes) -> None:
        """Add the changes to the bursts of their triggers, which know of them from now on."""
        # The watcher has collected for one step already: that counts as quiet time.
        now = self.system.clock.now() - self._step
        for (number, path), (kind, mark) in changes.items():
            watch = self._watches[number]
            if watch.has_seen:
                if watch.burst.due is None:
                    self.schedule(max(0.0, watch.debounce - self._step), _BurstEnded(number))
                watch.burst.add(kind, path, now=now)
            if mark is not None:
                watch.known[path] = mark
            else:
                watch.known.pop(path, None)

    def _warn(self, path: str, why: str) -> None:
        name = self._actor_cell.name
        self.system.loop.call_soon_threadsafe(
            lambda: self.system.log_limited("a path is left out", actor=name, path=path, why=why)
        )

    def on_start(self) -> Any:
        """Begin to watch, and continue the bursts of the previous incarnation."""
        for number, watch in enumerate(self._watches):
            if watch.burst.due is not None:
                self.schedule(watch.debounce, _BurstEnded(number))
        return super().on_start()

    async def on_receive(self, message: Any) -> Any:
        """Offer an event at the end of a burst."""
        if not isinstance(message, _BurstEnded):
            return await super().on_receive(message)
        watch = self._watches[message.watch]
        due = watch.burst.due
        if due is None:
            return None
        now = self.system.clock.now()
        if now < due:
            self.schedule(due - now, message)
            return None
        changes, omitted = watch.burst.take()
        if not changes and not omitted:
            return None
        root = str(self._folder.root)
        facts: Metadata = {"root": root, "files": len(changes) + omitted}
        name = watch.trigger.name
        event = FileChanged(source=name, time=self._wall(), root=root, changes=changes, omitted=omitted, metadata=facts)
        await watch.trigger.offer(event)
        return None


def _is_within(path: str, folders: Container[str]) -> bool:
    """Return True if the path is one of these folders, or lies below one."""
    while path and path not in folders:
        path = path.rpartition("/")[0]
    return bool(path)


def _root(spec: FileTrigger, context: BuildContext) -> Path:
    return context.root / from_home(spec.root or ".")


def _build(group: Sequence[tuple[Trigger, FileTrigger]], context: BuildContext) -> SourceSpec:
    root = _root(group[0][1], context)
    watches = tuple(FileWatch(trigger, spec) for trigger, spec in group)
    return SourceSpec(partial(FileWatchActor, wall=context.wall), (root, watches), f"files of {root}")


FILE = TriggerType(FileTrigger, _build, shared_by=_root, libraries=("watchfiles",))
