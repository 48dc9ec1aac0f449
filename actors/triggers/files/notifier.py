"""A thread that is told by the operating system of changes in some folders. The only file that uses watchfiles."""

from __future__ import annotations

import asyncio
import threading
from time import time
from typing import TYPE_CHECKING, Final

from watchfiles._rust_notify import RustNotify  # the documented way to the watcher without anyio's shared threads

from protocols.triggers import ChangeKind, TriggerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

RawChanges = set[tuple[ChangeKind, str]]
"""Kinds and absolute paths."""

_KINDS: Final[dict[int, ChangeKind]] = {1: "added", 2: "modified", 3: "deleted"}
_LAST_BREATH: Final = 1.0
_WAKE_UP: Final = 5_000
"""Milliseconds after which the watcher looks around without a change."""
_NO_TEXT: Final = "decode path"
"""What the watcher says, and dies of, when the name of a file is no UTF-8."""


class FolderNotifier:
    """Watches folders, not what is in folders inside them; tells the event loop of what changes."""

    def __init__(
        self,
        folders: Sequence[str],
        *,
        step: float,
        on_change: Callable[[RawChanges, float], None],
        on_gap: Callable[[], None],
    ) -> None:
        """Take the folders.

        Args:
            folders: Absolute paths.
            step: Seconds for which changes are collected; also how long it takes to end.
            on_change: Called on the event loop with changes, and the time by the wall clock up to which they are all.
            on_gap: Called on the event loop when changes are seen again after some may have been missed.
        """
        self._folders = list(folders)
        self._step = max(1, int(step * 1000))
        self._on_change = on_change
        self._on_gap = on_gap
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="understudy-files", daemon=True)
        self._loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = self._loop.create_future()
        """Done when changes are seen; fails when they cannot be."""
        self.ended: asyncio.Future[None] = self._loop.create_future()
        """Done when the thread has ended; fails when it broke."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    async def close(self) -> None:
        """End the thread and wait for it."""
        self._stop.set()
        await asyncio.wait([self.opened, self.ended])
        self._thread.join(_LAST_BREATH)  # it has said that it ends: this takes microseconds
        for future in (self.opened, self.ended):
            if not future.cancelled():
                future.exception()  # whoever waits has been told

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            # Opening is slow where there are many folders, so it happens here and not on the event loop.
            while not self._stop.is_set():
                with RustNotify(self._folders, False, False, 300, False, True) as watcher:
                    if self.opened.done():
                        self._call(self._deliver_gap)
                    self._call(_settle, self.opened, None)
                    self._watch(watcher)
        except (OSError, RuntimeError) as broken:
            error = TriggerError(f"folders cannot be watched: {broken}")
            error.__cause__ = broken
        self._call(_settle, self.opened, error)
        self._call(_settle, self.ended, error)

    def _watch(self, watcher: RustNotify) -> None:
        """Watch until it is to end, or until the watcher has died of a name that it cannot read."""
        while not self._stop.is_set():
            try:
                found = watcher.watch(10 * self._step, self._step, _WAKE_UP, self._stop)
            except RuntimeError as broken:
                if _NO_TEXT not in str(broken):
                    raise
                self._stop.wait(self._step / 1000)  # who keeps making such files does not keep a processor busy
                return
            if isinstance(found, set):
                self._call(self._deliver, _named(found), time())
            elif found == "signal":
                self._stop.set()

    def _deliver(self, changes: RawChanges, until: float) -> None:
        if not self._stop.is_set():
            self._on_change(changes, until)

    def _deliver_gap(self) -> None:
        if not self._stop.is_set():
            self._on_gap()

    def _call(self, function: Callable[..., None], *args: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *args)


def _named(changes: Iterable[tuple[int, str]]) -> RawChanges:
    return {(_KINDS[kind], path) for kind, path in changes if kind in _KINDS}


def _settle(future: asyncio.Future[None], error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
