"""The future of an ask: awaited on the loop, waited for with `get()` in any other thread."""

import asyncio
import functools
import logging
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextvars import Context
from typing import Any, Final, TypeVar, cast

import pykka

from actors.runtime.clock import running_loop
from actors.runtime.daemon_thread import lent
from actors.runtime.envelope import RUNNING, Envelope, current
from actors.runtime.errors import AskTimeoutError, BlockingCallError, RuntimeClosedError
from protocols.errors import of_kind, safe_repr

T = TypeVar("T")
J = TypeVar("J")
M = TypeVar("M")
R = TypeVar("R")

ExcInfo = tuple[Any, BaseException | None, Any]

_CLOSED_CHECK: Final = 0.25
"""Seconds between two checks for a closed loop, while a thread waits."""


class _DetachedLoop:
    """Stands for the loop of a future that belongs to none: callbacks run at once, in the thread that sets it."""

    def get_debug(self) -> bool:
        return False

    is_closed = get_debug

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context) -> None:
        try:
            context.run(callback, *args)
        except Exception:  # of a callback; whoever sets the value has no part in it
            logging.getLogger("understage.engine").exception("%s failed", safe_repr(callback))


_DETACHED: Final = cast("asyncio.AbstractEventLoop", _DetachedLoop())


class AsyncioFuture(asyncio.Future[T], pykka.Future[T]):
    """A value that will come: `await` it on an event loop, `get()` it in any thread. `cancel` cancels the work.

    The reply of an ask belongs to the actor's loop. One that you make belongs to `loop`, by default the running one,
    or where none runs, to no loop: any thread may set it, any loop or thread may wait for it. The functions of Pykka's
    `map`, `filter`, `join` and `reduce` run once, when the value is there: on the loop, or in the thread that sets it.
    """

    __slots__ = ("_source", "envelope")

    envelope: Envelope | None
    """The message whose handling will answer, while it is open. Unset in a future that no ask has made: an `__init__`
    would double the price of a future, a `__getattr__` triples that of every attribute."""
    _source: tuple[asyncio.Future[Any], ...] | None
    is_plain = False
    """True for a reply that closes no cycle as long as the actor that it is asked of waits for nothing."""

    def __init__(self, *, loop: asyncio.AbstractEventLoop | None = None) -> None:
        super().__init__(loop=loop or running_loop() or _DETACHED)

    def __await__(self) -> Generator[Any, None, T]:
        here = running_loop()
        if self.done() or here is None or here is self.get_loop():
            return super().__await__()
        reply: AsyncioFuture[T] = LoopFuture(loop=here)
        reply.follow(self)
        return reply.__await__()

    __iter__ = __await__

    def cancel(self, msg: Any | None = None) -> bool:
        """Give up: queued work is never started, running work is cancelled. Returns False if the reply was done."""
        if not _is_here(self):
            if self.done():
                return False
            _on_loop(self, self.cancel, msg)
            return True
        if not super().cancel(msg):
            return False
        self.settled()
        for source in getattr(self, "_source", None) or ():
            source.cancel(msg)
        return True

    @property
    def sources(self) -> "tuple[AsyncioFuture[Any], ...]":
        """The replies that this one is made from, such as by `map`, `filter`, `join` or `reduce`."""
        sources: tuple[asyncio.Future[Any], ...] = getattr(self, "_source", None) or ()
        return tuple(source for source in sources if isinstance(source, AsyncioFuture))

    def settled(self, why: str = "cancelled") -> None:
        """Forget the deadline and release the work, if it is still open."""
        envelope = self.release()
        if envelope is not None and envelope.reply is self:
            envelope.abandon(why)

    def release(self) -> Envelope | None:
        """Forget the deadline and the message; returns the message."""
        envelope = getattr(self, "envelope", None)
        if envelope is not None:
            self.envelope = None
            if envelope.lane is not None:
                envelope.lane.pop(self, None)
            if envelope.inner:
                envelope.cell.system.deadlines.part(envelope)
        return envelope

    def follow(self, source: asyncio.Future[T]) -> None:
        """End as another future does; a cancellation reaches it as well. Call it where this future may be set."""
        if self.done():
            source.cancel()
            return
        self._source = (source,)
        _when_done(source, self, self.end_as)

    def end_as(self, source: asyncio.Future[T]) -> None:
        """Take over how another future ended, unless this one ended before."""
        error = None if source.cancelled() else source.exception()
        if self.done():
            return
        if source.cancelled():
            self.cancel()
        elif error is not None:
            self.fail(error)
        else:
            self.answer(source.result())

    def answer(self, value: T) -> None:
        """Set the value on the loop's thread and forget the deadline; drop the value if the asker gave up."""
        try:
            self.set_result(value)
        except asyncio.InvalidStateError:
            if not self.cancelled() and self.exception() is None:
                raise
            scope = current.get()
            if scope is not None:
                scope.cell.system.late_replies += 1
        self.release()

    def fail(self, error: BaseException) -> None:
        """Set the error on the loop's thread, if nothing was set yet. An error that is never read is not logged."""
        if self.done():
            return
        if of_kind(error, StopIteration):
            error = _as_runtime_error(error)
        super().set_exception(error)
        self.exception()
        self.settled()

    def set(self, value: T | None = None) -> None:
        """Set the value, from any thread."""
        _on_loop(self, self.answer, cast("T", value))

    def set_exception(self, exc_info: type[Any] | BaseException | ExcInfo | None = None, /) -> None:
        """Set an exception, an `exc_info` tuple, or the exception being handled; from any thread."""
        if exc_info is None:
            exc_info = sys.exc_info()
        error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
        if isinstance(error, type):
            error = error()
        if not isinstance(error, BaseException):
            raise TypeError(f"set_exception needs an exception, not {exc_info!r}")
        _on_loop(self, self.fail, error)

    def get(self, *, timeout: float | None = None) -> T:
        """Wait for the value in a thread that runs no event loop of this future.

        Args:
            timeout: seconds; None waits for ever (the ask itself has a deadline of its own).

        Raises:
            AskTimeoutError: nothing came in time. It is also `pykka.Timeout` and `TimeoutError`.
            BlockingCallError: called on the loop's own thread, where the value could never come.
            RuntimeClosedError: the loop was closed before the value came.
        """
        if not self.done():
            self._wait(timeout)
        return self.result()

    def _wait(self, timeout: float | None) -> None:
        if running_loop() is not None:
            raise BlockingCallError("get() would block the event loop that runs in this thread; use `await` instead")
        done = threading.Event()
        scope = current.get()
        try:
            if scope is not None:
                _on_loop(self, self.note_thread, scope)
            _on_loop(self, functools.partial(self.add_done_callback, lambda _: done.set()))
            self.wait_in_thread(done, timeout)
        except Exception:
            raise
        except BaseException:  # Ctrl+C: who gives up waiting cancels the work
            self.cancel()
            raise

    def note_thread(self, scope: Envelope) -> None:
        """Note that a thread of the handler of `scope` waits for this."""
        for source in self.sources:
            source.note_thread(scope)
        if scope.state == RUNNING and scope.turn is not None:
            scope.turn.thread_wait = self

    @lent()
    def wait_in_thread(self, done: threading.Event, timeout: float | None) -> None:
        """Wait for an event that a callback of this future sets; see `get` for what is raised."""
        loop = self.get_loop()
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _CLOSED_CHECK if end is None else min(_CLOSED_CHECK, end - time.monotonic())
            if done.wait(max(left, 0)) or self.done():
                return
            if loop.is_closed():
                raise RuntimeClosedError("the event loop was closed before the reply came")
            if end is not None and time.monotonic() >= end:
                raise AskTimeoutError(f"no reply within {timeout} seconds")

    def set_get_hook(self, func: Callable[[float | None], T]) -> None:
        """Raise NotImplementedError: a hook would run in whichever thread asks; use `map`."""
        raise NotImplementedError(f"set_get_hook({func!r}): an AsyncioFuture takes no hooks; use map()")

    def map(self, func: Callable[[T], M]) -> "AsyncioFuture[M]":
        """Return a future of `func(value)`."""
        return _derive((self,), lambda: func(self.result()))

    def filter(self: "AsyncioFuture[Iterable[J]]", func: Callable[[J], bool]) -> "AsyncioFuture[Iterable[J]]":
        """Return a future of the items for which `func` is true."""
        return _derive((self,), lambda: [item for item in self.result() if func(item)])

    def join(self: "AsyncioFuture[Any]", *futures: pykka.Future[Any]) -> "AsyncioFuture[Iterable[Any]]":
        """Return a future of the list of this value and those of the other futures, which must be of the same kind."""
        others = [future for future in futures if isinstance(future, AsyncioFuture)]
        if len(others) != len(futures):
            raise TypeError("join: an AsyncioFuture joins only futures of its own kind")
        everything = (self, *others)
        return _derive(everything, lambda: [future.result() for future in everything])

    def reduce(self: "AsyncioFuture[Iterable[J]]", func: Callable[[R, J], R], *args: R) -> "AsyncioFuture[R]":
        """Return a future of the items reduced to one value by `func`, beginning with the optional start value."""
        reduce = cast("Callable[..., R]", functools.reduce)
        return _derive((self,), lambda: reduce(func, self.result(), *args))


