"""A few shared worker tasks step the ready actors from one queue.

An idle actor has no task. A handler that waits keeps the task in which it began, and another worker takes over the
queue: there are as many tasks as waiting handlers, plus one. A task serves another handler only if nothing can tell
that it served one before: no reference to it is left, no callback and no cancellation.
"""

import asyncio
import sys
import threading
import time
import types
from asyncio import _enter_task, _leave_task  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue, reportUnknownVariableType] - the names by which third-party event loops change the task
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from sys import getrefcount
from typing import Any, Final, cast
from weakref import getweakrefcount

from actors.runtime.cell import Cell
from actors.runtime.clock import running_loop
from actors.runtime.crash import fault
from actors.runtime.envelope import Envelope
from actors.runtime.processing import finish_turn, step
from actors.runtime.turn import Turn

_BATCH: Final = 16
"""Messages of one actor before the next ready actor has its turn."""
_SLICE: Final = 0.004
"""Seconds after which a worker lets the event loop run other things."""
_MOST_PARKED: Final = 8
"""Idle workers that are kept for reuse."""
_HANDED: Final = 64
"""Messages that askers handle themselves before the event loop has its turn."""
_HANDED_SLICE: Final = 0.001
"""Seconds for the same."""
_SHALLOW: Final = 100
"""Frames of an asker's stack; from a deeper one a handler might meet a RecursionError that is not its own."""


@types.coroutine
def _pass() -> Generator[None, None, None]:
    yield


def engine_task(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], name: str, context: Context | None = None
) -> "asyncio.Task[Any]":
    """Make a task of the engine. It begins later even under an eager task factory, so no step runs inside another."""
    return asyncio.Task(coroutine, loop=loop, name=name, context=context or Context())


def _is_marked(task: Any, known: int, watched: int) -> bool:
    """Return True if a handler has cancelled its task, or kept, watched or marked it."""
    return (
        task._must_cancel or getrefcount(task) > known or getweakrefcount(task) > watched or bool(task._callbacks)  # noqa: SLF001
    )


def _is_deep() -> bool:
    try:
        sys._getframe(_SHALLOW)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    except ValueError:
        return False
    return True


def rouse(loop: asyncio.AbstractEventLoop) -> None:
    """Let a loop that sleeps go on at once: a plain signal handler runs while it does, and outside any task."""
    if threading.current_thread() is threading.main_thread() and not loop.is_closed():
        loop.call_soon_threadsafe(int)


