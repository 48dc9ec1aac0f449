"""A few shared worker tasks step the ready actors from one queue.

An idle actor has no task. A handler that waits keeps the task in which it began, and another worker takes over the
queue: there are as many tasks as waiting handlers, plus one. A task serves another handler only if nothing can tell
that it served one before: no reference to it is left, no callback and no cancellation.
"""

import asyncio
import threading
import time
import types
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from sys import getrefcount
from typing import Any, Final, cast
from weakref import getweakrefcount

from actors.runtime.cell import Cell
from actors.runtime.crash import fault
from actors.runtime.processing import finish_turn, step
from actors.runtime.turn import Turn

_BATCH: Final = 16
"""Messages of one actor before the next ready actor has its turn."""
_SLICE: Final = 0.004
"""Seconds after which a worker lets the event loop run other things."""
_MOST_PARKED: Final = 8
"""Idle workers that are kept for reuse."""


@types.coroutine
def _pass() -> Generator[None, None, None]:
    yield


def engine_task(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], name: str) -> "asyncio.Task[Any]":
    """Make a task of the engine. It begins later even under an eager task factory, so no step runs inside another."""
    return asyncio.Task(coroutine, loop=loop, name=name, context=Context())


def rouse(loop: asyncio.AbstractEventLoop) -> None:
    """Let a loop that sleeps go on at once: a plain signal handler runs while it does, and outside any task."""
    if threading.current_thread() is threading.main_thread() and not loop.is_closed():
        loop.call_soon_threadsafe(int)


