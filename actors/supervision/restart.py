"""A restart that is under way: siblings stop, the delay passes, children start.

Nothing here waits. Each action leaves a callback behind, which comes back as a step of the supervisor; a step of a
procedure that was replaced in the meantime does nothing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from actors.runtime.owned_tasks import PendingStep
from actors.supervision.child_state import is_ignored
from protocols.control import ExitReason

if TYPE_CHECKING:
    from actors.runtime.future import AsyncioFuture
    from actors.supervision.child_state import ChildState
    from actors.supervision.children import Children
    from actors.supervision.strategies import RestartPlan


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a restart is made; for the events that tell of it."""

    name: str
    """The child that failed."""
    reason: ExitReason
    cause: BaseException | None
    attempt: int = 0
    """Restarts within the window, this one included."""
    delay: float = 0.0
    """Seconds of backoff."""


class GroupRestart:
    """One restart. A new failure replaces it; it is never changed, except that a child may be taken out of it."""

    __slots__ = ("_failure", "_family", "_is_over", "_remove", "_stop", "_timer", "due", "key", "start")

    def __init__(self, family: Children, key: str, plan: RestartPlan, failure: Failure, due: float | None) -> None:
        self._family = family
        self.key = key
        """The child's name, or the empty name for the whole group."""
        self._failure = failure
        self._stop = deque(plan.stop)
        self._remove = plan.remove
        self.start = deque(plan.start)
        """Names of those who are still to start; the first one may be starting."""
        self.due = due
        """When the delay is over, in seconds of the clock; None without a delay."""
        self._timer: PendingStep | None = None
        self._is_over = False
        for name in plan.stop:
            family.charges[name].ended_by = "sibling"

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
        """Go on as far as possible without waiting."""
        if self._is_over or self._is_stopping() or self._is_delayed() or self._is_starting():
            return
        self._is_over = True
        self._family.has_ended(self)

    def _is_stopping(self) -> bool:
        while self._stop:
            charge = self._family.charges.get(self._stop.popleft())
            if charge is None or not charge.is_live:
                continue
            ended = charge.suspend()
            if not ended.done():
                self._family.after(ended, self.advance)
                return True
        remove, self._remove = self._remove, ()
        for name in remove:
            charge = self._family.charges.get(name)
            if charge is not None and not charge.is_live:
                self._family.remove(charge)
        return False

    def _is_delayed(self) -> bool:
        due, self.due = self.due, None
        if due is None or not self.start:
            return False
        actor = self._family.actor
        left = due - actor.cell.now()
        if left <= 0:
            return False
        self.due = due
        self._timer = PendingStep(actor, left, self._delay_is_over)
        return True

    def _delay_is_over(self) -> None:
        self.due = None
        self.advance()

    def _is_starting(self) -> bool:
        while self.start and not self._is_over:
            charge = self._family.charges.get(self.start[0])
            if charge is None or charge.is_live:
                self.start.popleft()
                continue
            ready = self._family.launch(charge)
            if not ready.done() or ready.exception() is not None:
                # A start that failed comes back through the loop as well, so that a restart loop lets others run.
                self._family.after(ready, partial(self._came_up, charge, ready))
                return True
            self._is_up(charge)
        return self._is_over

    def _came_up(self, charge: ChildState, ready: AsyncioFuture[Any]) -> None:
        if self._is_over or charge.starting is not ready:
            return self.advance()
        charge.starting = None
        error = ready.exception()
        if charge.name not in self.start:
            charge.not_started(error)  # it was terminated while it started
        elif error is None:
            self._is_up(charge)
        elif is_ignored(error):
            self.start.remove(charge.name)
            self._family.is_ignored(charge)
        else:
            self._family.has_failed(charge, ExitReason.START_FAILED, error)
        return self.advance()

    def _is_up(self, charge: ChildState) -> None:
        self.start.popleft()
        self._family.is_up(charge, self._failure)
