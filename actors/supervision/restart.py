"""A restart that is under way: siblings stop, the delay passes, children start.

It is one generator, which pauses where it waits. The end of each wait comes back as a step of the supervisor; for a
restart that was replaced in the meantime the step does nothing.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import msgspec

from actors.runtime.actor import AsyncioActor
from actors.runtime.cell import cell_of
from actors.runtime.future import AsyncioFuture
from actors.runtime.owned_tasks import PendingStep
from actors.supervision.child_state import ChildState, is_ignored
from actors.supervision.strategies import RestartPlan
from protocols.control import ExitReason


class Failure(msgspec.Struct, frozen=True):
    """Why a restart is made; for the events about it."""

    reason: ExitReason
    cause: BaseException | None
    attempt: int = 0
    """Restarts within the window, this one included."""
    delay: float = 0.0
    """Seconds of backoff."""


class _Siblings(Protocol):
    """The children of a supervisor, as far as a restart of some of them needs them; see `Children`."""

    actor: AsyncioActor
    states: dict[str, ChildState]

    def launch(self, child: ChildState) -> AsyncioFuture[Any]: ...
    def remove(self, child: ChildState) -> None: ...
    def after(self, future: AsyncioFuture[Any], step: Callable[[], None]) -> None: ...
    def is_up(self, child: ChildState, failure: Failure | None) -> None: ...
    def is_ignored(self, child: ChildState) -> None: ...
    def has_failed(self, child: ChildState, reason: ExitReason, cause: BaseException | None) -> None: ...
    def has_ended(self, restart: "GroupRestart") -> None: ...


class GroupRestart:
    """One restart. A new failure replaces it. It never changes, except that a child may be taken out of it."""

    __slots__ = ("_failure", "_is_over", "_plan", "_siblings", "_steps", "_timer", "due", "key", "start")

    def __init__(self, siblings: _Siblings, key: str, plan: RestartPlan, failure: Failure, due: float | None) -> None:
        self._siblings = siblings
        self.key = key
        """The child's name, or the empty name for the whole group."""
        self._failure = failure
        self._plan = plan
        self.start = deque(plan.start)
        """Names of the children that have not started; the first one may be starting."""
        self.due = due
        """When the delay is over, in seconds of the clock; None without a delay."""
        self._timer: PendingStep | None = None
        self._is_over = False
        self._steps = self._run()
        for name in plan.stop:
            siblings.states[name].ended_by = "sibling"

    def cancel(self) -> None:
        """Do nothing more."""
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()

    def leave_out(self, name: str) -> None:
        """Do not start this child."""
        if name in self.start:
            self.start.remove(name)

    def advance(self) -> None:
        """Do everything that needs no waiting."""
        if not self._is_over:
            next(self._steps, None)

    def _run(self) -> Iterator[None]:
        """Do the restart; each pause ends with `advance`."""
        yield from self._stops()
        actor = self._siblings.actor
        if self.due is not None and self.start and (left := self.due - cell_of(actor).now()) > 0:
            self._timer = PendingStep(cell_of(actor), actor, left, self.advance)
            yield
        self.due = None
        yield from self._starts()
        if not self._is_over:
            self._is_over = True
            self._siblings.has_ended(self)

    def _stops(self) -> Iterator[None]:
        siblings, states = self._siblings, self._siblings.states
        for name in self._plan.stop:
            child = states.get(name)
            if child is not None and child.is_live and not (ended := child.suspend()).done():
                siblings.after(ended, self.advance)
                yield
        for name in self._plan.remove:
            child = states.get(name)
            if child is not None and not child.is_live:
                siblings.remove(child)

    def _starts(self) -> Iterator[None]:
        siblings = self._siblings
        while self.start and not self._is_over:
            child = siblings.states.get(self.start[0])
            if child is None or child.is_live:
                self.start.popleft()
                continue
            ready = siblings.launch(child)
            if not ready.done() or ready.exception() is not None:
                # A failed start comes back through the loop as well, so that other tasks run during a restart loop.
                siblings.after(ready, self.advance)
                yield
            if child.starting is ready:
                self._came_up(child, ready.exception())

    def _came_up(self, child: ChildState, error: BaseException | None) -> None:
        child.starting = None
        if child.name not in self.start:
            child.not_started(error)  # it was terminated while it started
        elif error is None:
            self.start.popleft()
            self._siblings.is_up(child, self._failure)
        elif is_ignored(error):
            self.start.remove(child.name)
            self._siblings.is_ignored(child)
        else:
            self._siblings.has_failed(child, ExitReason.START_FAILED, error)