class LoopFuture(AsyncioFuture[T]):
    """A future of a loop that is known. Asks make one each, so nothing but C code runs to make it or to await it."""

    __slots__ = ()
    is_plain = True

    __init__ = asyncio.Future[T].__init__  # pyright: ignore[reportAssignmentType] - a base of this class
    __await__ = __iter__ = asyncio.Future[T].__await__  # pyright: ignore[reportAssignmentType] - the same


def _as_runtime_error(error: BaseException) -> RuntimeError:
    converted = RuntimeError(f"the handler raised StopIteration({safe_repr(getattr(error, 'value', None))})")
    converted.__cause__ = error
    return converted


def _is_here(future: asyncio.Future[Any]) -> bool:
    return future.get_loop() in (_DETACHED, running_loop())


def _on_loop(future: asyncio.Future[Any], callback: Callable[..., object], *args: Any) -> None:
    if _is_here(future):
        callback(*args)
        return
    try:
        future.get_loop().call_soon_threadsafe(callback, *args)
    except RuntimeError as error:
        raise RuntimeClosedError("the event loop of this actor system is closed") from error


def _when_done(source: asyncio.Future[Any], future: asyncio.Future[Any], callback: Callable[[Any], object]) -> None:
    """Call a function where `future` may be set, when `source` is done."""
    _on_loop(source, source.add_done_callback, functools.partial(_on_loop, future, callback))


def _derive(sources: tuple[AsyncioFuture[Any], ...], compute: Callable[[], M]) -> AsyncioFuture[M]:
    derived: AsyncioFuture[M] = AsyncioFuture(loop=sources[0].get_loop())
    derived._source = sources  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - same class
    waiting = list(range(len(sources)))  # who takes out the 0 is the last one, in whichever thread

    def one_is_done(source: asyncio.Future[Any]) -> None:
        if derived.done() or (waiting.pop() and not source.cancelled() and source.exception() is None):
            return
        if source.cancelled():
            derived.cancel()
            return
        try:
            derived.set_result(compute())
        except BaseException as error:  # whatever the function raised belongs to the waiter
            derived.fail(error)

    for source in sources:
        _when_done(source, derived, one_is_done)
    return derived
