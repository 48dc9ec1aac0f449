"""`Census`: the tasks, threads, open files, sockets and actors that code leaves behind."""

import asyncio
import gc
import os
import threading
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Final

from actors.runtime.clock import running_loop
from actors.testing.settle import systems_of

_PATIENCE: Final = 2.0
_PAUSE: Final = 0.01
_FOLDER: Final = "/dev/fd"
_KEPT: Final = ("asyncio_", "understage-background", "uvloop_", "AnyIO worker", "ThreadPoolExecutor")
"""Names of threads that belong to the loop or the process, not to the code under test."""


@dataclass(frozen=True)
class Census:
    """What exists at one moment. Take one before and one after; `leaks` compares."""

    tasks: frozenset[asyncio.Task[object]]
    threads: frozenset[threading.Thread]
    files: frozenset[int]

    @classmethod
    def take(cls) -> "Census":
        """Count what exists now."""
        loop = running_loop()
        tasks = set[asyncio.Task[object]]()
        if loop is not None:  # an open system keeps tasks for reuse; tasks of a closed system are leaks
            kept = {task for system in systems_of(loop) for task in system.dispatcher.tasks}
            tasks = asyncio.all_tasks(loop) - kept
        return cls(frozenset(tasks), frozenset(threading.enumerate()), _open_files())

    def leaks(self, *, patience: float = _PATIENCE) -> list[str]:
        """Return one line for everything that is new since the census.

        Args:
            patience: real seconds for a thread to end, and for the files that it closes.
        """
        found = self._compare(patience, 0.0)
        if found:
            gc.collect()
            found = self._compare(patience, patience)
        return found + living_actors()

    def _compare(self, patience: float, files_patience: float) -> list[str]:
        now = Census.take()
        current = asyncio.current_task() if running_loop() is not None else None
        tasks = [
            f"task {task.get_name()}" for task in now.tasks - self.tasks if task is not current and not task.done()
        ]
        threads = [f"thread {thread.name}" for thread in now.threads - self.threads if _stays(thread, patience)]
        files = [f"file descriptor {number}: {_target(number)}" for number in _staying(self.files, files_patience)]
        return sorted(tasks) + sorted(threads) + files


def living_actors() -> list[str]:
    """Return one line for every living actor on the running loop."""
    loop = running_loop()
    systems = systems_of(loop) if loop is not None else []
    return [f"actor {cell.name} of system {system.name}" for system in systems for cell in system.cells]


def _stays(thread: threading.Thread, patience: float) -> bool:
    if thread.name.startswith(_KEPT):
        return False
    thread.join(patience)
    return thread.is_alive()


def _staying(before: frozenset[int], patience: float) -> list[int]:
    end = monotonic() + patience
    while (found := sorted(_open_files() - before)) and monotonic() < end:
        sleep(_PAUSE)
    return found


_NO_FILES = ("unknown", os.devnull)


def _open_files() -> frozenset[int]:
    if not os.path.isdir(_FOLDER):
        return frozenset()
    # The listing itself opens one more, which is closed then; a loop of libuv keeps the null device in reserve.
    return frozenset(number for number in map(int, os.listdir(_FOLDER)) if _target(number) not in _NO_FILES)


def _target(number: int) -> str:
    try:
        return os.readlink(f"{_FOLDER}/{number}")
    except OSError:
        return "unknown"
