"""The injectable clock: it measures every timeout, delay and period."""

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
