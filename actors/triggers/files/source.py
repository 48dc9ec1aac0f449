"""The file trigger: one actor for all file triggers of a root. Folders may come, go and come again."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from time import time
from typing import Any, Final

import msgspec

from actors.config.trigger import FileTrigger
from actors.triggers.files.burst import FileBurst
from actors.triggers.files.folder import Folder, Identity
from actors.triggers.files.notifier import FolderNotifier, RawChanges
from actors.triggers.files.pattern import FileSelection
from actors.triggers.source import TriggerSource
from actors.triggers.trigger import Trigger
from protocols.triggers import ChangeKind, FileChanged, Metadata, TriggerError

_CHECK: Final = 2.0
"""Seconds between two checks that the root is still the same."""
_BLUR: Final = 0.05
"""Seconds by which the times of files and of their changes may differ. A file may be told twice; none is missed."""
_SHORTEST_STEP: Final = 0.005
_LONGEST_STEP: Final = 0.015
_MOST_WAITING: Final = 100_000
"""Changed paths that wait for a check; for further ones the folders are searched."""


class FileWatch:
    """One file trigger: its patterns, and the burst that it collects."""

    def __init__(self, trigger: Trigger, settings: FileTrigger) -> None:
        self.trigger = trigger
        self.selection = FileSelection(settings)
        self.debounce = settings.debounce
        self.burst = FileBurst(self.debounce)
        self.seen_until = 0.0
        """Time of the wall clock up to which all changes were seen; 0 before the first watch."""


class _Changed(msgspec.Struct, frozen=True):
    changes: tuple[tuple[int, ChangeKind, str], ...]
    """Number of the watch, what happened, and to which path below the root."""


class _BurstEnded(msgspec.Struct, frozen=True):
    watch: int


class FileWatchActor(TriggerSource):
    """Watches the folders that the patterns of some triggers need.

    The search for folders follows no links. A file in a folder that appears is an added file. After a restart the actor
    finds files that have changed meanwhile; files that were deleted meanwhile are not told.
    """

    def __init__(self, root: Path, watches: Sequence[FileWatch], *, wall: Callable[[], float]) -> None:
        super().__init__([watch.trigger for watch in watches])
        self._watches = tuple(watches)
        self._wall = wall
        self._folder = Folder(root, self._warn)
        self._step = min(_LONGEST_STEP, max(_SHORTEST_STEP, min(watch.debounce for watch in watches) / 4))
        self._changed: dict[str, set[ChangeKind]] = {}
        self._arrived = asyncio.Event()
        self._has_gap = min(watch.seen_until for watch in watches) > 0
        """True if changes may have been missed."""
        self._until = 0.0
        """Time of the wall clock up to which all changes are in `_changed`."""
        self._notifiers: list[FolderNotifier] = []
        self._folders: dict[str, Identity] = {}

    async def observe(self) -> None:
        """Watch until cancelled, or until the root is replaced."""
        in_thread = self.system.in_thread
        root = await in_thread(self._folder.open)()
        try:
            now = time()
            await self._survey(is_first=True)
            if not self._has_gap:
                self._note_seen(now)
            self.established()
            while True:
                if self._has_gap:
                    await self._catch_up()
                await self._next_batch(root)
                if await self._check_changes():
                    await self._survey(is_first=False)
        finally:
            for notifier in self._notifiers:
                await notifier.close()

    async def _survey(self, *, is_first: bool) -> None:
        """Watch the folders that exist now; files in new folders are added files."""
        selections = [watch.selection for watch in self._watches]
        folders: dict[str, Identity] = await self.system.in_thread(self._folder.survey)(selections)
        if folders == self._folders:
            return
        before, self._folders = self._folders, folders
        # The new one watches before the old one ends, so that nothing falls between them.
        self._notifiers.append(self._start_notifier(folders))
        await self._notifiers[-1].opened
        while len(self._notifiers) > 1:
            await self._notifiers[0].close()
            del self._notifiers[0]
        if is_first:
            return
        new = [path for path, identity in folders.items() if before.get(path) != identity]
        await self._found(await self.system.in_thread(self._all_judged)(new, self._folder.files, "added"))

    def _start_notifier(self, folders: Iterable[str]) -> FolderNotifier:
        paths = [str(self._folder.root / folder) for folder in folders]
        notifier = FolderNotifier(paths, step=self._step, on_change=self._arrive, on_gap=self._note_gap)
        notifier.start()
        return notifier

    def _all_judged(
        self, folders: Iterable[str], files: Callable[[str], Iterable[str]], kind: ChangeKind
    ) -> list[tuple[int, ChangeKind, str]]:
        paths = [path for folder in folders for path in files(folder)]
        return [found for path in paths for found in self._judged(path, {kind})]

    async def _catch_up(self) -> None:
        """Tell what has changed during a gap."""
        self._has_gap = False
        now = time()
        await self._survey(is_first=False)
        since = min(watch.seen_until for watch in self._watches) - _BLUR
        changed = partial(self._folder.changed_since, time=since)
        await self._found(await self.system.in_thread(self._all_judged)(tuple(self._folders), changed, "modified"))
        self._note_seen(now)

    def _note_seen(self, until: float) -> None:
        for watch in self._watches:
            watch.seen_until = max(watch.seen_until, until)

    def _note_gap(self) -> None:
        self._has_gap = True
        self._arrived.set()

    def _arrive(self, changes: RawChanges, until: float) -> None:
        self._until = until
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
            timer = self.system.clock.call_later(_CHECK, self._arrived.set)
            notifier.ended.add_done_callback(self._wake)
            try:
                await self._arrived.wait()
            finally:
                timer.cancel()
                notifier.ended.remove_done_callback(self._wake)
            if notifier.ended.done():
                notifier.ended.result()
                message = "folders are not watched any more"
                raise TriggerError(message)
            await self._check(root)
        if str(self._folder.root) in self._changed:
            await self._check(root)

    async def _check(self, root: Identity) -> None:
        if await self.system.in_thread(self._folder.open)() != root:
            message = f"the root {str(self._folder.given)!r} has been replaced; it is opened again"
            raise TriggerError(message)

    def _wake(self, _: object) -> None:
        self._arrived.set()

    async def _check_changes(self) -> bool:
        """Check the changed paths; return True if there are new folders."""
        waiting, self._changed = self._changed, {}
        until = self._until
        found, has_folders = await self.system.in_thread(self._checked)(waiting)
        await self._found(found)
        self._note_seen(until)
        return bool(has_folders)

    def _checked(self, waiting: dict[str, set[ChangeKind]]) -> tuple[list[tuple[int, ChangeKind, str]], bool]:
        found: list[tuple[int, ChangeKind, str]] = []
        has_folders = False
        for path, kinds in waiting.items():
            relative = self._folder.relative(path)
            if not relative or relative.startswith("../"):
                continue
            judged = self._judged(relative, kinds)
            found += judged
            has_folders |= not judged and "added" in kinds and self._folder.entry(relative) == "folder"
            if "deleted" in kinds and relative in self._folders:
                has_folders = True
                self._forget(relative)
        return found, has_folders

    def _forget(self, gone: str) -> None:
        """Forget a folder: if it comes again, it is another folder, even with the same number."""
        for folder in [path for path in self._folders if path == gone or path.startswith(f"{gone}/")]:
            del self._folders[folder]

    def _judged(self, relative: str, kinds: set[ChangeKind]) -> list[tuple[int, ChangeKind, str]]:
        """Return what the triggers are told about one path, as it is now on the disk."""
        wanted = [number for number, watch in enumerate(self._watches) if watch.selection.matches(relative)]
        if not wanted:
            return []
        entry = self._folder.entry(relative)
        if entry == "file":
            kind: ChangeKind = "added" if "added" in kinds else "modified"
        elif entry == "missing" and "deleted" in kinds and "added" not in kinds and not self._is_gone_folder(relative):
            kind = "deleted"
        else:
            return []
        return [(number, kind, relative) for number in wanted]

    def _is_gone_folder(self, relative: str) -> bool:
        return relative in self._folders or self._folder.was_refused(relative)

    async def _found(self, changes: Sequence[tuple[int, ChangeKind, str]]) -> None:
        if changes:
            await self.actor_ref.send(_Changed(tuple(changes)))

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
        """Collect changes; offer an event at the end of a burst."""
        if isinstance(message, _Changed):
            self._collect(message)
        elif isinstance(message, _BurstEnded):
            await self._offer(self._watches[message.watch], message)
        else:
            return await super().on_receive(message)
        return None

    def _collect(self, message: _Changed) -> None:
        # The watcher has collected for one step already: that counts as quiet time.
        now = self.system.clock.now() - self._step
        for number, kind, path in message.changes:
            burst = self._watches[number].burst
            if burst.due is None:
                self.schedule(max(0.0, self._watches[number].debounce - self._step), _BurstEnded(number))
            burst.add(kind, path, now=now)

    async def _offer(self, watch: FileWatch, message: _BurstEnded) -> None:
        due = watch.burst.due
        if due is None:
            return
        now = self.system.clock.now()
        if now < due:
            self.schedule(due - now, message)
            return
        changes, omitted = watch.burst.take()
        if not changes and not omitted:
            return
        root = str(self._folder.root)
        facts: Metadata = {"root": root, "files": len(changes) + omitted}
        name = watch.trigger.name
        event = FileChanged(source=name, time=self._wall(), root=root, changes=changes, omitted=omitted, metadata=facts)
        await watch.trigger.offer(event)
