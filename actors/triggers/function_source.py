"""Decorators that turn functions of the user into triggers: `track` reports each call, `poll` calls at an interval."""

import functools
import inspect
import logging
from collections.abc import Awaitable, Callable
from time import time as wall_time
from typing import Any, Final, TypeVar, cast

import msgspec

from actors.runtime.actor import AsyncioActor
from actors.runtime.ref import ActorRef
from actors.runtime.system import ActorSystem
from protocols.triggers import FunctionReturned, Metadata, TriggerConfigError, TriggerSink, TriggerStoppedError

_log: Final = logging.getLogger("understage")

F = TypeVar("F", bound="Callable[..., Any]")


def track(sink: TriggerSink, name: str, **metadata: str | float | bool | None) -> Callable[[F], F]:
    """Return a decorator: each result of the function becomes an event, except None.

    The function works as before, in any thread. It neither waits for the run nor fails because of its event. An
    awaitable result becomes an event when it has been awaited.

    Args:
        sink: takes the events.
        name: name of the event's function.
        metadata: facts that each event carries.

    Raises:
        TriggerConfigError: The function is a generator function, which has no result.
    """
    facts = {"function": name, **metadata}

    def decorate(function: F) -> F:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TriggerConfigError(
                f"track {name!r}: a generator function has no result that could be an event; track a plain function"
            )

        async def reported(result: Awaitable[Any]) -> Any:
            value = await result
            _report(sink, name, value, facts)
            return value

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def tracked_async(*args: Any, **kwargs: Any) -> Any:
                return await reported(function(*args, **kwargs))

            return cast("F", tracked_async)

        @functools.wraps(function)
        def tracked(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            if inspect.isawaitable(result):
                return reported(result)
            _report(sink, name, result, facts)
            return result

        return cast("F", tracked)

    return decorate


def poll(sink: TriggerSink, interval: float, *, system: ActorSystem) -> Callable[[F], F]:
    """Return a decorator that calls the function every `interval` seconds. Each result becomes an event, except None.

    The first call is after one interval. A plain function runs in a thread. Calls never overlap. An exception is
    logged, and polling continues. Polling ends with the system; start a `PollActor` yourself to end it earlier, or to
    have it supervised.

    Raises:
        TriggerConfigError: The interval is not positive.
    """
    return FunctionEvents(sink, system).poll(interval)


class FunctionEvents:
    """`track` and `poll` for one sink, until `close`.

    Example:
        ```python
        async with AgentPool("agents.yml") as pool:
            events = await pool.service(TriggerService).events("reader")

            @events.track("saved", kind="note")
            def save(text: str) -> str: ...

            @events.poll(60.0)
            async def look() -> str | None: ...
        ```
    """

    def __init__(self, sink: TriggerSink, system: ActorSystem) -> None:
        self._sink = sink
        self._system = system
        self._polls: list[ActorRef[Any]] = []
        self._is_closed = False

    def track(self, name: str, **metadata: str | float | bool | None) -> Callable[[F], F]:
        """Return the decorator of `track`."""
        return track(self._sink, name, **metadata)

    def poll(self, interval: float) -> Callable[[F], F]:
        """Return the decorator of `poll`.

        Raises:
            TriggerConfigError: The interval is not positive.
            TriggerStoppedError: These events have been closed.
        """
        if not interval > 0:
            raise TriggerConfigError(f"poll: interval must be > 0 seconds, not {interval!r}")

        def decorate(function: F) -> F:
            if self._is_closed:
                message = f"events of trigger {self._sink.name!r} have ended; nothing is polled for them any more"
                raise TriggerStoppedError(message)
            self._polls.append(self._system.start(PollActor, (self._sink, function, interval)))
            return function

        return decorate

    async def close(self) -> None:
        """End all polling, after the present calls. Tracked functions continue to work."""
        self._is_closed = True
        polls, self._polls = self._polls, []
        for ref in polls:
            await ref.stop()


class _Poll(msgspec.Struct, frozen=True):
    pass


class PollActor(AsyncioActor):
    """Calls a function at an interval and reports what it returns."""

    def __init__(
        self,
        sink: TriggerSink,
        function: Callable[[], Any],
        interval: float,
    ) -> None:
        super().__init__()
        self._sink = sink
        self._function = function
        self._interval = interval
        self._name = getattr(function, "__name__", "function")
        self.calls = 0
        self.failures = 0

    def on_start(self) -> None:
        """Wait for the first call."""
        self.schedule(self._interval, _Poll())

    async def on_receive(self, message: Any) -> None:
        """Call the function, and schedule the next call."""
        if not isinstance(message, _Poll):
            self.unhandled(message)
            return
        self.calls += 1
        try:
            is_async = inspect.iscoroutinefunction(self._function)
            result: object = await (self._function() if is_async else self.system.in_thread(self._function)())
        except Exception as error:  # polling goes on
            self.failures += 1
            self.system.log_limited(
                "a polled function failed", actor=self._actor_cell.name, function=self._name, error=type(error).__name__
            )
        else:
            _report(self._sink, self._name, result, {"function": self._name})
        self.schedule(self._interval, _Poll())


def _report(sink: TriggerSink, name: str, result: object, facts: Metadata) -> None:
    """Report the result of a function as an event; a failure here must not reach the function."""
    if result is None:
        return
    try:
        text = str(result)
    except Exception:
        _log.exception("function %r: its result has no text, so it is no event", name)
        return
    sink.report(FunctionReturned(source=sink.name, time=wall_time(), function=name, text=text, metadata=facts))
