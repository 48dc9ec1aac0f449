"""Opt-in watch for a blocked event loop: a thread that names the actor and shows the stack while it is blocked."""

import logging
import sys
import threading
import time
import traceback
from typing import Final, Self

from actors.runtime.system import ActorSystem
from protocols.checks import SECONDS, check_values
from protocols.clock import TimerHandle
from protocols.events import LoopBlocked

_DEPTH: Final = 12
"""Innermost frames that are shown."""


class BlockedLoopWatch:
    """Warns when the loop of a system does not turn for longer than `limit` seconds.

    It starts one daemon thread, so nothing starts it unasked: ``async with BlockedLoopWatch(system):``.
    """

    def __init__(self, system: ActorSystem, limit: float = 0.1) -> None:
        check_values({"limit": SECONDS}, {"limit": limit})
        self._system = system
        self._limit = limit
        self._beat = time.monotonic()
        self._is_warned = False
        self._stop = threading.Event()
        self._timer: TimerHandle | None = None
        self._loop_thread = 0
        self.warnings = 0
        """Blocks that were seen."""

    async def __aenter__(self) -> Self:
        self._loop_thread = threading.get_ident()
        self._tick()
        threading.Thread(target=self._watch, name=f"{self._system.name}-watch", daemon=True).start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._stop.set()
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        now = time.monotonic()
        if self._is_warned:
            self._system.events.publish(LoopBlocked, actor=self._actor(), duration=now - self._beat)
        self._beat = now
        self._is_warned = False
        self._timer = self._system.loop.call_later(self._limit / 4, self._tick)

    def _watch(self) -> None:
        while not self._stop.wait(self._limit / 4):
            self.check(time.monotonic())

    def check(self, now: float) -> str | None:
        """Look once, as the thread does at each round; returns the stack if it warned."""
        if self._is_warned or now - self._beat <= self._limit:
            return None
        self._is_warned = True
        self.warnings += 1
        frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] # documented
        stack = "".join(traceback.format_stack(frame)[-_DEPTH:]) if frame is not None else ""
        seconds = round(now - self._beat, 3)
        line = self._system.reporter.line
        line(logging.WARNING, "the event loop is blocked", actor=self._actor(), seconds=seconds, stack=stack)
        return stack

    def _actor(self) -> str:
        cell = self._system.dispatcher.current
        return cell.name if cell is not None else ""
