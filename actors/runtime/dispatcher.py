"""A few shared worker tasks step the ready actors from one queue.

An idle actor has no task. When a handler waits, its worker waits with it and another worker takes over: there are as
many tasks as waiting handlers, plus one.
"""

import asyncio
import time
import types
from collections import deque
from collections.abc import Callable, Generator
from contextvars import Context
from typing import Final

from actors.runtime.cell import Cell
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


class Dispatcher:
    """Runs the ready actors of one system on its event loop. A subclass may choose another order (`actors.testing`)."""

    batch = _BATCH

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self._loop = loop
        self._name = name
        self.ready: deque[Cell] = deque()
        self.active = 0
        """Workers that are running or about to; those that wait inside a handler are not among them."""
        self.steps = 0
        """Rises whenever anything was handled."""
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

    def next(self) -> Cell:
        """Take the actor that is stepped next; there is one."""
        return self.ready.popleft()

    def _wake(self) -> None:
        if self.is_closed:
            return
        self.active += 1
        while self._parked:
            parked = self._parked.pop()
            if not parked.done():  # the loop is being torn down: its worker is cancelled, but has not run since
                parked.set_result(None)
                return
        task = self._loop.create_task(self._work(), name=f"{self._name}-worker", context=Context())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard, context=Context())  # it outlives the handler that needs it now

    async def _work(self) -> None:  # noqa: C901, PLR0915 - one loop, because a call costs as much as the rest
        task = asyncio.current_task()
        assert task is not None
        ready, batch = self.ready, self.batch
        take = ready.popleft if type(self).next is Dispatcher.next else self.next
        began = 0.0
        while True:
            while ready:
                self.current = cell = take()
                outcome = step(cell, batch)
                self.steps += 1
                while outcome is not True and outcome is not False:
                    keep = await self._wait_for(outcome, task)
                    began = 0.0
                    if task.cancelling():
                        self._retire(cell, keep)
                        return
                    outcome = step(cell, batch) if keep else False
                if outcome:
                    ready.append(cell)
                if ready:
                    now = time.monotonic()
                    if not began:
                        began = now
                    elif now - began > _SLICE:
                        await _pass()
                        began = 0.0
            began = 0.0
            self.active -= 1
            if self.is_closed or len(self._parked) >= _MOST_PARKED:
                return
            parked = self._loop.create_future()
            self._parked.append(parked)
            try:
                await parked
            except asyncio.CancelledError:
                self._unpark(parked)
                raise

    def _unpark(self, parked: asyncio.Future[None]) -> None:
        if parked in self._parked:
            self._parked.remove(parked)
        elif not parked.cancelled():
            self.active -= 1
            if self.ready:
                self._wake()

    async def _wait_for(self, turn: Turn, task: asyncio.Task[None]) -> bool:
        turn.task = task
        if turn.cancelled:
            task.cancel()
        self.active -= 1
        if self.ready and not self.active:
            self._wake()
        try:
            await turn.drive()
        finally:
            self.active += 1
            turn.task = None
        self.steps += 1
        return finish_turn(turn.cell, turn)

    def _retire(self, cell: Cell, keep: bool) -> None:
        # A cancellation that came late may still be pending in this task, so it must not serve another handler.
        if keep:
            self.ready.append(cell)
        self.active -= 1
        if self.ready and not self.active:
            self._wake()

    def watch_teardown(self, closed: Callable[[], object]) -> None:
        """Call `closed` when all tasks of the loop are cancelled from outside, as `asyncio.run` does at its end."""

        async def wait() -> None:
            try:
                await self._loop.create_future()
            finally:
                closed()

        self._sentinel = self._loop.create_task(wait(), name=f"{self._name}-sentinel", context=Context())

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
