"""Calls that block, in threads that delay neither the event loop nor the end of the process."""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Executor, Future
from contextvars import copy_context
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar

from actors.runtime.envelope import current

P = ParamSpec("P")
T = TypeVar("T")

_PATIENCE: Final = 5.0
"""Seconds that a thread waits for more work before it ends."""
_own = threading.local()


class DaemonExecutor(Executor):
    """Runs calls in daemon threads: one that is stuck keeps neither the loop nor the interpreter from ending.

    A thread that waits for an actor does not count, so the actor gets a thread as well if it needs one.
    """

    def __init__(self, threads: int | None, name: str) -> None:
        self._limit = threads
        self._name = name
        self._calls: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._change = threading.Condition()
        self._threads = 0
        """All of them, without those that wait for an actor."""
        self._idle = 0
        self._is_closed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call a function in a thread. Raises RuntimeError after the shutdown."""
        future: Future[T] = Future()
        with self._change:
            if self._is_closed:
                raise RuntimeError("no call is taken after the shutdown")
            self._calls.append((future, lambda: fn(*args, **kwargs)))
            self._staff()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls. A thread that is stuck is left behind, whatever `wait` is: Python cannot end it."""
        with self._change:
            self._is_closed = True
            while cancel_futures and self._calls:
                self._calls.popleft()[0].cancel()
            self._change.notify_all()

    def _staff(self) -> None:
        if self._idle >= len(self._calls):
            self._change.notify()
        elif self._limit is None or self._threads < self._limit:
            threading.Thread(target=self._work, name=self._name, daemon=True).start()
            self._threads += 1

    def _work(self) -> None:
        _own.executor = self
        while (taken := self._take()) is not None:
            future, call = taken
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except StopIteration as error:  # no future of asyncio can hold one
                    future.set_exception(RuntimeError(f"the function raised StopIteration: {error}"))
                except BaseException as error:  # it belongs to the caller
                    future.set_exception(error)
            del taken, future, call  # an idle thread keeps nothing alive

    def _take(self) -> tuple[Future[Any], Callable[[], Any]] | None:
        """Wait for the next call; None ends the thread. Without a limit of threads, none waits."""
        with self._change:
            while not self._calls and not self._is_closed and self._limit is not None:
                self._idle += 1
                is_woken = self._change.wait(_PATIENCE)
                self._idle -= 1
                if not is_woken:
                    break
            if self._calls and (self._limit is None or self._threads <= self._limit):
                return self._calls.popleft()
            self._threads -= 1
            self._change.notify()
            return None

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return an async function that runs `function` in a thread of the pool, in the caller's context."""

        async def run(*args: Any) -> Any:
            return _taken(await _outcome(self.submit(copy_context().run, _kept, function, *args)))

        return run

    def lend(self, by: int) -> None:
        """Count the thread of the caller as waiting (-1) or as busy again (1)."""
        with self._change:
            self._threads += by
            if by < 0 and self._calls:
                self._staff()


@contextlib.contextmanager
def lent() -> Generator[None]:
    """Lend the place of this thread to others while it waits for an actor."""
    executor: DaemonExecutor | None = getattr(_own, "executor", None)
    if executor is None:
        yield
        return
    executor.lend(-1)
    try:
        yield
    finally:
        executor.lend(1)


CALLS: Final = DaemonExecutor(None, "understage-call")
"""A thread for each call; the number has no limit here, the caller sets it."""


def _kept(function: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Any, BaseException | None]:
    """Return the result or the error of a call; not every kind of error can be set on a future."""
    try:
        return function(*args, **kwargs), None
    except BaseException as error:  # it is raised again where the call is waited for
        return None, error


async def _outcome(work: Future[Any]) -> Any:
    """Wait for a thread. A cancellation takes back work that has not begun, and otherwise still waits for the thread.

    Otherwise two handlers of one actor would run at once. A handler that was cut loose, or whose loop ends, leaves the
    thread behind.
    """
    scope = current.get()
    waiter = asyncio.wrap_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not waiter.done():
        try:
            await asyncio.wait([waiter])
        except asyncio.CancelledError as error:
            if work.cancel() or scope is None or scope.fenced or scope.cell.system.is_torn_down():
                raise
            cancelled = error
    result = waiter.result()
    if cancelled is not None:
        raise cancelled
    return result


def _taken(outcome: tuple[Any, BaseException | None]) -> Any:
    result, error = outcome
    if error is not None:
        raise error
    return result


async def in_daemon_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in a thread of its own and return what it returns, or raise what it raises."""
    call = partial(copy_context().run, partial(_kept, function, *args, **kwargs))
    result: T = _taken(await asyncio.get_running_loop().run_in_executor(CALLS, call))
    return result
