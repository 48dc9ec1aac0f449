"""`ManualClock`: a clock that stands still until the test moves it."""

import heapq
import math
from collections.abc import Callable
from itertools import count
from typing import Any

from actors.testing.settle import settle
from protocols.clock import pause


class ManualTimer:
    """A pending call of a `ManualClock`."""

    __slots__ = ("_clock", "args", "callback", "due")

    def __init__(
        self, clock: "ManualClock", due: float, callback: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        self._clock = clock
        self.due = due
        """Seconds on the clock."""
        self.callback: Callable[..., object] | None = callback
        self.args = args

    def cancel(self) -> None:
        """Cancel the call; harmless after it."""
        if self.callback is not None:
            self.callback = None
            self.args = ()
            self._clock.forget()


class ManualClock:
    """A clock for an `ActorSystem` that moves only by `advance` (or `tick`, outside an event loop).

    Example:
        ```python
        clock = ManualClock()
        system = ActorSystem("test", clock=clock)
        reply = ref.ask("slow", timeout=5)
        await clock.advance(5)
        assert isinstance(reply.exception(), AskTimeoutError)
        ```
    """

    def __init__(self, start: float = 0.0) -> None:
        self._now = start
        self._timers: list[tuple[float, int, ManualTimer]] = []
        self._order = count()
        self._live = 0

    def now(self) -> float:
        """Return the seconds on this clock."""
        return self._now

    @property
    def pending(self) -> int:
        """Number of calls to come."""
        return self._live

    @property
    def size(self) -> int:
        """Number of calls it keeps, cancelled calls that are not removed yet included."""
        return len(self._timers)

    @property
    def next_due(self) -> float | None:
        """Time of the next call, in seconds on this clock; None without one."""
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> ManualTimer:
        """Call `callback` after the clock has moved by `delay` seconds."""
        timer = ManualTimer(self, self._now + max(0.0, delay), callback, args)
        heapq.heappush(self._timers, (timer.due, next(self._order), timer))
        self._live += 1
        return timer

    def forget(self) -> None:
        """Count a cancelled timer; remove cancelled timers once they are the majority."""
        self._live -= 1
        if len(self._timers) > 2 * self._live + 64:
            self._timers = [entry for entry in self._timers if entry[2].callback is not None]
            heapq.heapify(self._timers)

    def tick(self, seconds: float = 0.0) -> None:
        """Move the clock and make the due calls in order. No other code runs in between.

        Raises:
            ValueError: negative or not a number, because monotonic time never goes back.
        """
        end = self._end(seconds)
        while self._fire_next(end):
            pass
        self._now = end

    def suspend(self, seconds: float) -> None:
        """Move the clock without making calls, as on a machine that sleeps. `advance` makes the overdue calls.

        Raises:
            ValueError: negative or not a number.
        """
        self._now = self._end(seconds)

    async def advance(self, seconds: float = 0.0) -> None:
        """Move the clock and make the due calls. Before, between and after them, wait until all actors rest (`settle`).

        Raises:
            ValueError: negative or not a number, because monotonic time never goes back.
        """
        end = self._end(seconds)
        await settle()
        while self._fire_next(end):
            await settle()
        self._now = end
        await settle()

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has moved by so many seconds."""
        await pause(self, seconds)

    def _end(self, seconds: float) -> float:
        if math.isnan(seconds) or seconds < 0:
            raise ValueError(f"a clock moves by seconds >= 0, not {seconds!r}")
        return self._now + seconds

    def _fire_next(self, end: float) -> bool:
        due = self.next_due
        if due is None or due > end:
            return False
        timer = heapq.heappop(self._timers)[2]
        callback, args = timer.callback, timer.args
        assert callback is not None
        self._now = max(self._now, due)
        timer.callback = None
        timer.args = ()
        self._live -= 1
        callback(*args)
        return True
