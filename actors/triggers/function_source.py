"""Decorators that turn functions of the user into triggers: `track` reports each call, `poll` calls again and again."""

from __future__ import annotations

import functools
import inspect
import logging
from dataclasses import dataclass, field
from time import time as wall_time
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import msgspec

from actors.config.queue import QueueSpec
from actors.runtime.actor import AsyncioActor
from actors.triggers.prompt import check_prompt_template
from protocols.triggers import FunctionReturned, TriggerConfigError, TriggerStoppedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from actors.runtime.ref import ActorRef
    from actors.runtime.system import ActorSystem
    from protocols.triggers import Metadata, TriggerSink

_log: Final = logging.getLogger("understudy")

F = TypeVar("F", bound="Callable[..., Any]")


def track(sink: TriggerSink, name: str, **metadata: str | float | bool | None) -> Callable[[F], F]:
    """Return a decorator: what the function returns becomes an event; None does not.

    The function works as before, in whatever thread: it neither waits for the run nor fails because of its event. What
    it returns to be awaited is an event when it has been awaited.

    Args:
        sink: Takes the events.
        name: Name of the event's function.
        metadata: Facts that each event carries.

    Raises:
        TriggerConfigError: What is decorated is a generator function, which returns nothing at its end.
    """
    facts = {"function": name, **metadata}

    def decorate(function: F) -> F:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            msg = f"track {name!r}: a generator function has no result that could be an event; track a plain function"
            raise TriggerConfigError(msg)

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


@dataclass(frozen=True)
class FunctionSettings:
    """Settings of a trigger whose events come from functions; no manifest has one."""

    name: str = "events"
    """Name of the trigger, unique within its node."""
    template: str | None = None
    """Prompt of the run; what the function returned by default."""
    include_metadata: bool = True
    """Add the event's metadata to the prompt."""
    include_timestamp: bool = True
    """Add the time of the event to the prompt."""
    concurrency: int = 1
    """How many of its runs may go on at once."""
    queue: QueueSpec = field(default_factory=QueueSpec)
    """How many events may wait."""
    backoff: float = 0.2
    """First delay before the queue is started again after a failure, in seconds."""

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            TriggerConfigError: The name is empty, the template has an unknown place, or the concurrency is below 1.
        """
        if not self.name.strip() or self.concurrency < 1:
            msg = f"events need a name and a concurrency >= 1, not {self.name!r} and {self.concurrency!r}"
            raise TriggerConfigError(msg)
        try:
            check_prompt_template(self.template)
        except ValueError as error:
            msg = f"events {self.name!r}: {error}"
            raise TriggerConfigError(msg) from error


class FunctionEvents:
    """`track` and `poll` for one sink, with an end of their own.

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
        """Take where the events go, and where polling lives."""
        self._sink = sink
        self._system = system
        self._polls: list[ActorRef[Any]] = []
        self._is_closed = False

    def track(self, name: str, **metadata: str | float | bool | None) -> Callable[[F], F]:
        """Return a decorator as `track` does."""
        return track(self._sink, name, **metadata)

    def poll(self, interval: float) -> Callable[[F], F]:
        """Return a decorator as `poll` does.

        Raises:
            TriggerConfigError: The interval is not positive.
            TriggerStoppedError: These events have been closed.
        """

        def decorate(function: F) -> F:
            if self._is_closed:
                msg = f"events of trigger {self._sink.name!r} have ended; nothing is polled for them any more"
                raise TriggerStoppedError(msg)
            self._polls.append(self._system.start(PollActor, (self._sink, function, interval)))
            return function

        if not interval > 0:
            msg = f"poll: interval must be > 0 seconds, not {interval!r}"
            raise TriggerConfigError(msg)
        return decorate

    async def close(self) -> None:
        """End all polling; a call in hand is waited for. Tracked functions go on working, as any function."""
        self._is_closed = True
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
            _report(self._sink, self._name, result, {"function": self._name})
        self.schedule(self._interval, _Poll())

    async def _call(self) -> object:
        if inspect.iscoroutinefunction(self._function):
            return await self._function()
        result: object = await self.system.in_thread(self._function)()
        return result


def _report(sink: TriggerSink, name: str, result: object, facts: Metadata) -> None:
    """Make an event of what a function returned; whatever is wrong with it is no business of the function."""
    if result is None:
        return
    try:
        text = str(result)
    except Exception:
        _log.exception("function %r: its result has no text, so it is no event", name)
        return
    sink.report(FunctionReturned(source=sink.name, time=wall_time(), function=name, text=text, metadata=facts))
