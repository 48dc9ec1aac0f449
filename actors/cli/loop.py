"""The event loop of a command. It ends even when a task or a thread does not."""

import asyncio
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from actors.cli.exit_code import stuck

T = TypeVar("T")

PATIENCE: Final = 1.0
"""Seconds that tasks and threads have to end, after all else."""
_THREADS: Final = "understage-loop"


class CommandLoop:
    """An event loop for one coroutine. A task that ignores its cancellation is abandoned, and named in `stuck`.

    `asyncio.run` would wait for it without end.
    """

    def __init__(self) -> None:
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self.loop = self._runner.get_loop()
        """The loop."""
        self._executor = ThreadPoolExecutor(thread_name_prefix=_THREADS)
        self.loop.set_default_executor(self._executor)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run the coroutine to its end and close the loop. Ctrl+C cancels it, as in `asyncio.run`."""
        try:
            return self._runner.run(work)
        finally:
            self._close()

    def _close(self) -> None:
        left = self._tasks_left() + self._threads_left()
        if left:
            stuck.extend(left)
        else:
            self._runner.close()

    def _tasks_left(self) -> list[str]:
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if not tasks:
            return []
        _, pending = self.loop.run_until_complete(asyncio.wait(tasks, timeout=PATIENCE))
        return [task.get_name() for task in pending]

    def _threads_left(self) -> list[str]:
        self._executor.shutdown(wait=False, cancel_futures=True)
        until = time.monotonic() + PATIENCE
        left = [one for one in threading.enumerate() if one.name.startswith(_THREADS)]
        for thread in left:
            thread.join(max(0.0, until - time.monotonic()))
        return [thread.name for thread in left if thread.is_alive()]


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on its own event loop; see `CommandLoop`."""
    return CommandLoop().run(work)
