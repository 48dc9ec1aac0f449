"""Deadlines of open asks: one timer for each distinct timeout, not one for each ask."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from actors.runtime.errors import ActorRestartingError, AskTimeoutError
from protocols.control import ActorState

if TYPE_CHECKING:
    from actors.runtime.clock import Clock
    from actors.runtime.future import AsyncioFuture

_MOST_LANES: Final = 64
"""Distinct timeouts that share a timer; further ones get a timer for each ask."""

Lane = dict["AsyncioFuture[Any]", float]


class Deadlines:
    """Asks with the same timeout end in the order in which they were made, so each timeout is a queue of its own."""

    __slots__ = ("_clock", "_lanes")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lanes: dict[float, Lane] = {}

    def add(self, reply: AsyncioFuture[Any], timeout: float, now: float) -> float:
        """Let `reply` expire `timeout` seconds after `now`, and return that time."""
        deadline = now + timeout
        lane = self._lanes.get(timeout)
        if lane is None:
            lane = {}
            if len(self._lanes) < _MOST_LANES:
                self._lanes[timeout] = lane
            self._clock.call_later(timeout, partial(self._sweep, timeout, lane))
        lane[reply] = deadline
        reply.lane = lane
        return deadline

    def _sweep(self, timeout: float, lane: Lane) -> None:
        now = self._clock.now()
        while lane:
            reply = next(iter(lane))
            left = lane[reply] - now
            if left > 0:
                self._clock.call_later(left, partial(self._sweep, timeout, lane))
                return
            self.expire(reply)
            lane.pop(reply, None)
        if self._lanes.get(timeout) is lane:
            del self._lanes[timeout]

    def expire(self, reply: AsyncioFuture[Any]) -> None:
        """End an ask whose time is up: its asker gets `AskTimeoutError`, its work is not started, or cancelled."""
        envelope = reply.envelope
        if reply.done():
            return
        if envelope is None:
            reply.fail(AskTimeoutError("the ask was not answered in time"))
            return
        cell = envelope.cell
        kind = type(envelope.message).__name__
        error: AskTimeoutError
        if cell.state is ActorState.RESTARTING:
            error = ActorRestartingError(f"actor {cell.name} was restarting until the deadline of {kind} had passed")
        else:
            error = AskTimeoutError(f"actor {cell.name} did not answer {kind} before its deadline")
        reply.settled("expired")
        reply.fail(error)

    def __len__(self) -> int:
        return sum(len(lane) for lane in self._lanes.values())
