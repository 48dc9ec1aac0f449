"""The state of one child: its spec, its cell, and the cause of its last end."""

from typing import Any, cast

import msgspec

from actors.runtime.actor import AsyncioActor
from actors.runtime.cell import Cell, ChildEnded, cell_of
from actors.runtime.errors import ActorStartError, IgnoreStart
from actors.runtime.future import AsyncioFuture
from actors.runtime.lifecycle import refit, revive
from actors.runtime.log import error_line
from actors.runtime.options import StartOptions
from actors.runtime.ref import ActorRef
from actors.runtime.stop import stop_as_child, suspend_as_child
from actors.runtime.system import ActorSystem
from actors.runtime.termination import ready
from actors.supervision.backoff import Backoff, RestartStreak
from actors.supervision.child import ChildKind, ChildSpec
from actors.supervision.directive import Directive, directive_for
from actors.supervision.strategies import LIVE, EndedBy, Restart, restarts
from protocols.control import ActorState, ExitReason, StopMode


class ChildSnapshot(msgspec.Struct, frozen=True):
    """One child at one moment."""

    name: str
    """Unique under its supervisor."""
    ref: ActorRef[Any] | None
    """Address, the same over all restarts; None if the child never started."""
    state: ActorState
    """Restarting while the child waits for its next life, and while that life starts."""
    incarnation: int
    """Number of the current life, from 1; 0 if the child never started."""
    restart: Restart
    kind: ChildKind
    significant: bool


class ChildCounts(msgspec.Struct, frozen=True):
    """The numbers of a supervisor's children."""

    specs: int
    """All children, running or not."""
    active: int
    """Children with a live incarnation."""
    supervisors: int
    workers: int


