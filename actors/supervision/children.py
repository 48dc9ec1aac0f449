"""The children of one supervisor: who they are, and what becomes of the others when one of them ends.

The decisions are pure functions of `strategies`, `intensity` and `backoff`; this is where they are carried out. Every
method returns at once: what takes time comes back as a step of the supervisor.
"""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from actors.runtime.errors import RestartIntensityExceededError
from actors.runtime.future import AsyncioFuture
from actors.runtime.log import error_line
from actors.supervision.backoff import Backoff
from actors.supervision.child import ChildSpecError
from actors.supervision.child_state import ChildState, is_ignored
from actors.supervision.intensity import RestartWindow
from actors.supervision.restart import Failure, GroupRestart
from actors.supervision.strategies import Decision, decide, ends_supervisor, plan_restart
from protocols.control import ActorState, ExitReason, StopMode
from protocols.events import ChildGaveUp, ChildRestarted

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.actor import AsyncioActor
    from actors.runtime.lifecycle import Cell
    from actors.runtime.termination import ChildEnded
    from actors.supervision.child import ChildSpec
    from actors.supervision.intensity import RestartIntensity
    from actors.supervision.strategies import AutoShutdown, Strategy


class Children:
    """The children of one incarnation of a supervisor, in the order of their start."""

    def __init__(
        self, actor: AsyncioActor, strategy: Strategy, intensity: RestartIntensity, backoff: Backoff | None,
        auto_shutdown: AutoShutdown,
    ) -> None:  # fmt: skip
        self.actor = actor
        self.charges: dict[str, ChildState] = {}
        self._by_cell: dict[Cell, ChildState] = {}
        self._strategy: Strategy = strategy
        self._intensity = intensity
        self._window = RestartWindow(intensity)
        self._backoff = backoff or Backoff.none()
        self._auto_shutdown: AutoShutdown = auto_shutdown
        self._procedures: dict[str, GroupRestart] = {}
        self._postponed: list[Callable[[], None]] = []
        """What waits for the end of a group restart."""

    # -- members --------------------------------------------------------------------------------------------------

    def add(self, spec: ChildSpec) -> ChildState:
        """Take a child in, as the last one; it does not run yet."""
        charge = self.charges[spec.name] = ChildState(spec)
        return charge

    def remove(self, charge: ChildState) -> None:
        """Forget a child that does not run."""
        if self.charges.get(charge.name) is charge:
            del self.charges[charge.name]
        if charge.cell is not None:
            self._by_cell.pop(charge.cell, None)

    def launch(self, charge: ChildState) -> AsyncioFuture[Any]:
        """Start the next life of a child."""
        before = charge.cell
        ready = charge.start(self.actor.cell)
        if charge.cell is not before and before is not None:
            self._by_cell.pop(before, None)
        if charge.cell is not None:
            self._by_cell[charge.cell] = charge
        return ready

    def after(self, future: AsyncioFuture[Any], step: Callable[[], None]) -> None:
        """Take a step of the supervisor when the future is done, never at once."""
        future.add_done_callback(partial(_supervise, self.actor, step))

    def holds(self, child: Cell, reason: ExitReason) -> bool:
        """Whether a child that ended so is going to live again, so that its ref and mailbox stay."""
        charge = self._by_cell.get(child)
        if charge is None or (child.starting and child.incarnation == 1):
            return False
        if charge.directive(reason, child.cause) in ("stop", "escalate"):
            return False
        return decide(charge.restart, reason, charge.ended_by) is Decision.RESTART

    def resumes(self, child: Cell, error: BaseException) -> bool:
        """Whether a child whose handler raised this goes on as it is."""
        charge = self._by_cell.get(child)
        return charge is not None and charge.directive(ExitReason.CRASH, error) == "resume"

    def in_start_order(self, children: tuple[Cell, ...]) -> tuple[Cell, ...]:
        """Return these cells in the order of the children, those that are none at the end."""
        given = dict.fromkeys(children)
        known = {charge.cell: None for charge in self.charges.values() if charge.cell is not None}
        return (*(cell for cell in known if cell in given), *(cell for cell in given if cell not in known))

    def set_limits(self, intensity: RestartIntensity, backoff: Backoff | None) -> None:
        """Follow another intensity and other delays from the next failure on."""
        self._window.follow(intensity)
        self._intensity = intensity
        if (backoff or Backoff.none()) != self._backoff:
            self._backoff = backoff or Backoff.none()
            for charge in self.charges.values():
                charge.streak = None

    # -- by request -----------------------------------------------------------------------------------------------

    def bring_up(self, charge: ChildState, *, is_new: bool) -> AsyncioFuture[Any]:
        """Start a child because somebody asked for it; one that is new and fails is forgotten again.

        Returns:
            A future of the ref, or of None if the child decided not to run.
        """
        waiter: AsyncioFuture[Any] = AsyncioFuture(loop=self.actor.cell.loop)
        charge.waiters = [*(charge.waiters or ()), waiter]
        ready = self.launch(charge)
        step = partial(self._brought_up, charge, ready, is_new=is_new)
        if ready.done() and ready.exception() is None:
            step()
        else:
            self.after(ready, step)
        return waiter

    def _brought_up(self, charge: ChildState, ready: AsyncioFuture[Any], *, is_new: bool) -> None:
        if charge.starting is not ready:
            return
        error = ready.exception()
        if error is None:
            self.is_up(charge, None)
        elif charge.ended_by == "sibling" and charge.restart != "temporary":
            charge.starting = None  # the group restart that interrupted it starts it again
        elif is_ignored(error):
            self.is_ignored(charge)
        else:
            charge.not_started(error)
            if is_new or charge.restart == "temporary":
                self.remove(charge)

    def update(self, charge: ChildState, spec: ChildSpec) -> AsyncioFuture[bool]:
        """Give a child another spec and leave its life alone."""
        done: AsyncioFuture[bool] = AsyncioFuture(loop=self.actor.cell.loop)
        if "" in self._procedures:  # what a group restart is doing with the child depends on its spec
            self._postponed.append(partial(self._update, charge, spec, done))
        else:
            self._update(charge, spec, done)
        return done

    def _update(self, charge: ChildState, spec: ChildSpec, done: AsyncioFuture[bool]) -> None:
        if self._takes(charge, spec, done):
            done.answer(True)

    def replace(self, charge: ChildState, spec: ChildSpec) -> AsyncioFuture[Any]:
        """End the life of a child and begin the next one from another spec, behind the same ref and mailbox."""
        done: AsyncioFuture[Any] = AsyncioFuture(loop=self.actor.cell.loop)
        charge.ended_by = "sibling"
        group = self._procedures.get("")
        if group is not None:
            self._postponed.append(partial(self._replace, charge, spec, done))
        else:
            self._leave_out(charge)
            self._replace(charge, spec, done)
        return done

    def _takes(self, charge: ChildState, spec: ChildSpec, done: AsyncioFuture[Any]) -> bool:
        try:
            charge.update(spec)
        except ValueError as error:
            done.fail(ChildSpecError(charge.name, "mailbox", str(error)))
            return False
        return True

    def _replace(self, charge: ChildState, spec: ChildSpec, done: AsyncioFuture[Any]) -> None:
        if charge.ended_by == "request":  # it was to end in the meantime
            done.answer(None)
            return
        if not self._takes(charge, spec, done):
            return
        charge.ended_by = "sibling"
        if not charge.is_live:
            self._begin_anew(charge, done)
            return
        ended = charge.suspend()
        if ended.done():
            self._begin_anew(charge, done)
        else:
            self.after(ended, partial(self._begin_anew, charge, done))

    def _begin_anew(self, charge: ChildState, done: AsyncioFuture[Any]) -> None:
        if charge.ended_by == "request" or not self.actor.cell.can_decide:
            done.answer(None)
            return
        self.charges.setdefault(charge.name, charge)  # a temporary child was forgotten with its end
        group = self._procedures.get("")
        if charge.is_live:  # a group restart that came meanwhile has started it
            done.answer(charge.cell.ref if charge.cell is not None else None)
            return
        charge.waiters = [*(charge.waiters or ()), done]
        if group is not None and charge.name in group.start:
            return
        ready = self.launch(charge)
        self.after(ready, partial(self._began_anew, charge, ready))

    def _began_anew(self, charge: ChildState, ready: AsyncioFuture[Any]) -> None:
        error = ready.exception()
        fails = charge.starting is ready and error is not None and charge.ended_by == "itself"
        if not fails or is_ignored(error) or charge.restart == "temporary":
            self._brought_up(charge, ready, is_new=False)
            return
        charge.not_started(error)  # whoever asked is told, and it is tried again as after any failed restart
        self.has_failed(charge, ExitReason.START_FAILED, error)

    def take_down(self, charge: ChildState) -> AsyncioFuture[bool]:
        """End a child because somebody asked for it. It is not restarted; a temporary one is forgotten."""
        self._leave_out(charge)
        charge.ended_by = "request"
        cell = charge.cell
        done: AsyncioFuture[bool] = AsyncioFuture(loop=self.actor.cell.loop)
        if cell is None or cell.state is ActorState.STOPPED:
            self._taken_down(charge, done)
            return done
        ended = cell.stop_as_child()
        if ended.done():
            self._taken_down(charge, done)
        else:
            self.after(ended, partial(self._taken_down, charge, done))
        return done

    def _taken_down(self, charge: ChildState, done: AsyncioFuture[bool]) -> None:
        if charge.restart == "temporary" and not charge.is_live:
            self.remove(charge)
        if not done.done():
            done.answer(True)

    def _leave_out(self, charge: ChildState) -> None:
        """Take a child out of the restart that is under way."""
        key = self._key(charge)
        procedure = self._procedures.get(key)
        if procedure is None:
            return
        procedure.leave_out(charge.name)
        if key:
            procedure.cancel()
            del self._procedures[key]

    # -- a child has ended ----------------------------------------------------------------------------------------

    def ended(self, event: ChildEnded) -> None:
        """Decide what becomes of a child whose incarnation has ended."""
        charge = self._by_cell.get(event.child)
        if charge is None:
            return
        if charge.starting is not None:
            charge.news = event
        else:
            self._judge(charge, event)

    def _judge(self, charge: ChildState, event: ChildEnded) -> None:
        cell = event.child
        if charge.cell is not cell or cell.actor is not None or event.incarnation != cell.incarnation:
            return  # it lives again already
        again = charge.judged == event.incarnation
        charge.judged = event.incarnation
        if cell.state is ActorState.STOPPED:
            self._by_cell.pop(cell, None)
        directive = charge.directive(event.reason, event.cause)
        if directive == "escalate" and event.cause is not None:
            self._escalate(charge, event.cause)
        ends = directive == "stop"
        if not ends and decide(charge.restart, event.reason, charge.ended_by) is Decision.RESTART:
            if charge.ended_by == "itself" and not again and not self._is_due(charge):
                self.has_failed(charge, event.reason, event.cause)
            return
        self._leave_out(charge)
        self._rest(charge, ExitReason.NORMAL if ends else event.reason)  # an end that the spec wants is an orderly one

    def _is_due(self, charge: ChildState) -> bool:
        """Whether a restart that is under way is going to start this child anyway."""
        procedure = self._procedures.get(self._key(charge))
        return procedure is not None and charge.name in procedure.start

    def _rest(self, charge: ChildState, reason: ExitReason) -> None:
        """Leave a child as it is, forget it if it is temporary, and see whether the supervisor ends with it."""
        if charge.restart == "temporary":
            self.remove(charge)
        siblings = (other for other in self.charges.values() if other is not charge)
        if charge.ended_by == "itself" and ends_supervisor(self._auto_shutdown, charge, reason, siblings):
            self.actor.cell.request_stop(StopMode.NOW, None, ExitReason.SHUTDOWN)

    def is_ignored(self, charge: ChildState) -> None:
        """Note that a child has decided not to run; that is no failure."""
        charge.not_started(None)
        if charge.cell is not None:
            charge.cell.terminate(ExitReason.IGNORE, None)
        self._rest(charge, ExitReason.IGNORE)

    # -- restart --------------------------------------------------------------------------------------------------

    def has_failed(self, charge: ChildState, reason: ExitReason, cause: BaseException | None) -> None:
        """Restart a child that ended or could not start, with those whom the strategy names.

        Raises:
            RestartIntensityExceededError: there have been too many restarts. It ends the supervisor.
        """
        now = self.actor.cell.now()
        too_many = self._window.record(now)
        delay = None if too_many else charge.delay(self._backoff, now, random.random())
        if delay is None:
            self._give_up(charge, reason, cause, too_many=too_many)
            return
        failure = Failure(charge.name, reason, cause, self._window.count(now), delay)
        due = now + delay if delay else None
        name, key = charge.name, self._key(charge)
        before = self._procedures.pop(key, None)
        if before is not None:
            before.cancel()
            name = name if key else self._first_of({name, *before.start})
            due = max((time for time in (due, before.due) if time is not None), default=None)
        plan = plan_restart(self._strategy, self.charges, name)
        procedure = self._procedures[key] = GroupRestart(self, key, plan, failure, due)
        procedure.advance()

    def _first_of(self, names: set[str]) -> str:
        return next(name for name in self.charges if name in names)

    def _key(self, charge: ChildState) -> str:
        return charge.name if self._strategy == "one_for_one" else ""

    def has_ended(self, procedure: GroupRestart) -> None:
        """Forget a restart that is complete."""
        if self._procedures.get(procedure.key) is procedure:
            del self._procedures[procedure.key]
        postponed, self._postponed = self._postponed, []
        for step in postponed:
            step()

    def is_up(self, charge: ChildState, failure: Failure | None) -> None:
        """Note that a child runs; `failure` is why it was restarted, None for a start by request."""
        cell = self.actor.cell
        charge.started(cell.now())
        if failure is not None and charge.cell is not None and cell.system.events.wants(ChildRestarted):
            cell.system.events.publish(
                ChildRestarted, actor=cell.name, child=charge.name, incarnation=charge.cell.incarnation,
                attempt=failure.attempt, delay=failure.delay, reason=_told(failure.reason, failure.cause),
            )  # fmt: skip
        news, charge.news = charge.news, None
        if news is not None:
            self._judge(charge, news)

    def _escalate(self, charge: ChildState, cause: BaseException) -> NoReturn:
        self._tell_give_up(charge, _told(ExitReason.CRASH, cause))
        raise cause

    def _give_up(self, charge: ChildState, reason: ExitReason, cause: BaseException | None, *, too_many: bool) -> None:
        cell, intensity, told = self.actor.cell, self._intensity, _told(reason, cause)
        self._tell_give_up(charge, told)
        if charge.cell is not None and charge.cell.actor is None:
            charge.cell.terminate(reason, cause)
        limit = f"more than {intensity.limit} restarts in {intensity.period:g} s" if too_many else "too many in a row"
        text = f"supervisor {cell.name!r} gives up on child {charge.name!r}: {limit}; the last time it was {told}"
        raise RestartIntensityExceededError(text, node=charge.name) from cause

    def _tell_give_up(self, charge: ChildState, told: str) -> None:
        cell, intensity = self.actor.cell, self._intensity
        if cell.system.events.wants(ChildGaveUp):
            cell.system.events.publish(
                ChildGaveUp, actor=cell.name, child=charge.name, restarts=self._window.count(cell.now()),
                limit=intensity.limit, period=intensity.period, reason=told,
            )  # fmt: skip


def _supervise(actor: AsyncioActor, step: Callable[[], None], _future: object) -> None:
    actor.cell.supervise(actor, step)


def _told(reason: ExitReason, cause: BaseException | None) -> str:
    return str(reason) if cause is None else f"{reason} ({error_line(cause, 200)})"
