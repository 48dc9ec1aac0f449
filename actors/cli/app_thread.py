"""A running pool on an event loop in its own thread, while the main thread reads the terminal."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Self, TypeVar

from actors.app import App, open_app
from actors.cli.loop import CommandLoop
from actors.cli.pool_exit import PoolEnd, PoolExitReason
from actors.config.manifest import Manifest

T = TypeVar("T")


class AppThread:
    """The pool of a manifest. Connections and restarts continue while the main thread is blocked.

    Args:
    manifest: what to open on entering.
    told: called on the loop of the pool when the pool ends by itself.
    """

    def __init__(self, manifest: Manifest, told: Callable[[], object] | None = None) -> None:
        self.verdict: PoolExitReason | None = None
        """Why the pool ended by itself; None while it runs."""
        self._manifest = manifest
        self._told = told
        self._opened: Future[App] = Future()
        self._ended: Future[None] = Future()
        self._running = CommandLoop()
        self._loop = self._running.loop
        self._leave = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="chat", daemon=True)

    @property
    def app(self) -> App:
        """The running pool."""
        return self._opened.result()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop of the pool and wait for its end.

        A KeyboardInterrupt that a signal raises here cancels the coroutine, and is raised after its end.
        """
        outcome: Future[T] = Future()
        tasks: list[asyncio.Task[T]] = []

        def begin() -> None:
            task = self._loop.create_task(work)
            tasks.append(task)
            task.add_done_callback(lambda _: _settle(outcome, task))

        def cancel() -> None:
            if tasks:
                tasks[0].cancel()
            else:  # the signal came before the work was handed over
                work.close()
                outcome.cancel()

        try:
            self._loop.call_soon_threadsafe(begin)
            return outcome.result()
        except Exception:
            raise
        except BaseException as first:
            self._loop.call_soon_threadsafe(cancel)
            try:
                outcome.exception()  # waits for its end
            except BaseException:  # a second signal; what the first one asked for holds
                if not isinstance(first, KeyboardInterrupt):
                    self._tell(self.app.system.hurry)
                raise first from None
            raise

    def _run(self) -> None:
        try:
            self._running.run(self._live())
            self._ended.set_result(None)
        except BaseException as error:
            if not self._opened.done():
                self._opened.set_exception(error)
            self._ended.set_exception(error)

    async def _live(self) -> None:
        async with open_app(self._manifest, has_triggers=False) as app:
            end = PoolEnd(app, self._ends)
            self._opened.set_result(app)
            await self._leave.wait()
        self.verdict = end.look()

    def _ends(self, verdict: PoolExitReason) -> None:
        self.verdict = verdict
        if self._told is not None:
            self._told()

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._opened.result()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        self._end()
        self._ended.result()

    def _end(self) -> None:
        """Leave the pool and wait for its end."""
        self._tell(self._leave.set)
        try:
            self._ended.exception()
        except BaseException:  # a signal: whoever is in a hurry does not want the rest of the answers
            self._tell(self.app.system.hurry)
            self._ended.exception()
            raise

    def _tell(self, what: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop has ended by itself
            self._loop.call_soon_threadsafe(what)


def _settle(outcome: Future[T], task: asyncio.Task[T]) -> None:
    error = asyncio.CancelledError() if task.cancelled() else task.exception()
    if error is not None:
        outcome.set_exception(error)
    else:
        outcome.set_result(task.result())