class Worker:
    """A task that steps actors, or waits for work."""

    __slots__ = ("context", "is_spent", "parked", "task", "turn")

    def __init__(self) -> None:
        self.context = Context()
        self.task: Any = None
        self.parked: Any = None
        """The future that is set when there is work."""
        self.turn: Turn | None = None
        """A handler that began in its name before it was awake, and that it has to drive."""
        self.is_spent = False
        """True if a handler left something in its task, so it may serve no other one."""


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
        self._parked: list[Worker] = []
        self._woken: Worker | None = None
        """The parked worker that was woken last and has not run since."""
        self._left = 0
        """Messages that askers may still handle themselves before the loop has its turn."""
        self._until = 0.0
        """When they may not any more; counts from the first of them."""
        self._loop_ready: Any = getattr(loop, "_ready", None)
        """What the loop of asyncio runs next; None for another kind of loop, which does not tell."""
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
        self._woken = None
        while self._parked:
            worker = self._parked.pop()
            if not worker.parked.done():  # the loop is being torn down: it is cancelled, but has not run since
                worker.parked.set_result(None)
                self._woken, self._left = worker, _HANDED
                break
        else:
            worker = Worker()
            worker.task = engine_task(self._loop, self._work(worker), self._worker_name, worker.context)
            self.tasks.add(worker.task)
        if asyncio.current_task(self._loop) is None:
            rouse(self._loop)

    def hands_over(self) -> bool:
        """Return True if an asker may handle its message itself."""
        return True

    def hand_over(self, envelope: Envelope) -> None:  # noqa: C901, PLR0915 - as `_serve`
        """Handle a message now: its asker is about to wait for it, and the loop would do nothing else before.

        The order stays, but the way through the loop is saved, which is half the time of an ask. The handler runs in
        its own context and in the name of the worker that was woken for it, which takes over if it waits.
        """
        worker = self._woken
        if worker is None or self._loop_ready is None or len(self._loop_ready) != 1:
            return
        asker: Any = asyncio.current_task(self._loop)
        if not self._may_hand_over(envelope, worker, asker):
            return
        cell, task = envelope.cell, worker.task
        if envelope.parent is not None:
            envelope.parent.turn.waiting = envelope.reply
        del self.ready[0]
        self._woken = None
        self._left -= 1
        before, self.current = self.current, cell
        outcome: bool | Turn = True
        try:
            if asker is not None:
                _leave_task(self._loop, asker)
            _enter_task(self._loop, task)
            known, watched = getrefcount(task), getweakrefcount(task)
            outcome = worker.context.run(step, cell, 2, task)
            worker.is_spent = _is_marked(task, known + 1, watched)
        finally:
            _leave_task(self._loop, task)
            if asker is not None:
                _enter_task(self._loop, asker)
            self.current = before
            self.steps += 1
            if outcome is True:
                self.ready.append(cell)
            elif outcome is not False:
                worker.turn, worker.is_spent = outcome, False
            if worker.turn is None and not worker.is_spent:
                self._woken = worker

    def _may_hand_over(self, envelope: Envelope, worker: Worker, asker: Any) -> bool:
        """Return False where a handler could tell it from the long way, and when the loop is to have its turn.

        So for an asker that was cancelled, handles an exception or has a deep stack, and for a handler that has not
        waited yet, which the graph of waits does not know; after 64 messages, or a millisecond.
        """
        cell, ready, parent = envelope.cell, self.ready, envelope.parent
        fifo = cell.mailbox.fifo
        if (
            not self._left or self._may_nest or len(ready) != 1 or ready[0] is not cell
            or not fifo or len(fifo) != 1 or cell.control
            or (parent is not None and (parent.turn is None or parent.turn.task is not asker))
            or sys.exc_info()[1] is not None or running_loop() is not self._loop
            or worker.task._must_cancel or (asker is not None and asker._must_cancel)  # noqa: SLF001
        ):  # fmt: skip
            return False
        if self._left == _HANDED:
            self._until = envelope.at + _HANDED_SLICE
        # A look at the stack costs a twentieth of an ask.
        return envelope.at <= self._until and not (not self._left & 7 and _is_deep()) and self.hands_over()

    async def _work(self, worker: Worker) -> None:
        # A task that a handler cancelled, kept or marked must reach no other actor: it ends, another one takes over.
        task = worker.task
        known, watched = getrefcount(task), getweakrefcount(task)
        counts = True  # in `active`
        try:
            while (turn := await self._serve(worker)) is not None:
                counts = False
                self._begin_wait(turn, task)
                while True:
                    try:
                        await turn.drive()
                        break
                    except GeneratorExit as error:  # only this frame, the outermost, can go on after one
                        turn.interrupted(error, is_closing=asyncio.current_task(self._loop) is not task)
                turn.task = None
                is_clean = not _is_marked(task, known + 1, watched) and not task.cancelling()
                counts = is_clean and task.get_name() is self._worker_name
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

    async def _serve(self, worker: Worker) -> Turn | None:  # noqa: C901, PLR0912 - one loop, because a call costs as much as the rest
        """Step ready actors until a handler waits, and return it; or until this worker is not needed or not clean."""
        task = worker.task
        ready, batch, take, lets_loop_run = self.ready, self.batch, self._take, self._lets_loop_run
        while not worker.is_spent:
            if worker.turn is not None:
                turn, worker.turn = worker.turn, None
                return turn
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
                await self._park(worker)
        return None

    async def _park(self, worker: Worker) -> None:
        """Wait to be woken. A worker that is cancelled before counts as active until it leaves."""
        self.active -= 1
        worker.parked = parked = self._loop.create_future()
        self._parked.append(worker)
        try:
            await parked
        except asyncio.CancelledError as error:
            if worker.turn is None:
                raise
            waiting = worker.turn.waiting  # the handler that began in this name has cancelled its task
            if not (asyncio.isfuture(waiting) and waiting.cancel()):
                worker.turn.thrown = error
        finally:
            if self._woken is worker:
                self._woken = None
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
        for worker in self._parked:
            if not worker.parked.done():
                worker.parked.set_result(None)
                self.active += 1
        self._parked.clear()
        if self._sentinel is not None:
            self._sentinel.cancel()
