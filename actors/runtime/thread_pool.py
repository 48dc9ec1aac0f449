"""Handlers that block: they run in a bounded pool of threads, so they stop neither the loop nor the engine."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from typing import Any

from actors.runtime.daemon_thread import DaemonExecutor, kept
from actors.runtime.envelope import current


class BlockingPool:
    """The threads of one system; none is started before it is needed."""

    def __init__(self, threads: int) -> None:
        self._executor = DaemonExecutor(threads, "understage-blocking")

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return an async function that runs `function` in a thread of the pool, in the caller's context."""

        async def run(*args: Any) -> Any:
            result, error = await _outcome(self._executor.submit(copy_context().run, kept, function, *args))
            if error is not None:
                raise error
            return result

        return run

    def close(self) -> None:
        """Take no more work; a thread that is stuck in a call is left behind (Python cannot end it)."""
        self._executor.shutdown(cancel_futures=True)


async def _outcome(work: Future[Any]) -> Any:
    """Wait for a thread. A cancellation takes back work that has not begun, and otherwise still waits for the thread.

    Otherwise two handlers of one actor would run at once. A handler that was cut loose, or whose loop ends, leaves the
    thread behind.
    """
    scope = current.get()
    waiter = asyncio.wrap_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not waiter.done():
        try:
            await asyncio.wait([waiter])
        except asyncio.CancelledError as error:
            if work.cancel() or scope is None or scope.fenced or scope.cell.system.is_torn_down():
                raise
            cancelled = error
    result = waiter.result()
    if cancelled is not None:
        raise cancelled
    return result