class ChildState:
    """The record of one child. Only the steps of the supervisor change it."""

    __slots__ = ("cell", "ended_by", "judged", "news", "spec", "starting", "streak", "waiters")

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.cell: Cell | None = None
        self.ended_by: EndedBy = "itself"
        self.starting: AsyncioFuture[Any] | None = None
        """The start that is under way. An end that is reported before its outcome waits in `news`."""
        self.news: ChildEnded | None = None
        self.judged = 0
        """The incarnation whose end was decided; each end is decided once."""
        self.streak: RestartStreak | None = None
        self.waiters: list[AsyncioFuture[Any]] | None = None
        """Futures of the callers that wait until the child runs."""

    @property
    def name(self) -> str:
        """Name under its supervisor."""
        return self.spec.name

    @property
    def restart(self) -> Restart:
        """Restart policy."""
        return self.spec.restart

    @property
    def significant(self) -> bool:
        """True if its own end counts for the automatic shutdown."""
        return self.spec.significant

    @property
    def state(self) -> ActorState:
        """Current state. Unlike in the snapshot it is starting, not restarting, while the next life starts."""
        cell = self.cell
        if cell is None:
            return ActorState.STOPPED
        if cell.state is ActorState.RESTARTING and cell.actor is not None:
            return ActorState.STARTING
        return cell.state

    @property
    def is_live(self) -> bool:
        """True if there is an incarnation that has to be stopped or waited for."""
        return self.state in LIVE

    def directive(self, reason: ExitReason, cause: BaseException | None) -> Directive:
        """Return the directive of the spec for an end; restart for any end but a crash of the child itself."""
        if reason is not ExitReason.CRASH or cause is None or self.ended_by != "itself":
            return "restart"
        return directive_for(cause, self.spec.on_exception)

    def will_restart(self, reason: ExitReason) -> bool:
        """Return True if the child restarts after an end for this reason, so that its ref and mailbox stay."""
        cell = self.cell
        if cell is None or (cell.incarnation == 1 and self.starting is not None and not self.starting.done()):
            return False
        if self.directive(reason, cell.cause) in ("stop", "escalate"):
            return False
        return restarts(self.restart, reason, self.ended_by)

    def snapshot(self) -> ChildSnapshot:
        """Return the public facts."""
        cell, spec = self.cell, self.spec
        ref, state, life = (None, ActorState.STOPPED, 0) if cell is None else (cell.ref, cell.state, cell.incarnation)
        return ChildSnapshot(spec.name, ref, state, life, spec.restart, spec.kind, spec.significant)

    def start(self, supervisor: AsyncioActor) -> AsyncioFuture[Any]:
        """Start the next life. A child that had ended for good becomes a new actor with a new ref.

        Returns:
            The future of the ref. Every failure is an `ActorStartError`.
        """
        self.ended_by = "itself"
        self.news = None
        if self.cell is not None and self.cell.state is ActorState.RESTARTING:
            self.starting = revive(self.cell)
        else:
            self.judged = 0
            self.starting = self._first_life(supervisor)
        return self.starting

    def _first_life(self, supervisor: AsyncioActor) -> AsyncioFuture[Any]:
        spec, parent = self.spec, cell_of(supervisor)
        system = cast("ActorSystem", parent.system)
        options = StartOptions(spec.name, spec.mailbox, spec.start_timeout, None, parent, is_registered=False)
        try:
            cell = system.start_cell(spec.actor_class, spec.args, dict(spec.kwargs), options)
        except BaseException as error:  # a constructor that fails is a start that fails, whatever it raised
            failure = ActorStartError(f"child {self.name!r} could not start: {error_line(error)}")
            failure.__cause__ = error
            failed: AsyncioFuture[Any] = AsyncioFuture(loop=system.loop)
            failed.fail(failure)
            system.note_base_exception(error)
            return failed
        cell.shutdown = _shutdown_of(spec)
        cell.crash_on = spec.crash_on
        self.cell = cell
        return ready(cell)

    def started(self, now: float) -> None:
        """Note that the child runs: answer the waiting callers, and drop what only a restart would need."""
        self.starting = None
        if self.streak is not None:
            self.streak.started(now)
        cell = self.cell
        for waiter in self._take_waiters():
            waiter.answer(cell.ref if cell is not None else None)
        if self.restart == "temporary" and cell is not None:
            self.spec = self.spec.without_arguments()
            cell.args, cell.kwargs, cell.factory = (), None, self.spec.actor_class

    def not_started(self, error: BaseException | None) -> None:
        """Note that the child does not run. Waiting callers get the error, or None if the child decided so."""
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
        """Note a failure. Return the seconds before the next life; None after too many failures in a row."""
        if self.streak is None:
            self.streak = RestartStreak(self.spec.backoff or backoff)
        return self.streak.failed(now, draw)

    def update(self, spec: ChildSpec) -> None:
        """Set another spec. The current life keeps its actor, the next one is made from the new spec.

        Raises:
            ValueError: the spec needs a mailbox of another kind.
        """
        cell = self.cell
        if cell is not None and cell.state is not ActorState.STOPPED:
            refit(cell, spec.actor_class, spec.args, dict(spec.kwargs), spec.mailbox)
            cell.shutdown = _shutdown_of(spec)
            cell.crash_on = spec.crash_on
        if spec.backoff != self.spec.backoff:
            self.streak = None
        self.spec = spec

    def suspend(self) -> AsyncioFuture[bool]:
        """End the life because a sibling restarts. Ref and mailbox stay, except for a temporary child."""
        cell = self.cell
        assert cell is not None, f"child {self.name} has no life to end"
        return stop_as_child(cell) if self.restart == "temporary" else suspend_as_child(cell)


def is_ignored(error: BaseException | None) -> bool:
    """Return True if the child itself decided not to run."""
    return error is not None and isinstance(error.__cause__, IgnoreStart)


def _shutdown_of(spec: ChildSpec) -> float | StopMode | None:
    if spec.shutdown == "kill":
        return StopMode.NOW
    return None if spec.shutdown == "infinity" else spec.shutdown
