"""Deadlines of open asks: one timer for each distinct timeout, not one for each ask."""

from typing import Any, Final

from actors.runtime.envelope import Envelope
from actors.runtime.errors import ActorRestartingError, AskTimeoutError
from actors.runtime.future import AsyncioFuture
from protocols.clock import Clock, TimerHandle
from protocols.control import ActorState
from protocols.errors import type_name

_MOST_LANES: Final = 64
"""Distinct timeouts that share a timer; further ones get a timer for each ask."""

Lane = dict[AsyncioFuture[Any], float]


class SingleTimer:
    """A deadline with a timer of its own, in the place of a lane."""

    __slots__ = ("_handle",)

    def __init__(self, handle: TimerHandle) -> None:
        self._handle = handle

    def pop(self, reply: AsyncioFuture[Any], default: None = None) -> None:
        """Forget the deadline."""
        self._handle.cancel()


class Deadlines:
    """Asks with the same timeout end in the order in which they were made, so each timeout is a queue of its own."""

    __slots__ = ("_clock", "lanes", "paused")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.lanes: dict[float, Lane] = {}
        self.paused: dict[Envelope, list[Any]] = {}
        """Asks whose time stands still: for how many handlers, the seconds that are left, and the reply."""

    def add(self, envelope: Envelope, reply: AsyncioFuture[Any], timeout: float, now: float) -> None:
        """Let an ask expire `timeout` seconds after `now`."""
        lane = self.lanes.get(timeout)
        if lane is None:
            if len(self.lanes) >= _MOST_LANES:
                self.add_once(envelope, reply, timeout, now + timeout)
                return
            lane = self.lanes[timeout] = {}
            self._clock.call_later(timeout, self._sweep, timeout, lane)
        envelope.deadline = lane[reply] = now + timeout
        envelope.lane = lane

    def add_once(self, envelope: Envelope, reply: AsyncioFuture[Any], timeout: float, deadline: float) -> None:
        """The same for a timeout that will hardly come again, such as the rest of an outer deadline."""
        envelope.deadline = deadline
        envelope.lane = SingleTimer(self._clock.call_later(timeout, expire, reply))

    def share(self, outer: Envelope, envelope: Envelope, reply: AsyncioFuture[Any]) -> None:
        """Let an ask of a handler expire with the ask that is handled."""
        if outer.inner is None:
            outer.inner = {}
        outer.inner[reply] = envelope.deadline = outer.deadline
        envelope.lane = outer.inner

    def part(self, outer: Envelope) -> None:
        """Give the asks that were to expire with another one timers of their own: that one ends before them."""
        now = self._clock.now()
        inner, outer.inner = outer.inner, None
        for reply, deadline in inner.items():
            self.add_once(reply.envelope, reply, max(deadline - now, 0.0), deadline)

    def _sweep(self, timeout: float, lane: Lane) -> None:
        now = self._clock.now()
        while lane:
            reply = next(iter(lane))
            left = lane[reply] - now
            if left > 0:
                self._clock.call_later(left, self._sweep, timeout, lane)
                return
            del lane[reply]
            expire(reply)
        if self.lanes.get(timeout) is lane:
            del self.lanes[timeout]

    def __len__(self) -> int:
        return sum(len(lane) for lane in self.lanes.values())


def expire(reply: AsyncioFuture[Any]) -> None:
    """End an ask whose time is up: the asker gets `AskTimeoutError`, the work is not started, or cancelled.

    The time of an ask out of a handler can be the rest of the handler's own. Then the asker of that one is told first,
    and the handler is cancelled with all that it waits for.
    """
    envelope = getattr(reply, "envelope", None)
    outer = None if envelope is None else envelope.parent
    if envelope is not None and outer is not None and outer.inner is envelope.lane is not None:
        expire(outer.reply)
    if reply.done():
        return
    if envelope is None:
        reply.fail(AskTimeoutError("the ask was not answered before its deadline"))
        return
    inner, envelope.inner = envelope.inner, None
    reply.release()
    cell = envelope.cell
    kind = type_name(envelope.message)
    error: AskTimeoutError
    if cell.state is ActorState.RESTARTING:
        error = ActorRestartingError(f"actor {cell.name} was restarting until the deadline of {kind} had passed")
    else:
        error = AskTimeoutError(f"actor {cell.name} did not answer {kind} before its deadline")
    try:
        error.at_work = envelope.message.at_work()
    except BaseException:  # only requests of nodes know it
        error.at_work = ""
    error.is_rest = outer is not None and outer.deadline == envelope.deadline
    if envelope.reply is reply:
        envelope.abandon("expired")
    reply.fail(error)
    for further in tuple(inner or ()):
        expire(further)
