"""Decorators that turn functions of the user into triggers: `track` reports each call, `poll` calls again and again."""

from __future__ import annotations

import functools
import inspect
from time import time as wall_time
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from actors.runtime.actor import AsyncioActor
from protocols.triggers import FunctionReturned, TriggerConfigError, TriggerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from actors.runtime.ref import ActorRef
    from actors.runtime.system import ActorSystem
    from protocols.triggers import TriggerSink

F = TypeVar("F", bound="Callable[..., Any]")


def track(sink: TriggerSink, name: str, **metadata: str | float | bool | None) -> Callable[[F], F]:
    """Return a decorator: what the function returns becomes an event; None does not.

    The function works as before, in whatever thread; it neither waits for the run nor fails when the event is refused.

    Args:
        sink: Takes the events.
        name: Name of the event's function.
        metadata: Facts that each event carries.
    """

    def report(result: object) -> None:
        if result is not None:
            event = FunctionReturned(
                source=sink.name,
                time=wall_time(),
                function=name,
                text=str(result),
                metadata={"function": name, **metadata},
            )
            _hand_over(sink, event)

    def decorate(function: F) -> F:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def tracked_async(*args: Any, **kwargs: Any) -> Any:
                result = await function(*args, **kwargs)
                report(result)
                return result

            return cast("F", tracked_async)

        @functools.wraps(function)
        def tracked(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            report(result)
            return result

        return cast("F", tracked)

    return decorate


def poll(sink: TriggerSink, interval: float, *, system: ActorSystem) -> Callable[[F], F]:
    """Return a decorator: the function is called every `interval` seconds; what it returns becomes an event, None not.

    The first call is after one interval. A plain function runs in a thread; the next call is never before the last one
    has ended. An exception is logged and polling goes on. It ends with the system; to end it earlier, or to have it
    supervised, start a `PollActor` yourself.

    Raises:
        TriggerConfigError: The interval is not positive.
    """

    def decorate(function: F) -> F:
        system.start(PollActor, (sink, function, interval))
        return function

    if not interval > 0:
        msg = f"poll: interval must be > 0 seconds, not {interval!r}"
        raise TriggerConfigError(msg)
    return decorate


class FunctionEvents:
    """`track` and `poll` for one sink, with an end of their own.

    Example:
        ```python
        events = FunctionEvents(trigger, system)

        @events.track("saved", kind="note")
        def save(text: str) -> str: ...

        @events.poll(60.0)
        async def look() -> str | None: ...
        ```
    """

    def __init__(self, sink: TriggerSink, system: ActorSystem) -> None:
        """Take where the events go, and where polling lives."""
        self._sink = sink
        self._system = system
        self._polls: list[ActorRef[Any]] = []

    def track(self, name: str, **metadata: str | float | bool | None) -> Callable[[F], F]:
        """Return a decorator as `track` does."""
        return track(self._sink, name, **metadata)

    def poll(self, interval: float) -> Callable[[F], F]:
        """Return a decorator as `poll` does.

        Raises:
            TriggerConfigError: The interval is not positive.
        """

        def decorate(function: F) -> F:
            self._polls.append(self._system.start(PollActor, (self._sink, function, interval)))
            return function

        if not interval > 0:
            msg = f"poll: interval must be > 0 seconds, not {interval!r}"
            raise TriggerConfigError(msg)
        return decorate

    async def close(self) -> None:
        """End all polling; a call in hand is waited for."""
        polls, self._polls = self._polls, []
        for ref in polls:
            await ref.stop()


class _Poll(msgspec.Struct, frozen=True):
    pass


class PollActor(AsyncioActor):
    """Calls a function again and again and hands on what it returns."""

    def __init__(
        self,
        sink: TriggerSink,
        function: Callable[[], object] | Callable[[], Awaitable[object]],
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
        """Call once, and arrange for the next call."""
        if not isinstance(message, _Poll):
            self.unhandled(message)
            return
        self.calls += 1
        try:
            result = await self._call()
        except Exception as error:  # polling goes on
            self.failures += 1
            self.system.log_limited(
                "a polled function failed", actor=self.cell.name, function=self._name, error=type(error).__name__
            )
        else:
            if result is not None:
                self._report(result)
        self.schedule(self._interval, _Poll())

    async def _call(self) -> object:
        if inspect.iscoroutinefunction(self._function):
            return await self._function()
        result: object = await self.system.in_thread(self._function)()
        return result

    def _report(self, result: object) -> None:
        event = FunctionReturned(
            source=self._sink.name,
            time=wall_time(),
            function=self._name,
            text=str(result),
            metadata={"function": self._name},
        )
        _hand_over(self._sink, event)


def _hand_over(sink: TriggerSink, event: FunctionReturned) -> None:
    """Give the event away; one that is refused is counted by the trigger, and no business of the function."""
    try:
        sink.accept(event)
    except TriggerError:
        return
