"""Timers and tasks of one incarnation: they end with it, so nothing of an old life reaches the next one."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from typing import Any, Generic, TypeVar

from actors.runtime.cell import ActorHooks, Cell
from actors.runtime.cycle import judge_watched
from actors.runtime.death_watch import supervise
from actors.runtime.envelope import QUEUED, SETTLED, Envelope, current
from actors.runtime.errors import ActorCrashedError
from actors.runtime.future import AsyncioFuture
from actors.runtime.intake import accept
from actors.runtime.options import check_timeout
from protocols.errors import type_name

T = TypeVar("T")


def _keep(cell: Cell, handle: Any) -> None:
    cell.belongings = cell.belongings or set()
    cell.belongings.add(handle)


def _drop(cell: Cell, handle: Any) -> None:
    if cell.belongings is not None:
        cell.belongings.discard(handle)


class _Pending:
    """Something that happens later, unless the incarnation ends before."""

    __slots__ = ("_cell", "_handle")

    def __init__(self, cell: Cell, delay: float) -> None:
        self._cell = cell
        _keep(cell, self)
        self._handle = cell.system.clock.call_later(delay, self._fire)

    def _fire(self) -> None:
        raise NotImplementedError

    def cancel(self) -> None:
        """Have it not happen; harmless when it has."""
        self._handle.cancel()
        _drop(self._cell, self)


class PendingTimer(_Pending):
    """A message that an actor sends itself later."""

    __slots__ = ("_interval", "_message", "_tick", "is_active")

    def __init__(self, cell: Cell, delay: float, message: Any, interval: float | None) -> None:
        check_timeout(delay, "delay", "")
        if interval is not None and not interval > 0:
            raise ValueError(f"interval must be > 0 seconds, not {interval!r}")
        self._message = message
        self._interval = interval
        self._tick: Envelope | None = None
        self.is_active = True
        super().__init__(cell, delay)

    def _fire(self) -> None:
        if not self.is_active:
            return
        cell = self._cell
        # The next shot is counted from now: after a suspended machine wakes up there is one shot, not a burst.
        if self._interval is None:
            self.cancel()
        else:
            self._handle = cell.system.clock.call_later(self._interval, self._fire)
        if self._tick is not None and self._tick.state == QUEUED:
            return  # a tick that waits says already what this one would
        tick = Envelope(self._message, cell, sender=cell, at=cell.now())
        try:
            accept(cell, tick)
            self._tick = tick
        except BaseException as error:  # a mailbox may ask functions of the user
            cell.system.report("a timer message was not accepted", cell, error=error)
            cell.system.note_base_exception(error)

    def cancel(self) -> None:
        """Send nothing more; harmless after the end."""
        self.is_active = False
        super().cancel()


class PendingReply:
    """An answer that another future brings to a reply that the actor has taken over."""

    __slots__ = ("cell", "waiting")

    thread_wait = None

    def __init__(self, cell: Cell, result: AsyncioFuture[Any], reply: AsyncioFuture[Any]) -> None:
        self.cell = cell
        self.waiting = result
        result.add_done_callback(reply.end_as)
        if (envelope := getattr(reply, "envelope", None)) is not None:
            envelope.turn = self  # it stands where the handler stood in the chain of those who wait
            judge_watched(reply)


class PendingStep(_Pending):
    """A step of supervision that an actor takes later; it goes before its mail."""

    __slots__ = ("_actor", "_step")

    def __init__(self, cell: Cell, actor: ActorHooks, delay: float, step: Callable[[], None]) -> None:
        self._actor = actor
        self._step = step
        super().__init__(cell, delay)

    def _fire(self) -> None:
        _drop(self._cell, self)
        supervise(self._cell, self._actor, self._step)


class PendingTask(Generic[T]):
    """A task that belongs to an actor; it can be awaited."""

    __slots__ = ("_cell", "_scope", "_task")

    def __init__(self, cell: Cell, coroutine: Coroutine[Any, Any, T]) -> None:
        self._cell = cell
        context = Context()
        self._scope = context.run(_carry_into, cell, current.get())
        work = _without_exit(cell, coroutine)
        self._task = cell.loop.create_task(work, name=f"{cell.name}-task", context=context)
        self._task.add_done_callback(lambda _: coroutine.close(), context=Context())  # it may never have begun
        _keep(cell, self)
        self._task.add_done_callback(self._done, context=Context())

    def _done(self, task: asyncio.Task[T]) -> None:
        _drop(self._cell, self)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._cell.system.report("a task of an actor failed", self._cell, error=error)

    def cancel(self) -> None:
        """Cancel the task; harmless after its end."""
        if self._cell.belongings is None:
            # Its incarnation has ended. If it ignores the cancellation, nothing that it sends reaches anybody.
            self._scope.fenced = True
        self._task.cancel()

    def when_done(self, callback: Callable[[], object]) -> None:
        """Call a function when the task ends, however it does."""
        self._task.add_done_callback(lambda _: callback())

    def __await__(self) -> Generator[Any, None, T]:
        return self._task.__await__()


async def _without_exit(cell: Cell, coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine of the user; what would end the event loop begins the end of the system instead."""
    try:
        return await coroutine
    except (SystemExit, KeyboardInterrupt) as error:
        cell.system.note_base_exception(error)
        raise ActorCrashedError(f"a task of actor {cell.name} ended with {type_name(error)}") from error


def _carry_into(cell: Cell, envelope: Envelope | None) -> Envelope:
    for variable, value in (envelope.carried if envelope is not None else None) or ():
        variable.set(value)
    # The sender of what the task sends is the actor, but its message in hand is no longer the handler's.
    scope = Envelope(None, cell, at=cell.now(), state=SETTLED, incarnation=cell.incarnation)
    current.set(scope)
    return scope
