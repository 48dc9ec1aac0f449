"""Wait until all actors rest, without waiting for time to pass."""

import asyncio
from typing import Any, Final, cast

from actors.runtime.registry import systems
from actors.runtime.system import ActorSystem

_QUIET: Final = 300
"""Passes of the event loop without progress that count as rest."""
_IDLE: Final = 100
"""Value of one pass of an idle loop, so that three such passes are enough."""


def systems_of(loop: asyncio.AbstractEventLoop) -> list[ActorSystem]:
    """Return the systems that live on a loop and are not closed."""
    known = cast("list[ActorSystem]", list(systems))
    return [system for system in known if system.loop is loop and not system.is_closed]


async def settle(system: ActorSystem | None = None, *, passes: int = 100_000) -> None:
    """Wait until all messages are handled, or wait behind a handler that waits.

    A handler that waits for a `ManualClock`, an event, a thread or a socket counts as at rest; messages behind it stay
    in the mailbox. The wait counts passes of the event loop. So it takes microseconds, and does not depend on the speed
    of the machine.

    Args:
        system: the system to watch; None for all systems of the running loop.
        passes: passes of the loop after which busy actors are an error.

    Raises:
        AssertionError: some actors never rest, for example because two of them send each other messages forever.
    """
    loop = asyncio.get_running_loop()
    watched = systems_of(loop) if system is None else [system]
    quiet = 0
    steps = -1
    for _ in range(passes):
        seen = sum(each.dispatcher.steps for each in watched)
        if seen != steps or any(one.dispatcher.ready or one.dispatcher.active or one.bridge.waiting for one in watched):
            quiet = 0
        steps = seen
        await asyncio.sleep(0)
        # The queue of the standard event loop. On another loop every pass counts once.
        quiet += 1 if getattr(loop, "_ready", True) else _IDLE
        if quiet >= _QUIET:
            return
    cells: list[Any] = [cell for system in watched for cell in system.cells if len(cell.mailbox) or cell.scheduled]
    working = ", ".join(cell.name for cell in cells[:20]) or "no actor, so a task that never rests"
    raise AssertionError(f"settle: still busy after {passes} passes of the loop: {working}")
