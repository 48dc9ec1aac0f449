"""An event loop whose time passes at once, on which several processes live: each of them may freeze, thaw and die.

What code of a process has the loop call belongs to that process. So a dead one never acts again, and a frozen one does
later, in order, what it would have done.
"""

from __future__ import annotations

import asyncio
import selectors
from contextlib import contextmanager
from contextvars import Context
from typing import TYPE_CHECKING, Any, TypeVarTuple, Unpack

from protocols.clock import pause

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

Ts = TypeVarTuple("Ts")


class StillError(Exception):
    """All tasks wait, and nothing will ever happen."""


class _Selector(selectors.DefaultSelector):
    """Lets the time of a loop pass in place of waiting. No thread and no socket is waited for."""

    loop: SimulatedLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise StillError("all tasks wait, and no timer runs")
        if timeout:
            self.loop.seconds += timeout
        return []


class _Call:
    """Something that the loop calls for a process."""

    __slots__ = ("args", "callback", "handle", "owner")

    def __init__(self, owner: SimulatedProcess, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.owner, self.callback, self.args = owner, callback, args
        self.handle: Any = None

    def __call__(self) -> None:
        owner = self.owner
        if owner.is_dead or self.handle.cancelled():  # it may have been held
            return
        if owner.is_frozen:
            owner.held.append(self)
            return
        loop = owner.loop
        loop.process = owner
        try:
            self.callback(*self.args)
        finally:
            loop.process = None


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
        self.held: list[_Call] = []
        """What is to be called when it thaws."""
        self.tasks: list[asyncio.Task[Any]] = []
        """All that began and may not have ended."""
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
        for one in held:
            self.loop.call_plainly(one, one.handle)

    def kill(self) -> None:
        """End, as by SIGKILL."""
        self.is_dead = True


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop with a time of its own, in seconds from 0."""

    def __init__(self) -> None:
        selector = _Selector()
        selector.loop = self
        self.seconds = 0.0
        self.process: SimulatedProcess | None = None
        """What the current call belongs to; None for the simulation itself."""
        super().__init__(selector)

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
        call = _Call(self.process, callback, args)
        call.handle = handle = super().call_soon(call, context=context)
        return handle

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        if self.process is None:
            return super().call_at(when, callback, *args, context=context)
        call = _Call(self.process, callback, args)
        call.handle = handle = super().call_at(when, call, context=context)
        return handle

    def call_plainly(self, call: _Call, handle: Any) -> None:
        """Make a call that was held, in the context in which it would have been made."""
        super().call_soon(call, context=handle._context)

    def create_task(self, coro: Any, **options: Any) -> Any:
        task = super().create_task(coro, **options)
        if self.process is not None:
            self.process.tasks.append(task)
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
