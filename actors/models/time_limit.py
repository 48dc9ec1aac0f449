"""Time limits on the clock of the system, so that a test with the manual clock decides when they pass."""

import asyncio
from types import TracebackType
from typing import Any, Final

from protocols.clock import Clock, TimerHandle

_SOON: Final = 1e-6


class TimeLimit:
    """Cancels what a task waits for inside ``with limit.of(seconds):``, which then raises TimeoutError.

    It may be used again and again, as between the events of a stream: the timer is made once, and looks at its end
    whether anything came meanwhile. There is none while nothing is waited for.
    """

    __slots__ = ("_cancelling", "_clock", "_due", "_task", "_timer", "_timer_due", "phase", "until")

    def __init__(self, clock: Clock, until: float | None) -> None:
        self._clock = clock
        self.until = until
        """When the last of the waits ends, whatever its own limit; None for no such end."""
        self.phase: str | None = None
        """Which limit has passed: ``deadline`` or the one that was given; None as long as none has."""
        self._due: tuple[float, str] | None = None
        self._timer: TimerHandle | None = None
        self._timer_due = 0.0
        self._task: asyncio.Task[Any] | None = None
        self._cancelling = 0

    def of(self, seconds: float | None, phase: str) -> "TimeLimit":
        """Return the limit for one wait.

        Args:
            seconds: its own limit; None for none but `until`.
            phase: what the wait is called if that passes.
        """
        self._due = None
        if seconds is not None:
            self._due = (self._clock.now() + seconds, phase)
        if self.until is not None and (self._due is None or self.until < self._due[0]):
            self._due = (self.until, "deadline")
        return self

    def __enter__(self) -> None:
        if self._due is None:
            return
        self.phase = None
        self._task = task = asyncio.current_task()
        self._cancelling = 0 if task is None else task.cancelling()
        if self._timer is not None and self._timer_due > self._due[0]:
            self.close()
        if self._timer is None:
            self._arm(self._due[0])

    def __exit__(self, kind: Any, error: BaseException | None, trace: TracebackType | None) -> None:
        task, self._task = self._task, None
        if self.phase is None or task is None:
            return
        if task.uncancel() <= self._cancelling and isinstance(error, asyncio.CancelledError):
            raise TimeoutError from error
        if error is None or isinstance(error, Exception):
            self.phase = None  # it came just in time

    def close(self) -> None:
        """Let go of the timer."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _arm(self, due: float) -> None:
        self._timer_due = due
        self._timer = self._clock.call_later(due - self._clock.now(), self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._task is None or self._due is None:
            return
        due, phase = self._due
        if due - self._clock.now() > _SOON:
            self._arm(due)
        else:
            self.phase = phase
            self._task.cancel()
