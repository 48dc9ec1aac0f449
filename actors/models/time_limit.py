"""Time limits on the clock of the system, so that a test with the manual clock decides when they pass."""

import asyncio
from types import TracebackType
from typing import Any

from protocols.clock import Clock, TimerHandle


class TimeLimit:
    """Cancels what a task waits for inside ``with limit.of(seconds, phase):``, which then raises TimeoutError."""

    def __init__(self, clock: Clock, until: float | None) -> None:
        self._clock = clock
        self._until = until
        """When the last of the waits ends, whatever its own limit; None for no such end."""
        self.phase: str | None = None
        """Which limit has passed: ``deadline`` or the one that was given; None as long as none has."""
        self._wait: tuple[float, str] | None = None
        self._timer: TimerHandle | None = None

    def of(self, seconds: float | None, phase: str) -> "TimeLimit":
        """Return the limit for one wait.

        Args:
            seconds: its own limit; None for none but the common end.
            phase: what the wait is called if that passes.
        """
        left = None if self._until is None else self._until - self._clock.now()
        self._wait = None if seconds is None else (seconds, phase)
        if left is not None and (seconds is None or left < seconds):
            self._wait = left, "deadline"
        return self

    def __enter__(self) -> None:
        self.phase, task = None, asyncio.current_task()
        if self._wait is not None and task is not None:
            self._task, self._cancelling = task, task.cancelling()
            self._timer = self._clock.call_later(self._wait[0], self._ring, self._wait[1])

    def __exit__(self, kind: Any, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self.phase is None:
            return
        if self._task.uncancel() <= self._cancelling and isinstance(error, asyncio.CancelledError):
            raise TimeoutError from error
        if error is None or isinstance(error, Exception):
            self.phase = None  # it came just in time

    def _ring(self, phase: str) -> None:
        self.phase = phase
        self._task.cancel()


async def pause(clock: Clock, seconds: float) -> None:
    """Wait on a clock."""
    if seconds <= 0:
        return await asyncio.sleep(0)
    passed = asyncio.get_running_loop().create_future()
    timer = clock.call_later(seconds, _pass, passed)
    try:
        await passed
    finally:
        timer.cancel()


def _pass(passed: asyncio.Future[None]) -> None:
    if not passed.done():
        passed.set_result(None)
