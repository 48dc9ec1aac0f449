"""What a benchmark asks: its contestants, how often each runs, and the figures it has to reach.

This file and everything the harness imports use the standard library only, so that a competitor's
interpreter, which does not know our package, can load a question too. For the same reason (and so
that a fresh process measures nothing but itself) every contestant imports its library when it runs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

Run: TypeAlias = Callable[[int], float | Awaitable[float]]
"""Do ``count`` operations; return the seconds (or bytes) that all of them took together."""

OURS = "ours"
"""Name of the contestant that the others are compared with."""
CLOCK = "ours, by the clock"
"""Ours again, not by CPU time: what threads and other libraries are compared with, which wait as well as work."""


class Unit(StrEnum):
    """How a value (seconds or bytes per operation) is written."""

    MICROSECONDS = "us"
    MILLISECONDS = "ms"
    SECONDS = "s"
    BYTES = "B"
    KIBIBYTES = "KiB"
    MEBIBYTES = "MiB"
    TIMES = "x"
    """The contestant itself returns a ratio, measured within one process, times the operations."""

    @property
    def scale(self) -> float:
        """Seconds (or bytes) in one of this unit."""
        return _SCALE[self]

    @property
    def is_size(self) -> bool:
        """Whether it counts bytes, not seconds."""
        return self in {Unit.BYTES, Unit.KIBIBYTES, Unit.MEBIBYTES}


_SCALE = {
    Unit.MICROSECONDS: 1e-6,
    Unit.MILLISECONDS: 1e-3,
    Unit.SECONDS: 1.0,
    Unit.BYTES: 1.0,
    Unit.KIBIBYTES: 1024.0,
    Unit.MEBIBYTES: 1024.0**2,
    Unit.TIMES: 1.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """One way to do the operation a question is about."""

    name: str
    """Shown in the table; ``"ours"`` is what the others are compared with."""
    run: Run
    """Does the work; may be a coroutine function."""
    requires: str = ""
    """Import name of the library it needs; a missing one is reported, never an error."""
    python: tuple[int, int] = (3, 11)
    """Oldest Python that the library supports."""
    count: int | None = None
    """Operations per batch, if not the question's (a slow competitor needs fewer)."""
    is_beside: bool = False
    """Ours in the competitors' interpreter, if that has our libraries: beside one that our Python is too old for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A figure to reach. Give exactly one of ``faster``, ``at_most`` and ``more``."""

    subject: str = OURS
    """Contestant that has to reach it."""
    against: str = ""
    """Contestant it is compared with; empty: the value itself, in the question's unit."""
    faster: float | None = None
    """The other one takes at least this many times as much."""
    at_most: float | None = None
    """The subject takes at most this many times as much (or is at most this big)."""
    more: float | None = None
    """The subject takes at most so much more, in the question's unit."""

    def __post_init__(self) -> None:
        """Refuse a target that says nothing, two things, or more than nobody."""
        if [self.faster, self.at_most, self.more].count(None) != 2:
            msg = f"target of {self.subject!r}: give exactly one of faster, at_most and more"
            raise ValueError(msg)
        if self.at_most is None and not self.against:
            msg = f"target of {self.subject!r}: faster and more need against="
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One benchmark file's content."""

    title: str
    """What one operation is."""
    unit: Unit
    """Unit of the table."""
    count: int
    """Operations per batch."""
    contestants: tuple[Contestant, ...]
    """In the order in which they run in every round."""
    targets: tuple[Target, ...] = ()
    """Figures to reach."""
    batches: int = 5
    """Timed batches in one process (their median counts); one unmeasured batch warms it up, if more than one."""
    rounds: int = 5
    """Fresh processes per contestant."""
    quick: int = 10
    """Divides the counts when a quick run is asked for."""
    is_interleaved: bool = False
    """Ours and the bare ones take turns in one process, batch by batch, so that a ratio is good to a few percent.

    They should read `process_time`, as whatever else the machine does is not theirs.
    """
    timeout: float = 180.0
    """Seconds that one process may take."""
    note: str = ""
    """What a reader must know to judge the numbers."""

    def contestant(self, name: str) -> Contestant:
        """Return the contestant called ``name``; ValueError if there is none."""
        for contestant in self.contestants:
            if contestant.name == name:
                return contestant
        known = ", ".join(repr(c.name) for c in self.contestants)
        msg = f"question {self.title!r}: no contestant {name!r}; there are {known}"
        raise ValueError(msg)

    def operations(self, contestant: Contestant, *, quick: bool) -> int:
        """Operations per batch of ``contestant``."""
        count = contestant.count or self.count
        return max(1, count // self.quick) if quick else count
