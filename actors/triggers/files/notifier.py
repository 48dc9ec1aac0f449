"""A thread in which the operating system reports changes in some folders. The only file that uses watchfiles."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Final

import watchfiles

from protocols.triggers import ChangeKind, TriggerError

RawChanges = set[tuple[ChangeKind, str]]
"""Kinds and absolute paths."""

_KINDS: Final[dict[int, ChangeKind]] = {1: "added", 2: "modified", 3: "deleted"}
_LAST_BREATH: Final = 1.0
_NO_TEXT: Final = "decode path"
"""What the watcher says, and dies of, when the name of a file is not UTF-8."""


class FolderNotifier:
    """Watches folders, not what is in folders inside them; tells the event loop of changes.

    The thread is one of its own: `watchfiles.awatch` would occupy a thread of the pool that all tasks share.
    """

    def __init__(
        self,
        folders: Sequence[str],
        *,
        step: float,
        on_change: Callable[[RawChanges], None],
        on_gap: Callable[[], None],
    ) -> None:
        """Start the thread.

        Args:
            folders: absolute paths.
            step: seconds for which changes are collected; the thread needs as long to end.
            on_change: called on the event loop with changes.
            on_gap: called on the event loop when the watch continues after a gap.
        """
        self._folders = list(folders)
        self._step = max(1, int(step * 1000))
        self._on_change = on_change
        self._on_gap = on_gap
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="understage-files", daemon=True)
        self._loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = self._loop.create_future()
        """Done when the thread sees changes; fails when it cannot."""
        self.ended: asyncio.Future[None] = self._loop.create_future()
        """Done at the end of the thread; fails when the watch broke."""
        self._thread.start()

    async def close(self) -> None:
        """End the thread and wait for it."""
        self._stop.set()
        await asyncio.wait([self.opened, self.ended])
        self._thread.join(_LAST_BREATH)  # it has said that it ends: this takes microseconds
        for future in (self.opened, self.ended):
            if not future.cancelled():
                future.exception()  # the waiting tasks have seen it

    def _run(self) -> None:
        error: BaseException | None = None
        is_gap = False
        try:
            while not self._stop.is_set():
                try:
                    self._watch(is_gap)
                except RuntimeError as broken:
                    if _NO_TEXT not in str(broken):
                        raise
                    is_gap = True
                    self._stop.wait(self._step / 1000)  # many such files do not keep a processor busy
        except Exception as broken:  # else the waiting tasks would never be told
            error = TriggerError(f"folders cannot be watched: {broken}")
            error.__cause__ = broken
        self._call(_settle, self.opened, error)
        self._call(_settle, self.ended, error)

    def _watch(self, is_gap: bool) -> None:
        """Watch until `close`, or until a file name that the watcher cannot read kills the watcher."""
        is_open = False
        # An empty set after each step says that the watcher sees changes.
        for changes in watchfiles.watch(
            *self._folders, watch_filter=None, debounce=10 * self._step, step=self._step, stop_event=self._stop,
            rust_timeout=1, yield_on_timeout=True, debug=False, raise_interrupt=False, force_polling=False,
            recursive=False, ignore_permission_denied=True,
        ):  # fmt: skip
            if not is_open:
                is_open = True
                self._call(_settle, self.opened, None)
                if is_gap:
                    self._call(self._tell, self._on_gap)
            if changes:
                self._call(self._tell, self._on_change, {(_KINDS[kind], path) for kind, path in changes})

    def _tell(self, function: Callable[..., None], *args: object) -> None:
        if not self._stop.is_set():
            function(*args)

    def _call(self, function: Callable[..., None], *args: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *args)


def _settle(future: asyncio.Future[None], error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
