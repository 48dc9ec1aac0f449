"""Who waits for whom: a wait of a handler that could never end is refused when it begins, naming the chain.

The graph is never stored. Its nodes are the waiting handlers (turns); what each of them waits for is read when a wait
begins, so an ask to an actor that waits for nothing costs one look. Sending is never refused, only waiting is.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextvars import Context
from typing import Any, Final, TypeVar

from actors.runtime.cell import Cell
from actors.runtime.clock import running_loop
from actors.runtime.envelope import QUEUED, Envelope
from actors.runtime.errors import AskCycleError, SelfStopError
from actors.runtime.future import AsyncioFuture, LoopFuture

T = TypeVar("T")

_MOST_NODES: Final = 1000
"""Handlers that one search looks at; a longer chain ends at its deadlines."""


class WatchedFuture(LoopFuture[T]):
    """A future that may close a cycle through a task or thread of a handler: each new wait for it is judged."""

    __slots__ = ()
    is_plain = False

    def add_done_callback(self, fn: Callable[[Any], object], /, *, context: Context | None = None) -> None:
        """Note a waiter."""
        super().add_done_callback(fn, context=context)
        loop = self.get_loop()
        if not self.done() and running_loop() is loop:
            loop.call_soon(judge_watched, self)  # by then the waiting task has come to rest

    def note_thread(self, scope: Envelope) -> None:
        """Note that a thread of the handler of `scope` waits, and judge it."""
        super().note_thread(scope)
        judge_watched(self)


class WaitingFuture(WatchedFuture[T]):
    """A wait for actors themselves: for their start, their end, or room in their mailbox."""

    __slots__ = ("cells", "ends", "sender")

    def __init__(self, loop: asyncio.AbstractEventLoop, cells: Iterable[Cell], *, ends: bool = False) -> None:
        super().__init__(loop=loop)
        self.cells = cells
        self.ends = ends
        """True if it waits for the end, and so for all actors below as well."""
        self.sender: Cell | None = None
        """The actor whose handler may wait for it; None for a wait of the engine, which is never refused."""


def judge(turn: Any) -> None:
    """Refuse what a handler begins to wait for, if that waits for this handler."""
    for future in _futures(turn.waiting):
        envelope = getattr(future, "envelope", None)
        if not future.is_plain or envelope is None or envelope.cell.turns is not None:
            _refuse_cycle(turn, future)


def judge_watched(future: AsyncioFuture[Any]) -> None:
    """Do the same for a future that a handler may wait for through a task, a thread or another future."""
    for turn in () if future.done() else _turns_behind(future):
        _refuse_cycle(turn, future)


def _turns_behind(future: AsyncioFuture[Any] | None) -> list[Any]:
    """Return the handlers that wait for a future: their actor has sent the message, or made the wait."""
    source = future if isinstance(future, WaitingFuture) else getattr(future, "envelope", None)
    cell: Cell | None = None if source is None else source.sender
    return [] if cell is None or future is None else [turn for turn in cell.turns or () if _depends(turn, future)]


def _refuse_cycle(turn: Any, future: AsyncioFuture[Any]) -> None:
    if isinstance(future, WaitingFuture) and future.sender is None:
        return
    chain = _chain(turn, future)
    if chain:
        future.fail(SelfStopError(chain) if _is_end(future) else AskCycleError(chain))


def _is_end(future: AsyncioFuture[Any]) -> bool:
    if isinstance(future, WaitingFuture):
        return future.ends
    promised = getattr(getattr(getattr(future, "envelope", None), "turn", None), "waiting", None)
    return isinstance(promised, WaitingFuture) and promised.ends


def _chain(turn: Any, future: AsyncioFuture[Any]) -> tuple[str, ...]:
    """Return the names from what `future` waits for to the handler and back, if it waits for that handler."""
    waiters: dict[Any, tuple[str, ...]] | None = None
    seen: set[Any] = set()
    left = list(_blockers(future))
    while left and len(seen) < _MOST_NODES:
        names, node = left.pop()
        waiters = _waiters(turn) if waiters is None else waiters
        if node in waiters:
            return (*names, *waiters[node], names[0])
        if node not in seen:
            seen.add(node)
            ahead = (further for its in _awaited(node) for further in _blockers(its))
            left.extend(((*names, *more), further) for more, further in ahead)
    return ()


def _waiters(turn: Any) -> dict[Any, tuple[str, ...]]:
    """Return the handlers that wait for this one, itself included, each with the names between the two."""
    found: dict[Any, tuple[str, ...]] = {turn: ()}
    queue = [turn]
    for node in queue:
        cell = node.cell
        for future in (node.envelope.reply, *(cell.ready_waiters or ()), *(cell.stopped_waiters or ())):
            ahead = [other for other in _turns_behind(future) if other not in found]
            found.update(dict.fromkeys(ahead, (cell.name, *found[node])))
            queue.extend(ahead)
    return found


def _blockers(future: AsyncioFuture[Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the handlers that must go on before `future` can be done, each behind the names that lead to it."""
    if isinstance(future, WaitingFuture):
        for cell in future.cells:
            yield from _handlers(cell, future.ends)
        return
    for source in future.sources:
        yield from _blockers(source)
    envelope = getattr(future, "envelope", None)
    if envelope is None or envelope.cell.loop is not future.get_loop():
        return
    before = getattr(envelope.cell.mailbox, "before", None)  # of a mailbox in which messages wait for others
    first = None if before is None else before(envelope)
    if envelope.state == QUEUED and first is not None and first.turn is not None:
        yield (envelope.cell.name,), first.turn
    elif envelope.state == QUEUED:
        yield from _handlers(envelope.cell, False)
    elif envelope.turn is not None:
        yield (envelope.cell.name,), envelope.turn


