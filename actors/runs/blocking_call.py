"""Running a coroutine from code that cannot await: scripts, threads, notebooks with a running loop."""

import asyncio
import atexit
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar
from weakref import WeakSet

from actors.runtime.background_loop import background_system
from actors.runtime.clock import running_loop
from actors.runtime.envelope import current
from actors.runtime.errors import AskTimeoutError, BlockingCallError
from actors.runtime.system import ActorSystem

T = TypeVar("T")

_EXIT_LIMIT = 5.0
"""Seconds that runs in progress delay the end of the interpreter at most."""
_known: WeakSet[ActorSystem] = WeakSet()


def run_blocking(who: str, work: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop | None = None) -> T:
    """Run `work` on a loop of another thread (by default the background loop), block until it ends, return its result.

    An interrupted caller (Ctrl+C) cancels the work.

    Raises:
        BlockingCallError: called on the loop's own thread, or by a handler on any loop: it could wait for itself.
        Exception: whatever the work raised, unchanged.
    """
    target, here = _background_loop() if loop is None else loop, running_loop()
    if here is not None and (here is target or current.get() is not None):
        work.close()
        raise BlockingCallError(
            f"node {who!r}: run_sync was called inside an actor, a tool or a callback, whose loop it would block; "
            "use `await node.run(...)` there",
            node=who,
        )
    outcome = asyncio.run_coroutine_threadsafe(work, target)
    try:
        return outcome.result()
    except BaseException:
        outcome.cancel()
        raise


def _background_loop() -> asyncio.AbstractEventLoop:
    system = background_system()
    if system not in _known:
        _known.add(system)
        atexit.register(_stop_nodes, system)
    return system.loop


def _stop_nodes(system: ActorSystem) -> None:
    """End the actors that nodes have started by themselves, so that they are not reported as forgotten at exit."""
    if system.is_closed or system.is_forked or system.loop.is_closed():
        return

    async def stop() -> None:
        orphans = [cell for cell in system.cells if cell.parent is None]
        ending = [cell.ref for cell in orphans if getattr(cell.factory, "ends_with_process", False)]
        await asyncio.gather(*(ref.stop(timeout=_EXIT_LIMIT) for ref in ending))

    with suppress(AskTimeoutError):  # an actor blocks the loop; the end of the background loop names it
        system.bridge.call(stop, within=_EXIT_LIMIT)
