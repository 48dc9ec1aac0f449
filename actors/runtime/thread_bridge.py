"""Calling the loop of a system from other threads. Order per sending thread is kept; every ask settles."""

import asyncio
import threading
from asyncio import iscoroutine, isfuture
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial, wraps
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from actors.runtime.cell import Cell, System
from actors.runtime.clock import running_loop
from actors.runtime.envelope import Envelope, current
from actors.runtime.errors import (
    ActorStoppingError,
    BlockingCallError,
    MailboxFullError,
    RuntimeClosedError,
    WrongLoopError,
)
from actors.runtime.future import AsyncioFuture, LoopFuture
from actors.runtime.intake import accept, envelope_here, send
from actors.runtime.options import check_timeout
from actors.runtime.outcome import ended_error
from protocols.control import DeadLetterReason
from protocols.mailbox import Overflow

P = ParamSpec("P")
T = TypeVar("T")

_MOST_WAITING: Final = 100_000
"""Messages from threads that may wait for the loop; a thread that sends more blocks until the loop has caught up."""
_SLICE: Final = 256
"""Messages that are passed on before the loop runs other things."""


class ThreadBridge:
    """The door of one system for threads that do not run its loop.

    What threads send and call waits in one queue, in order. Closing is atomic: each item is passed on or refused.
    """

    def __init__(self, system: System) -> None:
        self._system = system
        self._waiting: deque[Envelope | Callable[[], object]] = deque()
        self._passing: dict[Cell, int] = {}
        """Messages on their way to a mailbox, for its bound."""
        self._lock = threading.RLock()  # a signal handler may send while the thread it interrupts is sending
        self._is_woken = False
        self._room = threading.Event()
        self._room.set()

    @property
    def waiting(self) -> int:
        """Messages from threads that the loop has not taken yet."""
        return len(self._waiting)

    def tell(self, cell: Cell, message: Any) -> None:
        """Do what `ActorRef.tell` does, from a thread or from another loop."""
        self._system.check_open()
        scope, mailbox, envelope = current.get(), cell.mailbox, envelope_here(cell, message)
        if scope is not None and scope.fenced:
            self._post(partial(self._system.dead_letters.add, envelope, DeadLetterReason.FENCED))
            return
        if mailbox.closed:
            self._post(partial(self._system.dead_letters.add, envelope, DeadLetterReason.DEAD))
            raise ended_error(cell, "not found", cell.ref)
        waits = mailbox.overflow is Overflow.WAIT
        if waits and running_loop() is None:
            self.call(partial(send, cell, envelope))
        else:
            self._post(envelope, is_bounded=waits or mailbox.overflow is Overflow.REJECT)

    def ask(self, cell: Cell, ask: Callable[[], AsyncioFuture[Any]], block: bool | None, timeout: float | None) -> Any:
        """Do what `ActorRef.ask` does, from a thread; `ask` does it on the loop."""
        self._system.check_open()
        _check_thread(f"actor {cell.name}", "ref.ask, message")
        check_timeout(timeout)
        if block is False:
            return self.future(ask, is_sent=True)
        # The loop ends the ask at its deadline; the extra time is for a loop that is blocked or gone.
        return self.call(ask, None if timeout is None else timeout + self._system.config.grace, is_sent=True)

    def end(self, block: bool | None, begin: Callable[[], AsyncioFuture[bool]]) -> Any:
        """Stop or kill from a thread, or from another loop without blocking it; `begin` does it on the loop."""
        blocks = running_loop() is None if block is None else block
        try:
            return self.call(begin) if blocks else self.future(begin)
        except RuntimeClosedError:
            if self._system.is_forked:
                raise
            stopped: AsyncioFuture[bool] = AsyncioFuture(loop=self._system.loop)
            stopped.set_result(False)
            return False if blocks else stopped

    def future(self, function: Callable[[], Any], *, is_sent: bool = False) -> AsyncioFuture[Any]:
        """Run a function on the loop, and return the future of its result at once.

        Nothing is begun for a future that was cancelled before, unless it was sent: then it is a dead letter.
        """
        self._system.check_open()
        outcome: AsyncioFuture[Any] = AsyncioFuture(loop=self._system.loop)  # any loop may wait for it
        self._post(partial(copy_context().run, partial(_settle, outcome, function, False, is_sent)))
        return outcome

    def call(self, function: Callable[[], Any], within: float | None = None, *, is_sent: bool = False) -> Any:
        """Run a function on the loop, await what it returns if it can be awaited, and return the result.

        Raises:
            AskTimeoutError: `within` seconds have passed. A thread that gives up cancels what it waits for.
        """
        if running_loop() is self._system.loop:
            raise BlockingCallError("a blocking call would block the event loop that runs in this thread; use `await`")
        _check_thread(f"system {self._system.name}", "system.start, Actor")
        self._system.check_open()
        outcome: AsyncioFuture[Any] = LoopFuture(loop=self._system.loop)
        done = threading.Event()
        outcome.add_done_callback(lambda _: done.set())
        try:
            self._post(partial(copy_context().run, partial(_settle, outcome, function, True, is_sent)))
            outcome.wait_in_thread(done, within)
        except BaseException:
            with suppress(RuntimeClosedError):
                outcome.cancel()
            raise
        if outcome.cancelled() and self._system.is_closed:
            self._system.check_open()
        return outcome.result()

    def _post(self, item: Envelope | Callable[[], object], *, is_bounded: bool = False) -> None:
        """Queue an item. A bounded one is a message that is refused here if the mailbox has no room for it."""
        if len(self._waiting) >= _MOST_WAITING and not is_bounded:
            self._wait_for_space(item)
        with self._lock:
            self._system.check_open()
            if is_bounded and isinstance(item, Envelope):
                mailbox, passing = item.cell.mailbox, self._passing.get(item.cell, 0)
                # A mailbox with keys may replace a message; only the loop can tell.
                if len(mailbox) + passing >= mailbox.capacity and mailbox.config.key is None:
                    raise MailboxFullError(mailbox.who, mailbox.capacity, item.message)
            if not self._is_woken:
                self._wake()
            if isinstance(item, Envelope):
                self._passing[item.cell] = self._passing.get(item.cell, 0) + 1
            self._waiting.append(item)

    def _wait_for_space(self, item: Envelope | Callable[[], object]) -> None:
        """Block a thread until the loop has caught up. An event loop is never blocked: what it sends is refused."""
        if running_loop() is not None:
            who, what = f"of system {self._system.name}", item
            if isinstance(item, Envelope):
                who, what = item.cell.mailbox.who, item.message
            raise MailboxFullError(who, _MOST_WAITING, what)
        self._room.clear()
        while not self._room.wait(0.25):
            self._system.check_open()

    def _wake(self) -> None:
        try:
            self._system.loop.call_soon_threadsafe(self._pass_on, context=Context())
        except RuntimeError as error:
            raise RuntimeClosedError(f"the event loop of system {self._system.name} is closed") from error
        self._is_woken = True

    def _pass_on(self) -> None:
        with self._lock:
            self._is_woken = False
        waiting = self._waiting
        try:
            for _ in range(min(_SLICE, len(waiting))):
                self._pass(waiting.popleft())
        finally:
            with self._lock:
                if waiting and not self._is_woken:
                    self._wake()
            if len(waiting) < _MOST_WAITING // 2:
                self._room.set()

    def _pass(self, item: Envelope | Callable[[], object]) -> None:
        if not isinstance(item, Envelope):
            item()
            return
        cell = item.cell
        try:
            with self._lock:  # a thread that looks for room counts the message once: on its way, or in the mailbox
                left = self._passing.pop(cell) - 1
                if left:
                    self._passing[cell] = left
                accept(cell, item)
        except BaseException as error:  # the sender is in another thread and has gone on
            cell.system.note_base_exception(error)
            if not isinstance(error, ActorStoppingError):  # else it is a dead letter already
                cell.system.dead_letters.add(item, DeadLetterReason.OVERFLOW, error)

    async def take_in(self) -> None:
        """Pass on what waits now: it was sent before what the caller does next."""
        for _ in range(-(-len(self._waiting) // _SLICE)):
            self._pass_on()
            await asyncio.sleep(0)

    def close(self) -> None:
        """Pass on what was sent before the system was closed: it finds no actor, so it is a dead letter or an error."""
        with self._lock:
            self._is_woken = True  # whoever posts after this sees that the system is closed
        while self._waiting:
            with suppress(RuntimeError):  # from the loop, if it is closed: it can tell nobody
                self._pass(self._waiting.popleft())
        self._room.set()


def _check_thread(what: str, call: str) -> None:
    """Raise WrongLoopError if an event loop runs here, which a blocking call would stop."""
    if running_loop() is not None:
        raise WrongLoopError(f"{what} lives on another event loop than the one here; `await asyncio.to_thread({call})`")


def on_own_loop(method: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], T]:
    """Have a method of an actor run on the actor's loop when a blocking handler calls it in its thread."""

    @wraps(method)
    def call(self: Any, *args: P.args, **kwargs: P.kwargs) -> T:
        cell: Cell = self._actor_cell  # pyright: ignore[reportPrivateUsage]
        if running_loop() is cell.loop:
            return method(self, *args, **kwargs)
        scope = current.get()
        if scope is not None and scope.fenced:
            raise ActorStoppingError(f"actor {cell.name} goes on without this handler, which was cut loose")
        result: T = cell.system.bridge.call(lambda: method(self, *args, **kwargs))
        return result

    return call  # type: ignore[return-value] # `wraps` names the first parameter


def _settle(outcome: AsyncioFuture[Any], function: Callable[[], Any], waits: bool, is_sent: bool) -> None:
    """Call a function on the loop for a thread, unless that waits no more."""
    if outcome.done() and not is_sent:
        return
    try:
        result = function()
        if iscoroutine(result):
            result = outcome.get_loop().create_task(result)
    except BaseException as error:  # it belongs to the caller
        outcome.fail(error)
        return
    if not isfuture(result):
        outcome.set_result(result)
    elif result.done():
        outcome.end_as(result)
    else:
        outcome.follow(result)
        scope = current.get()
        if waits and scope is not None:
            outcome.note_thread(scope)