class Dispatcher:
    """Runs the ready actors of one system on its event loop. A subclass may choose another order (`actors.testing`)."""

    batch = _BATCH

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self._loop = loop
        self._name = name
        self._worker_name = f"{name}-worker"
        self.ready: deque[Cell] = deque()
        self.active = 0
        """Workers that are running or about to; those that wait inside a handler are not among them."""
        self.steps = 0
        """Rises whenever anything was handled."""
        self._take = self.ready.popleft if type(self).next is Dispatcher.next else self.next
        overrides = type(self).lets_loop_run is not Dispatcher.lets_loop_run
        self._lets_loop_run = self.lets_loop_run if overrides else None
        self._may_nest = False
        self._parked: list[asyncio.Future[None]] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.is_closed = False
        self._sentinel: asyncio.Task[None] | None = None
        self.current: Cell | None = None
        """The actor that was stepped last."""

    def schedule(self, cell: Cell) -> None:
        """Have `cell` stepped soon. The caller owns its claim: a cell is never queued twice."""
        self.ready.append(cell)
        if not self.active:
            self._wake()
        elif self._may_nest:
            self._loop.call_soon(self._relieve_nested)

    def _relieve_nested(self) -> None:
        if self.ready:
            self._loop.call_soon(self._relieve_nested)  # the next worker may get stuck as well
            self._relieve()

    def _relieve(self) -> None:
        """Have the ready actors served, also if all workers are stuck in a nested event loop (`nest_asyncio`)."""
        stuck = sum(cast("Any", task.get_coro()).cr_running for task in self.tasks) if self._may_nest else 0
        if stuck >= self.active:
            self._wake()

    def next(self) -> Cell:
        """Take the actor that is stepped next; there is one."""
        return self.ready.popleft()

    def lets_loop_run(self) -> bool:
        """Return True if the event loop runs other things before the next step. Without an override, time decides."""
        raise NotImplementedError

    def _wake(self) -> None:
        if self.is_closed:
            return
        self.active += 1
        self._may_nest = hasattr(self._loop, "_nest_patched")
        while self._parked:
            parked = self._parked.pop()
            if not parked.done():  # the loop is being torn down: its worker is cancelled, but has not run since
                parked.set_result(None)
                break
        else:
            itself: list[asyncio.Task[Any]] = []
            task = engine_task(self._loop, self._work(itself), self._worker_name)
            itself.append(task)
            self.tasks.add(task)
        if asyncio.current_task(self._loop) is None:
            rouse(self._loop)

    async def _work(self, itself: list[Any]) -> None:
        # A task that a handler cancelled, kept or marked must reach no other actor: it ends, another one takes over.
        task = itself.pop()
        known, watched = getrefcount(task), getweakrefcount(task)
        counts = True  # in `active`
        try:
            while (turn := await self._serve(task)) is not None:
                counts = False
                self._begin_wait(turn, task)
                while True:
                    try:
                        await turn.drive()
                        break
                    except GeneratorExit as error:  # only this frame, the outermost, can go on after one
                        turn.interrupted(error, is_closing=asyncio.current_task(self._loop) is not task)
                turn.task = None
                counts = (
                    getrefcount(task) <= known
                    and getweakrefcount(task) <= watched
                    and not task._callbacks  # noqa: SLF001
                    and not task._must_cancel  # noqa: SLF001
                    and not task.cancelling()
                    and task.get_name() is self._worker_name
                )
                self._end_wait(turn, serves_on=counts)
                del turn  # a parked worker must keep no actor alive
                if not counts:
                    return
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:  # a fault of the engine, which must not take the other actors along
            self._report_fault(error)
        finally:
            self._leave(task, counts=counts)

    async def _serve(self, task: Any) -> Turn | None:  # noqa: C901 - one loop, because a call costs as much as the rest
        """Step ready actors until a handler waits, and return it; or until this worker is not needed or not clean."""
        ready, batch, take, lets_loop_run = self.ready, self.batch, self._take, self._lets_loop_run
        while True:
            known, watched = getrefcount(task), getweakrefcount(task)
            began = 0.0
            while ready:
                self.current = cell = take()
                outcome = step(cell, batch, task)
                self.steps += 1
                if outcome is True:
                    ready.append(cell)
                elif outcome is not False:
                    return outcome
                if (
                    task._must_cancel  # noqa: SLF001
                    or getrefcount(task) > known
                    or getweakrefcount(task) > watched
                    or task._callbacks  # noqa: SLF001
                ):
                    return None
                if lets_loop_run is not None:
                    if lets_loop_run():
                        await _pass()
                        break
                elif ready:
                    now = time.monotonic()
                    if not began:
                        began = now
                    elif now - began > _SLICE:
                        await _pass()
                        break
            else:
                if self.is_closed or len(self._parked) >= _MOST_PARKED:
                    return None
                await self._park()

    async def _park(self) -> None:
        """Wait to be woken. A worker that is cancelled before counts as active until it leaves."""
        self.active -= 1
        parked = self._loop.create_future()
        self._parked.append(parked)
        try:
            await parked
        finally:
            if parked.cancelled() or not parked.done():
                self.active += 1

    def _begin_wait(self, turn: Turn, task: "asyncio.Task[None]") -> None:
        turn.task = task
        if turn.cancelled:
            task.cancel()
        self.active -= 1
        if self.ready:
            self._relieve()

    def _end_wait(self, turn: Turn, *, serves_on: bool) -> None:
        self.active += serves_on
        self.steps += 1
        finish_turn(turn.cell, turn)

    def _report_fault(self, error: BaseException) -> None:
        cell = self.current
        if cell is not None:
            fault(cell, None, error)
            if cell.scheduled and cell not in self.ready:
                self.ready.append(cell)

    def _leave(self, task: "asyncio.Task[None]", *, counts: bool) -> None:
        """Forget a worker that ends, however it does; another one takes over what is ready."""
        self.tasks.discard(task)
        if counts:
            self.active -= 1
        if self.ready and not self._loop.is_closed():
            self._relieve()

    def watch_teardown(self, closed: Callable[[], object]) -> None:
        """Call `closed` when all tasks of the loop are cancelled from outside, as `asyncio.run` does at its end."""

        async def wait() -> None:
            try:
                await self._loop.create_future()
            finally:
                closed()

        self._sentinel = engine_task(self._loop, wait(), f"{self._name}-sentinel")

    @property
    def is_torn_down(self) -> bool:
        """True if the loop is ending: every task was cancelled, not just one handler."""
        return self._sentinel is not None and bool(self._sentinel.cancelling() or self._sentinel.done())

    def close(self) -> None:
        """Let the idle workers end; the others end when they have nothing left to do."""
        self.is_closed = True
        for parked in self._parked:
            if not parked.done():
                parked.set_result(None)
                self.active += 1
        self._parked.clear()
        if self._sentinel is not None:
            self._sentinel.cancel()
