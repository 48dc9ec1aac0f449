"""The injectable clock: it measures every timeout, delay and period."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol


class TimerHandle(Protocol):
    """A pending call that can be withdrawn."""

    def cancel(self) -> None:
        """Withdraw the call; does nothing if it has happened."""


class Clock(Protocol):
    """Monotonic time in seconds and calls in the future. `actors.testing.ManualClock` is the one for tests."""

    def now(self) -> float:
        """Return monotonic seconds from an arbitrary start."""
        ...

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> TimerHandle:
        """Call `callback` on the event loop after `delay` seconds."""
        ...


async def pause(clock: Clock, seconds: float, hurry: asyncio.Event | None = None) -> None:
    """Wait so many seconds on a clock, or until `hurry` is set."""
    if seconds <= 0:
        return await asyncio.sleep(0)
    due = hurry or asyncio.Event()
    timer = clock.call_later(seconds, due.set)
    try:
        await due.wait()
    finally:
        timer.cancel()
