"""A clock that stands still until a test moves it, and waiting without time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Timer:
    """A pending call."""

    def __init__(self, due: float, call: Callable[[], object]) -> None:
        self.due = due
        self.call = call
        self.is_cancelled = False

    def cancel(self) -> None:
        """Withdraw the call."""
        self.is_cancelled = True


class StandingClock:
    """Moves by `advance` only."""

    def __init__(self) -> None:
        self._now = 0.0
        self._timers: list[Timer] = []

    def now(self) -> float:
        """Return the time."""
        return self._now

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Timer:
        """Remember the call."""
        timer = Timer(self._now + delay, lambda: callback(*args))
        self._timers.append(timer)
        return timer

    @property
    def delays(self) -> list[float]:
        """How long each pending call has to wait from now on."""
        return [round(timer.due - self._now, 6) for timer in self._timers if not timer.is_cancelled]

    async def advance(self, seconds: float) -> None:
        """Move on, make the calls that are due, and let all tasks come to rest."""
        self._now += seconds
        due = [timer for timer in self._timers if timer.due <= self._now]
        self._timers = [timer for timer in self._timers if timer.due > self._now]
        for timer in due:
            if not timer.is_cancelled:
                timer.call()
        await rest()


async def rest() -> None:
    """Let tasks that wait for nothing but each other come to rest."""
    for _ in range(50):
        await asyncio.sleep(0)