def _handlers(cell: Cell, ends: bool) -> Iterator[tuple[tuple[str, ...], Any]]:
    left: list[tuple[Cell, tuple[str, ...]]] = [(cell, (cell.name,))]
    while left:
        at, names = left.pop()
        if ends or at.max_concurrency == 1:
            for turn in at.turns or ():
                yield names, turn
        if ends:
            left.extend((child, (*names, child.name)) for child in at.children or ())


def _awaited(node: Any) -> Iterator[AsyncioFuture[Any]]:
    """Yield what a handler waits for, as far as that can be seen from it."""
    yield from _futures(node.waiting)
    if node.thread_wait is not None and not node.thread_wait.done():
        yield node.thread_wait


def _futures(waiting: Any) -> Iterator[AsyncioFuture[Any]]:
    """Yield the open futures of the engine behind what a coroutine waits for: itself, or through tasks and `gather`."""
    left = [waiting]
    while left:
        future = left.pop()
        if not asyncio.isfuture(future) or future.done():
            continue
        if isinstance(future, AsyncioFuture):
            yield future
            continue
        left.append(getattr(future, "_fut_waiter", None))
        left.extend(getattr(future, "_children", ()))


def _depends(turn: Any, future: asyncio.Future[Any]) -> bool:
    """True if the handler waits for `future`, as the callbacks of futures and tasks show."""
    seen: list[asyncio.Future[Any]] = [future]
    for known in seen:
        if known is turn.waiting or known is turn.task or known is turn.thread_wait:
            return True
        for callback, _ in getattr(known, "_callbacks", None) or ():
            seen.extend(woken for woken in _woken_by(callback) if woken not in seen)
    return False


def _woken_by(callback: Any) -> Iterator[asyncio.Future[Any]]:
    """Yield the futures and tasks that a callback of `await`, `gather`, `wait` or `shield` sets.

    The task that has opened a task group, of asyncio or anyio, cannot end before all tasks of the group do.
    """
    held = [getattr(callback, "__self__", None), *getattr(callback, "args", ())]
    held.extend(variable.cell_contents for variable in getattr(callback, "__closure__", None) or ())
    for thing in held:
        scope = getattr(thing, "cancel_scope", None)
        for future in (thing, getattr(thing, "_parent_task", None), getattr(scope, "_host_task", None)):
            if isinstance(future, asyncio.Future):
                yield future
