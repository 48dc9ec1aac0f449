"""The real monotonic clock. Wall-clock jumps never reach timeouts, backoff or limits."""

import asyncio
import time
from collections.abc import Callable
from contextvars import Context
from typing import Any

running_loop: Callable[[], asyncio.AbstractEventLoop | None] = asyncio._get_running_loop  # pyright: ignore[reportPrivateUsage] # noqa: SLF001 - the documented look-up that does not raise
"""Return the event loop that runs in this thread, or None."""


class LoopClock:
    """The real clock: the monotonic time of the system, timers of the event loop."""

    __slots__ = ("_loop",)

    now = staticmethod(time.monotonic)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        """Call `callback` on the event loop after `delay` seconds, in an empty context.

        The loop keeps cancelled timers until their time, and their context with them: that of a handler holds its
        message.
        """
        return self._loop.call_later(delay, callback, *args, context=Context())
