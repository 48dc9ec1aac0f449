"""The children of one supervisor, and what happens to them when one of them ends.

The decisions are pure functions of `strategies`, `intensity` and `backoff`; this file carries them out. Every method
returns at once: work that takes time comes back as a step of the supervisor.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from actors.runtime.actor import AsyncioActor
from actors.runtime.cell import Cell, ChildEnded, cell_of
from actors.runtime.cycle import WaitingFuture
from actors.runtime.death_watch import supervise
from actors.runtime.errors import RestartIntensityExceededError
from actors.runtime.future import AsyncioFuture
from actors.runtime.log import error_line
from actors.runtime.stop import request_stop, stop_as_child
from actors.runtime.termination import terminate
from actors.supervision.backoff import Backoff
from actors.supervision.child import ChildSpec, ChildSpecError
from actors.supervision.child_state import ChildState, is_ignored
from actors.supervision.intensity import RestartIntensity, RestartWindow
from actors.supervision.restart import Failure, GroupRestart
from actors.supervision.strategies import AutoShutdown, Strategy, ends_supervisor, plan_restart, restarts
from protocols.control import ActorState, ExitReason, StopMode
from protocols.events import ChildGaveUp, ChildRestarted


class Children:
    """The children of one incarnation of a supervisor. It is the `Supervision` of the cell."""

    stops_together = False

    def __init__(
        self, actor: AsyncioActor, strategy: Strategy, intensity: RestartIntensity, backoff: Backoff | None,
        auto_shutdown: AutoShutdown,
    ) -> None:  # fmt: skip
        self.actor = actor
        self.states: dict[str, ChildState] = {}
        """The children by name, in start order."""
        self._by_cell: dict[Cell, ChildState] = {}
        self._strategy: Strategy = strategy
        self._intensity = intensity
        self._window = RestartWindow(intensity)
        self._backoff = backoff or Backoff.none()
        self._auto_shutdown: AutoShutdown = auto_shutdown
        self._restarts: dict[str, GroupRestart] = {}
        self._postponed: list[Callable[[], None]] = []
        """Steps that wait for the end of a group restart."""

    @property
    def limits(self) -> dict[str, Any]:
        """The intensity and the backoff, as keywords of a supervisor."""
        return {"intensity": self._intensity, "backoff": self._backoff}

    # -- members --------------------------------------------------------------------------------------------------

    def add(self, spec: ChildSpec) -> ChildState:
        """Add a child at the end, without starting it."""
        child = self.states[spec.name] = ChildState(spec)
        return child

    def remove(self, child: ChildState) -> None:
        """Forget a child that does not run."""
        if self.states.get(child.name) is child:
            del self.states[child.name]
        if child.cell is not None:
            self._by_cell.pop(child.cell, None)

    def launch(self, child: ChildState) -> AsyncioFuture[Any]:
        """Start the next life of a child."""
        before = child.cell
        ready = child.start(self.actor)
        if child.cell is not before and before is not None:
            self._by_cell.pop(before, None)
        if child.cell is not None:
            self._by_cell[child.cell] = child
        return ready

    def after(self, future: AsyncioFuture[Any], step: Callable[[], None]) -> None:
        """Take a step of the supervisor when the future is done, never at once."""
        future.add_done_callback(lambda _: supervise(cell_of(self.actor), self.actor, step))

    def set_limits(self, intensity: RestartIntensity, backoff: Backoff | None) -> None:
        """Set the intensity and the delays from the next failure on."""
        self._window.follow(intensity)
        self._intensity = intensity
        if (backoff or Backoff.none()) != self._backoff:
            self._backoff = backoff or Backoff.none()
            for child in self.states.values():
                child.streak = None

    # -- by request -----------------------------------------------------------------------------------------------

    def bring_up(self, child: ChildState, *, is_new: bool) -> AsyncioFuture[Any]:
        """Start a child by request; forget a new child that fails to start.

        Returns:
            A future of the ref, or of None if the child decided not to run.
        """
        waiter = self._future()
        child.waiters = [*(child.waiters or ()), waiter]
        ready = self.launch(child)
        waiter.cells = () if child.cell is None else (child.cell,)
        step = partial(self._brought_up, child, ready, is_new=is_new)
        if ready.done() and ready.exception() is None:
            step()
        else:
            self.after(ready, step)
        return waiter

    def _future(self, child: ChildState | None = None) -> WaitingFuture[Any]:
        """Return a future that waits for the life of a child to end."""
        cells = () if child is None or child.cell is None else (child.cell,)
        return WaitingFuture(cell_of(self.actor).loop, cells, ends=bool(cells))

    def _brought_up(
        self, child: ChildState, ready: AsyncioFuture[Any], *, is_new: bool = False, is_replaced: bool = False
    ) -> None:
        if child.starting is not ready:
            return
        error = ready.exception()
        if error is None:
            self.is_up(child, None)
        elif child.ended_by == "sibling" and child.restart != "temporary":
            child.starting = None  # the group restart that interrupted it starts it again
        elif is_ignored(error):
            self.is_ignored(child)
        else:
            child.not_started(error)
            if is_new or child.restart == "temporary":
                self.remove(child)
            elif is_replaced and child.ended_by == "itself":  # it is tried again as after any failed restart
                self.has_failed(child, ExitReason.START_FAILED, error)

    def update(self, child: ChildState, spec: ChildSpec) -> AsyncioFuture[bool]:
        """Give a child another spec and leave its life alone."""
        done = self._future()
        self._after_group(lambda: done.answer(True) if _takes(child, spec, done) else None)
        return done

    def _after_group(self, step: Callable[[], None]) -> None:
        """Take a step that a group restart must not meet, because the restart depends on the spec of the child."""
        if "" in self._restarts:
            self._postponed.append(step)
        else:
            step()

    def replace(self, child: ChildState, spec: ChildSpec) -> AsyncioFuture[Any]:
        """End the life of a child and begin the next one from another spec, behind the same ref and mailbox."""
        done = self._future(child)
        child.ended_by = "sibling"
        if "" not in self._restarts:
            self._leave_out(child)
        self._after_group(partial(self._replace, child, spec, done))
        return done

    def _replace(self, child: ChildState, spec: ChildSpec, done: WaitingFuture[Any]) -> None:
        if child.ended_by == "request":  # it was terminated in the meantime
            done.answer(None)
            return
        if not _takes(child, spec, done):
            return
        child.ended_by = "sibling"
        if not child.is_live:
            self._begin_anew(child, done)
            return
        self._when_ended(child.suspend(), partial(self._begin_anew, child, done))

    def _when_ended(self, ended: AsyncioFuture[bool], step: Callable[[], None]) -> None:
        if ended.done():
            step()
        else:
            self.after(ended, step)

    def _begin_anew(self, child: ChildState, done: WaitingFuture[Any]) -> None:
        if child.ended_by == "request" or not cell_of(self.actor).can_decide:
            done.answer(None)
            return
        self.states.setdefault(child.name, child)  # a temporary child was forgotten with its end
        group = self._restarts.get("")
        if child.is_live:  # a group restart has started it in the meantime
            done.answer(child.cell.ref if child.cell is not None else None)
            return
        child.waiters = [*(child.waiters or ()), done]
        if group is not None and child.name in group.start:
            return
        ready = self.launch(child)
        self.after(ready, partial(self._brought_up, child, ready, is_replaced=True))

    def take_down(self, child: ChildState) -> AsyncioFuture[bool]:
        """End a child by request. It does not restart; a temporary one is forgotten."""
        self._leave_out(child)
        child.ended_by = "request"
        cell = child.cell
        done = self._future(child)
        if cell is None or cell.state is ActorState.STOPPED:
            self._taken_down(child, done)
        else:
            self._when_ended(stop_as_child(cell), partial(self._taken_down, child, done))
        return done

    def _taken_down(self, child: ChildState, done: AsyncioFuture[bool]) -> None:
        if child.restart == "temporary" and not child.is_live:
            self.remove(child)
        if not done.done():
            done.answer(True)

    def _leave_out(self, child: ChildState) -> None:
        """Take a child out of the restart that is under way."""
        key = self._key(child)
        restart = self._restarts.get(key)
        if restart is None:
            return
        restart.leave_out(child.name)
        if key:
            restart.cancel()
            del self._restarts[key]

    # -- what the engine asks ---------------------------------------------------------------------------------------

    def holds(self, child: Cell, reason: ExitReason) -> bool:
        """Return True if a child that ended for this reason restarts."""
        state = self._by_cell.get(child)
        return state is not None and state.will_restart(reason)

    def resumes(self, child: Cell, error: BaseException) -> bool:
        """Return True if the child continues after this error without a restart."""
        state = self._by_cell.get(child)
        return state is not None and state.directive(ExitReason.CRASH, error) == "resume"

    def in_start_order(self, children: tuple[Cell, ...]) -> tuple[Cell, ...]:
        """Sort the cells in start order. A child restarted by request keeps its place; other cells come last."""
        given = dict.fromkeys(children)
        known = {child.cell: None for child in self.states.values() if child.cell is not None}
        return (*(cell for cell in known if cell in given), *(cell for cell in given if cell not in known))

    # -- the end of a child ---------------------------------------------------------------------------------------

    def ended(self, event: ChildEnded) -> None:
        """Decide about a child whose incarnation ended."""
        child = self._by_cell.get(event.child)
        if child is None:
            return
        if child.starting is not None:
            child.news = event
        else:
            self._judge(child, event)

    def _judge(self, child: ChildState, event: ChildEnded) -> None:
        cell = event.child
        if child.cell is not cell or cell.actor is not None or event.incarnation != cell.incarnation:
            return  # it lives again already
        again = child.judged == event.incarnation
        child.judged = event.incarnation
        if cell.state is ActorState.STOPPED:
            self._by_cell.pop(cell, None)
        directive = child.directive(event.reason, event.cause)
        if directive == "escalate" and event.cause is not None:
            self._publish_give_up(child, _reason_text(ExitReason.CRASH, event.cause))
            raise event.cause
        ends = directive == "stop"
        if not ends and restarts(child.restart, event.reason, child.ended_by):
            restart = self._restarts.get(self._key(child))
            is_due = restart is not None and child.name in restart.start  # it starts this child anyway
            if child.ended_by == "itself" and not again and not is_due:
                self.has_failed(child, event.reason, event.cause)
            return
        self._leave_out(child)
        self._rest(child, ExitReason.NORMAL if ends else event.reason)  # an end that the spec wants is an orderly one

    def _rest(self, child: ChildState, reason: ExitReason) -> None:
        """Leave a child stopped; forget a temporary one. End the supervisor if its automatic shutdown says so."""
        if child.restart == "temporary":
            self.remove(child)
        siblings = (other for other in self.states.values() if other is not child)
        if child.ended_by == "itself" and ends_supervisor(self._auto_shutdown, child, reason, siblings):
            request_stop(cell_of(self.actor), StopMode.NOW, None, ExitReason.SHUTDOWN)

    def is_ignored(self, child: ChildState) -> None:
        """Note that a child has decided not to run. That is not a failure."""
        child.not_started(None)
        if child.cell is not None:
            terminate(child.cell, ExitReason.IGNORE, None)
        self._rest(child, ExitReason.IGNORE)

    # -- restart --------------------------------------------------------------------------------------------------

    def has_failed(self, child: ChildState, reason: ExitReason, cause: BaseException | None) -> None:
        """Restart a child that ended or could not start, with the siblings that the strategy names.

        Raises:
            RestartIntensityExceededError: there have been too many restarts. It ends the supervisor.
        """
        import random  # imported at the first failure: it loads hash functions

        now = cell_of(self.actor).now()
        too_many = self._window.record(now)
        delay = None if too_many else child.delay(self._backoff, now, random.random())
        if delay is None:
            self._give_up(child, reason, cause, too_many=too_many)
            return
        failure = Failure(reason, cause, self._window.count(now), delay)
        due = now + delay if delay else None
        name, key = child.name, self._key(child)
        before = self._restarts.pop(key, None)
        if before is not None:
            before.cancel()
            if not key:
                name = next(other for other in self.states if other == child.name or other in before.start)
            due = max((time for time in (due, before.due) if time is not None), default=None)
        plan = plan_restart(self._strategy, self.states, name)
        restart = self._restarts[key] = GroupRestart(self, key, plan, failure, due)
        restart.advance()

    def _key(self, child: ChildState) -> str:
        return child.name if self._strategy == "one_for_one" else ""

    def has_ended(self, restart: GroupRestart) -> None:
        """Forget a restart that is complete, and take the steps that waited for it."""
        if self._restarts.get(restart.key) is restart:
            del self._restarts[restart.key]
        postponed, self._postponed = self._postponed, []
        for step in postponed:
            step()

    def is_up(self, child: ChildState, failure: Failure | None) -> None:
        """Note that a child runs; `failure` is the reason of a restart, None for a start by request."""
        cell = cell_of(self.actor)
        child.started(cell.now())
        if failure is not None and child.cell is not None:
            reason = _reason_text(failure.reason, failure.cause)
            cell.system.log_limited("child restarted", actor=child.name, supervisor=cell.name, reason=reason)
            cell.system.events.publish(
                ChildRestarted, actor=cell.name, child=child.name, incarnation=child.cell.incarnation,
                attempt=failure.attempt, delay=failure.delay, reason=reason,
            )  # fmt: skip
        news, child.news = child.news, None
        if news is not None:
            self._judge(child, news)

    def _give_up(self, child: ChildState, reason: ExitReason, cause: BaseException | None, *, too_many: bool) -> None:
        cell, intensity, last = cell_of(self.actor), self._intensity, _reason_text(reason, cause)
        self._publish_give_up(child, last)
        if child.cell is not None and child.cell.actor is None:
            terminate(child.cell, reason, cause)
        limit = f"more than {intensity.limit} restarts in {intensity.period:g} s" if too_many else "too many in a row"
        message = f"supervisor {cell.name!r} gave up on {child.name!r}: {limit}; the last time it was {last}"
        raise RestartIntensityExceededError(message, node=child.name) from cause

    def _publish_give_up(self, child: ChildState, reason: str) -> None:
        cell, intensity = cell_of(self.actor), self._intensity
        cell.system.report("child given up", child.cell, supervisor=cell.name, reason=reason)
        cell.system.events.publish(
            ChildGaveUp, actor=cell.name, child=child.name, restarts=self._window.count(cell.now()),
            limit=intensity.limit, period=intensity.period, reason=reason,
        )  # fmt: skip


def _takes(child: ChildState, spec: ChildSpec, done: AsyncioFuture[Any]) -> bool:
    try:
        child.update(spec)
    except ValueError as error:
        done.fail(ChildSpecError(child.name, "mailbox", str(error)))
        return False
    return True


def _reason_text(reason: ExitReason, cause: BaseException | None) -> str:
    return str(reason) if cause is None else f"{reason} ({error_line(cause, 200)})"
