"""Admit requests to one endpoint: within its limits, after its pauses, and in turn among agents and their sessions."""

import asyncio
import math
import random
from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Any, Final
from weakref import ref

from actors.models.policy import RateLimits
from protocols.clock import Clock, TimerHandle

MOST_WAITING: Final = 10_000
"""Requests that wait for one endpoint; a further one is refused."""
_LONGEST_PAUSE: Final = 300.0
_MINUTE: Final = 60.0
_AFTER_PAUSE: Final = 600
"""Requests per minute that come back after a pause. Together they would be refused again."""
_NEARLY: Final = 1e-6


class Place:
    """Where one request waits, and then what it holds of the limits."""

    __slots__ = ("admitted", "ends", "is_admitted", "is_paused", "is_waiting", "tokens", "who")

    def __init__(self, who: tuple[str, str], tokens: int, ends: float | None) -> None:
        self.who = who
        """An agent, and the session of its run."""
        self.tokens = tokens
        self.ends = ends
        self.admitted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        """Says when the request may begin; False if it may not before its end."""
        self.is_waiting = self.is_admitted = self.is_paused = False


class _Bucket:
    """What may begin: it fills with time up to a burst, and owes what was taken beyond."""

    def __init__(self, per_minute: float, burst: float, more: float = 0.0) -> None:
        self._burst = self._level = burst
        self._rate = (per_minute - burst + more) / _MINUTE  # so that no minute has more than its limit
        self._filled_at = -math.inf

    def wait(self, amount: float, now: float) -> float:
        """Return the seconds until so much may begin; what is more than a burst waits for a full bucket."""
        self._level = min(self._burst, self._level + (now - self._filled_at) * self._rate)
        self._filled_at = now
        lack = min(amount, self._burst) - self._level
        return lack / self._rate if lack > _NEARLY else 0.0

    def take(self, amount: float) -> None:
        """Count what began; a negative amount gives back."""
        self._level -= amount


class RateLimiter:
    """The queue of requests to one endpoint. Belongs to one event loop, and changes only between waits."""

    def __init__(self) -> None:
        self.limits: RateLimits | None = None
        """The strictest limits of the policies that live; None if none has any."""
        self.paused_until = 0.0
        """When the pause ends that the provider asked for."""
        self._named: list[tuple[ref[object], RateLimits]] = []
        self._requests: _Bucket | None = None
        self._tokens: _Bucket | None = None
        self._after_pause = _Bucket(_AFTER_PAUSE, 1, 1)
        self._rounds: OrderedDict[str, OrderedDict[str, deque[Place]]] = OrderedDict()
        """The places of each session of each agent, those first whose turn it is."""
        self.waiting = 0
        """Requests whose turn has not come."""
        self._open = 0
        self._timer: TimerHandle | None = None

    def name_limits(self, owner: object, limits: RateLimits) -> None:
        """Have the limits of a policy hold as long as its owner lives."""
        self._named = [one for one in self._named if one[0]() is not None] + [(ref(owner), limits)]
        before, self.limits = self.limits, RateLimits.strictest([given for _, given in self._named])
        most, tokens = self.limits.requests_per_minute, self.limits.tokens_per_minute
        if before != self.limits:  # with a burst of a tenth of a second, no second has a tenth more than its share
            self._requests = None if most is None else _Bucket(most, 1 + most / 10 / _MINUTE, 1)
            self._tokens = None if tokens is None else _Bucket(tokens, tokens / _MINUTE)

    def enter(self, place: Place, clock: Clock) -> None:
        """Let a request wait for its turn, which may have come already."""
        self._clock = clock
        agent, session = place.who
        self._rounds.setdefault(agent, OrderedDict()).setdefault(session, deque()).append(place)
        self.waiting += 1
        place.is_waiting = True
        if self.paused_until > clock.now():
            self._hold(place)
        self._admit()

    def leave(self, place: Place, tokens: int | None) -> None:
        """Free what a request holds, or its place in the queue.

        Args:
            place: where it is; leaving again is nothing.
            tokens: what it has taken; None if that is not known, and the estimate stays.
        """
        if place.is_admitted:
            place.is_admitted = False
            self._open -= 1
            if tokens is not None and self._tokens is not None:
                self._tokens.take(tokens - place.tokens)
        elif place.is_waiting:
            self._remove(place)
        # Not at once: the answer that ends this request may ask for a pause.
        asyncio.get_running_loop().call_soon(self._admit)

    def pause(self, now: float, seconds: float) -> None:
        """Let all requests wait. A provider that asks for hours is asked again before."""
        self.paused_until = max(self.paused_until, now + min(seconds, _LONGEST_PAUSE))
        for place in list(self._places()):
            self._hold(place)

    def _hold(self, place: Place) -> None:
        """Let a request wait for the end of a pause, unless its own end is before."""
        place.is_paused = True
        if place.ends is not None and place.ends <= self.paused_until:
            self._remove(place)
            if not place.admitted.done():
                place.admitted.set_result(False)

    def _places(self) -> Iterator[Place]:
        return (place for sessions in self._rounds.values() for places in sessions.values() for place in places)

    def _admit(self) -> None:
        """Admit those whose turn it is, and look again when the next may begin."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._rounds:
            place = next(self._places())
            wait = self._wait(place, self._clock.now())
            if wait > 0:
                if wait < math.inf:
                    self._timer = self._clock.call_later(wait, self._admit)
                return
            self._remove(place, is_turn=True)
            if place.admitted.done():  # it was cancelled, and does not know yet
                continue
            place.is_admitted = True
            place.admitted.set_result(True)
            self._open += 1
            for bucket, amount in self._buckets(place):
                bucket.take(amount)

    def _wait(self, place: Place, now: float) -> float:
        """Return the seconds until a request may begin; infinite if another one must end before."""
        concurrent = self.limits and self.limits.concurrent
        if concurrent and self._open >= concurrent:
            return math.inf
        if self.paused_until > now:
            return self.paused_until - now + random.random() / 4
        return max((bucket.wait(amount, now) for bucket, amount in self._buckets(place)), default=0.0)

    def _buckets(self, place: Place) -> Iterator[tuple[_Bucket, int]]:
        """Yield what a request takes from each bucket."""
        if (requests := self._requests or (self._after_pause if place.is_paused else None)) is not None:
            yield requests, 1
        if self._tokens is not None:
            yield self._tokens, place.tokens

    def _remove(self, place: Place, *, is_turn: bool = False) -> None:
        """Take a place out; after its turn, the others of its session and of its agent come last."""
        self.waiting -= 1
        place.is_waiting = False
        agent, session = place.who
        sessions = self._rounds[agent]
        sessions[session].remove(place)
        rings: list[tuple[OrderedDict[str, Any], str]] = [(sessions, session), (self._rounds, agent)]
        for ring, key in rings:
            if not ring[key]:
                del ring[key]
            elif is_turn:
                ring.move_to_end(key)
