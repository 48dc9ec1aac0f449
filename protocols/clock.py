"""The injectable clock: it measures every timeout, delay and period."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


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
