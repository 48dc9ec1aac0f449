"""A restart that is under way: siblings stop, the delay passes, children start.

No method waits. Each action leaves a callback, which comes back as a step of the supervisor. A step of a restart that
was replaced in the meantime does nothing.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from actors.runtime.actor import AsyncioActor
from actors.runtime.cell import cell_of
from actors.runtime.future import AsyncioFuture
from actors.runtime.owned_tasks import PendingStep
from actors.supervision.child_state import ChildState, is_ignored
from actors.supervision.strategies import RestartPlan
from protocols.control import ExitReason


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a restart is made; for the events about it."""

    name: str
    """The child that failed."""
    reason: ExitReason
    cause: BaseException | None
    attempt: int = 0
    """Restarts within the window, this one included."""
    delay: float = 0.0
    """Seconds of backoff."""


class Siblings(Protocol):
    """The children of a supervisor, as far as a restart of some of them needs them."""

    actor: AsyncioActor
    """The supervisor."""
    states: dict[str, ChildState]
    """The children by name, in start order."""

    def launch(self, child: ChildState) -> AsyncioFuture[Any]:
        """Start the next life of a child."""
        ...

    def remove(self, child: ChildState) -> None:
        """Forget a child that does not run."""

    def after(self, future: AsyncioFuture[Any], step: Callable[[], None]) -> None:
        """Take a step of the supervisor when the future is done."""

    def is_up(self, child: ChildState, failure: Failure | None) -> None:
        """Note that a child runs."""

    def is_ignored(self, child: ChildState) -> None:
        """Note that a child has decided not to run."""

    def has_failed(self, child: ChildState, reason: ExitReason, cause: BaseException | None) -> None:
        """Note that a child could not start."""

    def has_ended(self, restart: "GroupRestart") -> None:
        """Note that a restart is complete."""


class GroupRestart:
    """One restart. A new failure replaces it. It never changes, except that a child may be taken out of it."""

    __slots__ = ("_failure", "_is_over", "_remove", "_siblings", "_stop", "_timer", "due", "key", "start")

    def __init__(self, siblings: Siblings, key: str, plan: RestartPlan, failure: Failure, due: float | None) -> None:
        self._siblings = siblings
        self.key = key
        """The child's name, or the empty name for the whole group."""
        self._failure = failure
        self._stop = deque(plan.stop)
        self._remove = plan.remove
        self.start = deque(plan.start)
        """Names of the children that have not started; the first one may be starting."""
        self.due = due
        """When the delay is over, in seconds of the clock; None without a delay."""
        self._timer: PendingStep | None = None
        self._is_over = False
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
        if self._is_over or self._is_stopping() or self._is_delayed() or self._is_starting():
            return
        self._is_over = True
        self._siblings.has_ended(self)

    def _is_stopping(self) -> bool:
        while self._stop:
            child = self._siblings.states.get(self._stop.popleft())
            if child is None or not child.is_live:
                continue
            ended = child.suspend()
            if not ended.done():
                self._siblings.after(ended, self.advance)
                return True
        remove, self._remove = self._remove, ()
        for name in remove:
            child = self._siblings.states.get(name)
            if child is not None and not child.is_live:
                self._siblings.remove(child)
        return False

    def _is_delayed(self) -> bool:
        due, self.due = self.due, None
        if due is None or not self.start:
            return False
        actor = self._siblings.actor
        left = due - cell_of(actor).now()
        if left <= 0:
            return False
        self.due = due
        self._timer = PendingStep(cell_of(actor), actor, left, self._delay_is_over)
        return True

    def _delay_is_over(self) -> None:
        self.due = None
        self.advance()

    def _is_starting(self) -> bool:
        while self.start and not self._is_over:
            child = self._siblings.states.get(self.start[0])
            if child is None or child.is_live:
                self.start.popleft()
                continue
            ready = self._siblings.launch(child)
            if not ready.done() or ready.exception() is not None:
                # A failed start comes back through the loop as well, so that other tasks run during a restart loop.
                self._siblings.after(ready, partial(self._came_up, child, ready))
                return True
            self._is_up(child)
        return self._is_over

    def _came_up(self, child: ChildState, ready: AsyncioFuture[Any]) -> None:
        if self._is_over or child.starting is not ready:
            return self.advance()
        child.starting = None
        error = ready.exception()
        if child.name not in self.start:
            child.not_started(error)  # it was terminated while it started
        elif error is None:
            self._is_up(child)
        elif is_ignored(error):
            self.start.remove(child.name)
            self._siblings.is_ignored(child)
        else:
            self._siblings.has_failed(child, ExitReason.START_FAILED, error)
        return self.advance()

    def _is_up(self, child: ChildState) -> None:
        self.start.popleft()
        self._siblings.is_up(child, self._failure)
