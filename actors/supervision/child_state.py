"""A child in the care of its supervisor: its spec, its cell, and who ended it last."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from actors.runtime.errors import ActorStartError, IgnoreStart
from actors.runtime.future import AsyncioFuture
from actors.runtime.log import error_line
from actors.runtime.options import StartOptions
from actors.supervision.backoff import Backoff, RestartStreak
from actors.supervision.directive import directive_for
from actors.supervision.snapshot import ChildSnapshot
from actors.supervision.strategies import LIVE
from protocols.control import ActorState, ExitReason, StopMode

if TYPE_CHECKING:
    from actors.runtime.lifecycle import Cell
    from actors.runtime.termination import ChildEnded
    from actors.supervision.child import ChildSpec
    from actors.supervision.directive import Directive
    from actors.supervision.strategies import EndedBy, Restart


class ChildState:
    """Everything that a supervisor holds of one child. Only the supervisor's own steps change it."""

    __slots__ = ("cell", "ended_by", "judged", "news", "spec", "starting", "streak", "waiters")

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.cell: Cell | None = None
        self.ended_by: EndedBy = "itself"
        self.starting: AsyncioFuture[Any] | None = None
        """The start whose outcome is still to come; an end that is told before it waits in `news`."""
        self.news: ChildEnded | None = None
        self.judged = 0
        """The incarnation whose end was decided upon; each is decided once."""
        self.streak: RestartStreak | None = None
        self.waiters: list[AsyncioFuture[Any]] | None = None
        """Who waits for it to run."""

    @property
    def name(self) -> str:
        """Its name under its supervisor."""
        return self.spec.name

    @property
    def restart(self) -> Restart:
        """Its restart policy."""
        return self.spec.restart

    @property
    def significant(self) -> bool:
        """Whether its own end counts for the automatic shutdown."""
        return self.spec.significant

    @property
    def state(self) -> ActorState:
        """Where it is; unlike the public state, starting (not restarting) while its next life is starting."""
        cell = self.cell
        if cell is None:
            return ActorState.STOPPED
        if cell.state is ActorState.RESTARTING and cell.actor is not None:
            return ActorState.STARTING
        return cell.state

    @property
    def is_live(self) -> bool:
        """Whether there is an incarnation that has to be stopped or waited for."""
        return self.state in LIVE

    def directive(self, reason: ExitReason, cause: BaseException | None) -> Directive:
        """Return what its spec says about an end; only a crash that was its own doing can be anything but restart."""
        if reason is not ExitReason.CRASH or cause is None or self.ended_by != "itself":
            return "restart"
        return directive_for(cause, self.spec.on_exception)

    def snapshot(self) -> ChildSnapshot:
        """Return what the supervisor tells about it."""
        cell, spec = self.cell, self.spec
        if cell is None:
            return ChildSnapshot(spec.name, None, ActorState.STOPPED, 0, spec.restart, spec.kind, spec.significant)
        return ChildSnapshot(
            spec.name, cell.ref, cell.state, cell.incarnation, spec.restart, spec.kind, spec.significant
        )

    def start(self, supervisor: Cell) -> AsyncioFuture[Any]:
        """Start its next life; one that ended for good becomes a new actor with a new ref.

        Returns:
            The future of the ref, which fails with `ActorStartError` whatever went wrong.
        """
        self.ended_by = "itself"
        self.news = None
        self.starting = ready = self._next_life(supervisor)
        return ready

    def _next_life(self, supervisor: Cell) -> AsyncioFuture[Any]:
        if self.cell is not None and self.cell.state is ActorState.RESTARTING:
            return self.cell.revive()
        self.judged = 0
        return self._first_life(supervisor)

    def _first_life(self, supervisor: Cell) -> AsyncioFuture[Any]:
        spec, system = self.spec, supervisor.system
        options = StartOptions(spec.name, spec.mailbox, spec.start_timeout, None, supervisor, is_registered=False)
        try:
            cell = system.start_cell(spec.actor_class, spec.args, dict(spec.kwargs), options)
        except BaseException as error:  # a constructor that fails is a start that fails, whatever it raised
            failed: AsyncioFuture[Any] = AsyncioFuture(loop=supervisor.loop)
            failed.fail(self._start_error(error))
            system.note_base_exception(error)
            return failed
        cell.shutdown = _shutdown_of(spec)
        cell.crash_on = spec.crash_on
        self.cell = cell
        return cell.ready()

    def _start_error(self, error: BaseException) -> ActorStartError:
        failure = ActorStartError(f"child {self.name!r} could not start: {error_line(error)}")
        failure.__cause__ = error
        return failure

    def started(self, now: float) -> None:
        """Note that it runs: whoever waits for it is answered, and what only a restart needs is let go."""
        self.starting = None
        if self.streak is not None:
            self.streak.started(now)
        cell = self.cell
        for waiter in self._take_waiters():
            waiter.answer(cell.ref if cell is not None else None)
        if self.restart == "temporary" and cell is not None:
            self._forget_arguments(cell)

    def _forget_arguments(self, cell: Cell) -> None:
        spec = self.spec
        if spec.args or spec.kwargs or spec.mailbox is not None or isinstance(spec.actor_class, partial):
            self.spec = spec = spec.without_arguments()
        cell.args, cell.kwargs, cell.factory = (), None, spec.actor_class

    def not_started(self, error: BaseException | None) -> None:
        """Note that it does not run; whoever waits for it gets the error, or None if that was its own decision."""
        self.starting = None
        for waiter in self._take_waiters():
            if error is None or is_ignored(error):
                waiter.answer(None)
            else:
                waiter.fail(error)

    def _take_waiters(self) -> list[AsyncioFuture[Any]]:
        waiters, self.waiters = self.waiters, None
        return [waiter for waiter in waiters or () if not waiter.done()]

    def delay(self, backoff: Backoff, now: float, draw: float) -> float | None:
        """Note a failure and return the seconds before its next life, None if there have been too many in a row."""
        if self.streak is None:
            self.streak = RestartStreak(self.spec.backoff or backoff)
        return self.streak.failed(now, draw)

    def update(self, spec: ChildSpec) -> None:
        """Follow another spec: the life it has keeps its actor, the next one is made from the new spec.

        Raises:
            ValueError: its mailbox would have to be of another kind.
        """
        cell = self.cell
        if cell is not None and cell.state is not ActorState.STOPPED:
            cell.refit(spec.actor_class, spec.args, dict(spec.kwargs), spec.mailbox)
            cell.shutdown = _shutdown_of(spec)
            cell.crash_on = spec.crash_on
        if spec.backoff != self.spec.backoff:
            self.streak = None
        self.spec = spec

    def suspend(self) -> AsyncioFuture[bool]:
        """End its life for the sake of a sibling; ref and mailbox stay, except for a temporary child."""
        cell = self.cell
        assert cell is not None, f"child {self.name} has no life to end"
        return cell.stop_as_child() if self.restart == "temporary" else cell.suspend_as_child()


def is_ignored(error: BaseException | None) -> bool:
    """Whether a failed start was the child's own decision that there is nothing to run."""
    return error is not None and isinstance(error.__cause__, IgnoreStart)


def _shutdown_of(spec: ChildSpec) -> float | StopMode | None:
    if spec.shutdown == "kill":
        return StopMode.NOW
    return None if spec.shutdown == "infinity" else spec.shutdown
