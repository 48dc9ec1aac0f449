"""When an actor does not end in time: its handler is cancelled, then cancelled again, then cut loose."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from actors.runtime.errors import AbandonedError
from actors.runtime.processing import Processing
from protocols.control import ActorState, DeadLetterReason, ExitReason
from protocols.events import HandlerAbandoned

if TYPE_CHECKING:
    from actors.runtime.envelope import Envelope
    from actors.runtime.lifecycle import Cell
    from actors.runtime.turn import Turn
    from protocols.clock import TimerHandle


class StopDeadline(Processing):
    """The half of an end that time drives."""

    __slots__ = ("abandoned_turns", "children", "finishing", "keeping", "name", "reason", "starting", "stop_timer")

    name: str
    children: dict[Cell, None] | None
    stop_timer: TimerHandle | None
    reason: ExitReason | None
    cause: BaseException | None
    abandoned_turns: int
    keeping: bool
    finishing: bool
    starting: bool
    """Whether `on_start` runs or is about to."""

    @property
    def _cell(self) -> Cell:
        return cast("Cell", self)

    def push_finish(self) -> None:
        """Have `on_stop` run and the incarnation ended as the next step of this cell."""
        raise NotImplementedError

    def _discard_queue(self) -> None:
        raise NotImplementedError

    def _end_incarnation(self, reason: ExitReason, cause: BaseException | None) -> None:
        raise NotImplementedError

    def arm_stop(self, timeout: float | None) -> None:
        """Give the actor `timeout` seconds to end by itself (None: no limit; 0: its handlers are cancelled now)."""
        self._disarm_stop()
        if timeout == 0:
            self._arm_grace()
            for turn in tuple(self.turns or ()):
                turn.cancel()
        elif timeout is not None:
            self.stop_timer = self.system.clock.call_later(timeout, self._overdue)

    def arm_hook(self) -> TimerHandle | None:
        """Give `on_failure` the time of a stop; a time that runs already stays."""
        if self.stop_timer is not None:
            return None
        self.stop_timer = self.system.clock.call_later(self.system.config.stop_timeout, self._hook_overdue)
        return self.stop_timer

    def disarm_hook(self, timer: TimerHandle | None) -> None:
        """`on_failure` has ended in time."""
        if timer is not None and self.stop_timer is timer:
            self._disarm_stop()

    def _hook_overdue(self) -> None:
        self.stop_timer = None
        for turn in tuple(self.turns or ()):
            self.interrupt(turn)

    def _disarm_stop(self) -> None:
        timer, self.stop_timer = self.stop_timer, None
        if timer is not None:
            timer.cancel()

    def _arm_grace(self) -> None:
        self._disarm_stop()
        self.stop_timer = self.system.clock.call_later(self.system.config.grace, self._cut_loose)

    def _overdue(self) -> None:
        """The time to stop has passed: cancel what runs, drop what waits, and grant the grace period."""
        self.stop_timer = None
        self.draining = False
        if not self.keeping:
            self._discard_queue()
        self._arm_grace()
        if not self.finishing and self.actor is not None and not self.starting:
            self.push_finish()
        for turn in tuple(self.turns or ()):
            turn.cancel()

    def _cut_loose(self) -> None:
        """The grace has passed as well: whatever still runs is fenced and left behind."""
        self.stop_timer = None
        if self.children:
            for child in tuple(self.children):
                child.kill(ExitReason.KILLED)
            self._arm_grace()
            return
        turns, self.turns = self.turns, None
        for turn in turns or ():
            self._abandon_turn(turn)
        if turns and self._was_in_hook(turns):
            self.scheduled = False  # the claim of the worker that is stuck in the hook; the next life needs it
            self._end_incarnation(self.reason or ExitReason.NORMAL, None)
            return
        self._arm_grace()
        self.push_finish()
        self._reclaim()

    def _was_in_hook(self, turns: set[Turn]) -> bool:
        return any(not turn.envelope.accepted for turn in turns)

    def _reclaim(self) -> None:
        """Take the claim back from a worker that is stuck in a fenced handler."""
        self.scheduled = False
        self.wake()

    def interrupt(self, turn: Turn) -> None:
        """Cancel a waiting handler; one that ignores it for the grace period is cancelled again, then cut loose."""
        turn.cancel()
        if turn.timer is None:
            turn.timer = self.system.clock.call_later(self.system.config.grace, self._again, turn)

    def _again(self, turn: Turn) -> None:
        if turn.fenced or self.turns is None or turn not in self.turns:
            return
        turn.cancel()
        turn.timer = self.system.clock.call_later(self.system.config.grace, self._give_up, turn)

    def _give_up(self, turn: Turn) -> None:
        if turn.fenced or self.turns is None or turn not in self.turns:
            return
        if self.children and not turn.envelope.accepted:
            for child in tuple(self.children):
                child.kill(ExitReason.KILLED)
            turn.timer = self.system.clock.call_later(self.system.config.grace, self._give_up, turn)
            return
        self._abandon_turn(turn)
        self.turns.discard(turn)
        self.turns = self.turns or None
        if turn.envelope.accepted:
            self._crash(turn.envelope, AbandonedError(f"a handler of actor {self.name} ignored its cancellation"), None)
        else:
            self._hook_abandoned(AbandonedError(f"a hook of actor {self.name} ignored its cancellation"))
        self._reclaim()

    def _hook_abandoned(self, error: AbandonedError) -> None:
        if self.starting:
            self.start_failed(error, overdue=self.state is not ActorState.STOPPING)
        elif self.finishing:
            self._end_incarnation(ExitReason.CRASH, self.cause or error)
        else:
            self.failed_control(error)

    def start_failed(self, error: BaseException, *, overdue: bool) -> None:
        """End what could not start; its children have ended."""
        raise NotImplementedError

    def _abandon_turn(self, turn: Turn) -> None:
        turn.fence()
        turn.cancel()
        self.abandoned_turns += 1
        envelope = turn.envelope
        kind = type(envelope.message).__name__
        if envelope.accepted:
            self.failed += 1
            self._lose_abandoned(envelope, AbandonedError(f"actor {self.name}: the handler of {kind} was abandoned"))
        self.system.abandoned(self._cell, turn)
        if self.system.events.wants(HandlerAbandoned):
            self.system.events.publish(
                HandlerAbandoned, actor=self.name, message_type=kind, incarnation=self.incarnation,
                waited=self.system.config.grace,
            )  # fmt: skip

    def _lose_abandoned(self, envelope: Envelope, error: AbandonedError) -> None:
        if envelope.reply is None:
            self.system.dead_letters.add(envelope, DeadLetterReason.FAILED, error)
        elif not envelope.reply.done():
            self._answer_error(envelope, error)
