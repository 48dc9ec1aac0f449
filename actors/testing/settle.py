"""Wait until nothing happens any more, without waiting for time to pass."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from actors.runtime.system import systems_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.runtime.system import ActorSystem

_QUIET: Final = 300
"""Passes of the event loop without progress that count as rest."""
_IDLE: Final = 100
"""Passes that one is worth when the loop has nothing else to run: three of them are enough then."""


async def settle(system: ActorSystem | None = None, *, passes: int = 100_000) -> None:
    """Return when no actor can go on by itself: all mail is handled and every handler that is left waits.

    A handler that waits for a `ManualClock`, an event, a thread or a socket counts as at rest; mail that waits behind
    it stays in its mailbox. The wait is over passes of the event loop, so it takes microseconds and does not depend on
    how fast the machine is.

    Args:
        system: the system to watch; None for all systems of the running loop.
        passes: passes of the loop after which actors that never rest are an error.

    Raises:
        AssertionError: some actors kept on working, for example because two of them send each other messages for ever.
    """
    loop = asyncio.get_running_loop()
    systems = systems_of(loop) if system is None else [system]
    quiet = 0
    steps = -1
    for _ in range(passes):
        seen = sum(each.dispatcher.steps for each in systems)
        if seen != steps or any(_is_busy(each) for each in systems):
            quiet = 0
        steps = seen
        await asyncio.sleep(0)
        # The queue of the standard event loop; another loop has none, and then every pass counts once.
        quiet += 1 if getattr(loop, "_ready", True) else _IDLE
        if quiet >= _QUIET:
            return
    msg = f"settle: still busy after {passes} passes of the loop: {_working(systems)}"
    raise AssertionError(msg)


def _is_busy(system: ActorSystem) -> bool:
    dispatcher = system.dispatcher
    return bool(dispatcher.ready or dispatcher.active or system.bridge.waiting)


def _working(systems: Iterable[ActorSystem]) -> str:
    cells: list[Any] = [cell for system in systems for cell in system.cells if len(cell.mailbox) or cell.scheduled]
    return ", ".join(cell.name for cell in cells[:20]) or "no actor, so a task that never rests"
