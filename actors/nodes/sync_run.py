"""Running a coroutine from code that cannot await: scripts, threads, notebooks with a running loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from actors.runtime.background import background_system
from actors.runtime.clock import running_loop
from actors.runtime.envelope import current
from actors.runtime.errors import BlockingCallError

T = TypeVar("T")


def run_blocking(who: str, work: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop | None = None) -> T:
    """Run `work` on a loop of another thread (by default the background loop), block until it ends, return its result.

    An interrupted caller (Ctrl+C) cancels the work.

    Raises:
        BlockingCallError: called on the loop's own thread, or by a handler on any loop: it could wait for itself.
        Exception: whatever the work raised, unchanged.
    """
    here = running_loop()
    try:
        target = background_system().loop if loop is None else loop
        if here is not None and (current.get() is not None or here is target):
            raise BlockingCallError(
                f"node {who!r}: run_sync was called inside an actor, a tool or a callback, whose loop it would block; "
                "use `await node.run(...)` there"
            )
    except BaseException:
        work.close()
        raise
    outcome = asyncio.run_coroutine_threadsafe(work, target)
    try:
        return outcome.result()
    except BaseException:
        outcome.cancel()
        raise
