"""An event loop whose time passes at once, on which several processes live: each of them may freeze, thaw and die.

What code of a process has the loop call belongs to that process. So a dead one never acts again, and a frozen one does
later, in order, what it would have done.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import contextmanager
from contextvars import Context
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, TypeVarTuple, Unpack, cast

from protocols.clock import pause

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

Ts = TypeVarTuple("Ts")
_FEW = 64
"""Tasks of a process that are kept without a look at which of them have ended."""


class StillError(Exception):
    """All tasks wait, and nothing will ever happen."""


class _Owned(asyncio.Handle):
    """Something that the loop calls for a process."""

    __slots__ = ()
    owner: SimulatedProcess

    def _run(self) -> None:
        owner = self.owner
        if owner.is_dead:
            return
        if owner.is_frozen:
            owner.held.append(self)
            return
        loop = owner.loop
        loop.process = owner
        try:
            super()._run()
        finally:
            loop.process = None


class _OwnCall(_Owned):
    __slots__ = ("owner",)


class _OwnTimer(_Owned, asyncio.TimerHandle):
    __slots__ = ("owner",)


class SimulatedProcess:
    """What calls belong to.

    Args:
        loop: the loop that makes them.
        name: how its tasks are called.
    """

    def __init__(self, loop: SimulatedLoop, name: str) -> None:
        self.loop = loop
        self.name = name
        self.is_dead = self.is_frozen = self.is_cut_off = False
        """`is_cut_off` while it cannot renew its leases, and all else works."""
        self.held: list[_Owned] = []
        """What is to be called when it thaws."""
        self.tasks: list[asyncio.Task[Any]] = []
        """All that began and may not have ended."""
        self.most_tasks = _FEW
        self.thawed = -1.0
        """When it was thawed last."""

    def call(self, callback: Callable[..., object], *args: Any) -> None:
        """Call a function as this process, soon."""
        before, self.loop.process = self.loop.process, self
        self.loop.call_soon(callback, *args)
        self.loop.process = before

    def run(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a task as this process."""
        with self.loop.of(self):
            task: asyncio.Task[Any] = self.loop.create_task(work)
            return task

    def freeze(self) -> None:
        """Stop, as by SIGSTOP."""
        self.is_frozen = True

    def thaw(self) -> None:
        """Go on, first with what is overdue."""
        self.is_frozen, held, self.held = False, self.held, []
        self.thawed = self.loop.time()
        self.loop.ready.extend(held)

    def kill(self) -> None:
        """End, as by SIGKILL."""
        self.is_dead = True


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop with a time of its own, in seconds from 0."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.process: SimulatedProcess | None = None
        """What the current call belongs to; None for the simulation itself."""
        super().__init__()
        vars(self)["get_debug"] = bool  # False, and asked for each call
        self.ready: deque[asyncio.Handle] = vars(self)["_ready"]
        """What it calls next."""

    def time(self) -> float:
        return self.seconds

    @contextmanager
    def of(self, process: SimulatedProcess | None) -> Generator[None]:
        """Let the calls that begin here belong to a process."""
        before, self.process = self.process, process
        try:
            yield
        finally:
            self.process = before

    def call_soon(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        if self.process is None:
            return super().call_soon(callback, *args, context=context)
        call = _OwnCall(callback, args, self, context)  # without the four calls of Python that asyncio makes
        call.owner = self.process
        self.ready.append(call)
        return call

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        if self.process is None:
            return super().call_at(when, callback, *args, context=context)
        timer = _OwnTimer(when, callback, args, self, context)
        timer.owner = self.process
        me, one = cast("tuple[Any, Any]", (self, timer))
        one._scheduled = True
        heappush(me._scheduled, timer)
        return timer

    def _write_to_self(self) -> None:
        """Wake nothing: it never sleeps."""

    def _run_once(self) -> None:
        """Make the calls that are due, as asyncio does, but let time pass in place of waiting, and ask no socket."""
        me: Any = self
        timers = me._scheduled
        while timers and timers[0]._cancelled:
            me._timer_cancelled_count -= 1
            heappop(timers)._scheduled = False
        if not (self.ready or me._stopping):
            if not timers:
                raise StillError("all tasks wait, and no timer runs")
            self.seconds += max(0.0, timers[0]._when - self.seconds)
        end = self.seconds + me._clock_resolution
        while timers and timers[0]._when < end:
            timer = heappop(timers)
            timer._scheduled = False
            self.ready.append(timer)
        for _ in range(len(self.ready)):
            call: Any = self.ready.popleft()
            if not call._cancelled:
                call._run()

    def create_task(self, coro: Any, **options: Any) -> Any:
        task = super().create_task(coro, **options)
        if (process := self.process) is not None:
            process.tasks.append(task)
            if len(process.tasks) > process.most_tasks:
                process.tasks = [one for one in process.tasks if not one.done()]
                process.most_tasks = 2 * len(process.tasks) + _FEW
        return task


class SimulatedClock:
    """The clock of all processes."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop
        self.now = loop.time

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Any:
        return self._loop.call_later(max(0.0, delay), callback, *args, context=Context())

    async def sleep(self, seconds: float) -> None:
        """Wait until so much of the time of the loop has passed."""
        await pause(self, seconds)
