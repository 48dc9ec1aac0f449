"""How an actor ends: by wish, by time, by crash, by kill. Whatever happens, `terminate` is reached exactly once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from actors.runtime.errors import ActorCrashedError
from actors.runtime.future import AsyncioFuture
from actors.runtime.log import error_text
from actors.runtime.log_context import run_of
from actors.runtime.stop_deadline import StopDeadline
from protocols.control import ActorState, DeadLetterReason, ExitReason, StopMode, Terminated
from protocols.events import ActorCrashed, ActorStopped

if TYPE_CHECKING:
    from actors.runtime.envelope import Envelope
    from actors.runtime.lifecycle import Cell
    from actors.runtime.turn import Turn
    from protocols.control import ExitReason as _Reason


class ChildEnded:
    """Told to a supervisor when an incarnation of its child has ended by itself."""

    __slots__ = ("cause", "child", "incarnation", "reason")

    def __init__(self, child: Cell, reason: _Reason, cause: BaseException | None) -> None:
        self.child = child
        self.reason = reason
        self.cause = cause
        self.incarnation = child.incarnation


class Termination(StopDeadline):
    """The half of a cell that ends incarnations and the actor."""

    __slots__ = (
        "belongings",
        "cause", "killed", "links", "parent", "restarts", "shutdown", "stopped_waiters", "watchers", "watching",
    )  # fmt: skip

    def _start_ending(self, parent: Cell | None) -> None:
        self.parent = parent
        self.children: dict[Cell, None] | None = None
        self.watchers: dict[Cell, None] | None = None
        self.watching: dict[Cell, None] | None = None
        self.links: dict[Cell, None] | None = None
        self.belongings: set[Any] | None = None
        self.stopped_waiters: list[AsyncioFuture[bool]] | None = None
        self.stop_timer = None
        self.reason: ExitReason | None = None
        self.cause: BaseException | None = None
        self.shutdown: float | StopMode | None = None
        """How its parent stops it: seconds, None for no limit, `StopMode.NOW` for kill."""
        self.restarts = 0
        self.abandoned_turns = 0
        self.keeping = False
        self.killed = False
        self.finishing = False
        self.starting = False

    @property
    def is_killed(self) -> bool:
        """Whether handlers are to be cancelled at once."""
        return self.killed

    def fresh_life(self) -> None:
        """Forget how the last incarnation ended."""
        self.restarts += 1
        self.draining = self.keeping = self.killed = self.finishing = False
        self.reason = None

    # -- being asked to end ---------------------------------------------------------------------------------------

    def request_stop(self, mode: StopMode, timeout: float | None, reason: ExitReason) -> None:
        """Take no more messages and end, handling what is queued (drain) or not (now). Asking twice is harmless."""
        if self.state is ActorState.STOPPED:
            return
        if self.state is ActorState.STOPPING:
            self._hurry(mode, timeout)
            return
        if self.actor is None:
            self._end_between_lives(reason)
            return
        suspending = self.state is ActorState.RESTARTING and not self.starting
        self.state = ActorState.STOPPING
        self._close_mailbox()
        self.reason = reason
        self.keeping = False
        self.arm_stop(timeout)
        self.draining = mode is StopMode.DRAIN and not suspending
        if self.draining and len(self.mailbox):
            self.wake()
            return
        self._discard_queue()
        if not self.starting:
            self.push_finish()

    def _end_between_lives(self, reason: ExitReason) -> None:
        """There is nothing to stop; its supervisor says whether there is still going to be a next life."""
        self.keeping = False
        self._end_incarnation(reason, self.cause)

    def _close_mailbox(self) -> None:
        self.mailbox.close()
        if self.senders is not None:
            self.system.room.wake_all(self._cell)

    def _hurry(self, mode: StopMode, timeout: float | None) -> None:
        if mode is StopMode.NOW and self.draining:
            self.draining = False
            self._discard_queue()
            if self.actor is not None and not self.finishing:
                self.push_finish()
        if timeout is not None and not self.killed:
            self.arm_stop(timeout)

    def _discard_queue(self) -> None:
        self.open = False
        self.idle = False
        for envelope in self.mailbox.clear():
            self._lose_at_end(envelope)

    def _lose_at_end(self, envelope: Envelope) -> None:
        if isinstance(envelope.message, Terminated):
            self.dead += 1
        elif envelope.abandoned is not None:
            self._drop_abandoned(envelope)
        else:
            self._lose(envelope, DeadLetterReason.STOPPED)

    def kill(self, reason: ExitReason = ExitReason.KILLED) -> AsyncioFuture[bool]:
        """End at once: the handler is cancelled, `on_stop` is not run. The future is done when it has ended."""
        if self.state is ActorState.STOPPED or (self.killed and self.state is ActorState.STOPPING):
            return self.stopped_future()
        if self.actor is None:
            self._end_between_lives(reason)
            return self.stopped_future()
        self.state = ActorState.STOPPING
        self.killed = True
        self.keeping = self.draining = False
        self.reason = reason
        self._close_mailbox()
        self._discard_queue()
        self.arm_stop(0.0)
        self.push_finish()
        return self.stopped_future()

    def push_finish(self) -> None:
        """Have `on_stop` run and the incarnation ended as the next step of this cell."""
        if not self.finishing:
            self.finishing = True
            self.push_control(self._finish, first=True)

    def _drained(self) -> bool:
        """The mailbox of a stopping actor is empty: end, unless handlers still run."""
        if self.turns:
            return False
        self.draining = False
        self.open = False
        self.push_finish()
        return True

    def stopped_future(self) -> AsyncioFuture[bool]:
        """Return a future that is True when this actor (or, in a restart, this incarnation) has ended."""
        future: AsyncioFuture[bool] = AsyncioFuture(loop=self.loop)
        if self.state is ActorState.STOPPED or (self.state is ActorState.RESTARTING and self.actor is None):
            future.answer(True)
        else:
            self.stopped_waiters = [*(self.stopped_waiters or ()), future]
        return future

    # -- crash ----------------------------------------------------------------------------------------------------

    def _crash(self, envelope: Envelope, error: BaseException, turn: Turn | None) -> None:
        """The handler broke: answer its asker now, take no message until the supervisor has decided."""
        if turn is not None and turn.cancelled and (self.state is ActorState.STOPPING or self.keeping):
            stopped = ActorCrashedError(f"actor {self.name} was stopped while it handled the message")
            self._tell_failure(envelope, stopped)
            return
        if self.system.dispatcher.is_torn_down and self.system.torn_down():
            return
        if not envelope.fenced:
            self._tell_failure(envelope, error if envelope.reply is None else self.answerable(envelope, error))
        self.system.note_base_exception(error)
        if self.actor is not None and self.parent is not None and self._is_resumed(self.parent, error):
            self.cause = error
            self.system.goes_on(self._cell, error, envelope)
        else:
            self._broken(error, envelope)

    def _tell_failure(self, envelope: Envelope, error: BaseException) -> None:
        if envelope.reply is not None:
            self._answer_error(envelope, error)
        else:
            self.system.dead_letters.add(envelope, DeadLetterReason.FAILED, error)

    def _is_resumed(self, parent: Cell, error: BaseException) -> bool:
        """Whether the supervisor wants this incarnation to go on. It is asked before anything of it has ended."""
        return not self.finishing and parent.can_decide and parent.resumes(self._cell, error)

    def failed_control(self, error: BaseException) -> None:
        """A hook of the engine's own making broke: the same as a crash in a handler."""
        self._broken(error, None)

    def _broken(self, error: BaseException, envelope: Envelope | None) -> None:
        self.open = False
        self.idle = False
        self.cause = error
        self.system.crashed(self._cell, error, envelope)
        if self.system.events.wants(ActorCrashed):
            self.system.events.publish(
                ActorCrashed, actor=self.name, error_type=type(error).__name__, error=error_text(error),
                message_type="" if envelope is None else type(envelope.message).__name__,
                run_id="" if envelope is None else run_of(envelope.message), incarnation=self.incarnation,
            )  # fmt: skip
        for other in tuple(self.turns or ()):
            self.interrupt(other)
        if not self.finishing:
            self.finishing = True
            self.push_control(partial(self._after_crash, error), first=True)

    async def _after_crash(self, error: BaseException) -> None:
        actor = self.actor
        assert actor is not None
        if actor.has_failure_hook:
            timer = self.arm_hook()
            await self.hook(partial(actor.on_failure, type(error), error, error.__traceback__))
            self.disarm_hook(timer)
        await self.stop_children()
        if self.actor is actor:
            self._end_incarnation(ExitReason.CRASH, error)

    # -- the end --------------------------------------------------------------------------------------------------

    async def _finish(self) -> None:
        actor = self.actor
        await self.stop_children()
        if actor is not None and actor.has_stop_hook and not self.killed:
            await self.hook(actor.on_stop)
            await self.stop_children()
        if self.actor is actor:  # else it was cut loose, and this may be the next life already
            self._end_incarnation(self.reason or ExitReason.NORMAL, self.cause if self.killed else None)

    async def hook(self, function: Callable[[], Any]) -> None:
        """Run a hook of the user. What it raises is reported and goes no further."""
        try:
            result = function()
            if isinstance(result, Awaitable):
                await result
        except BaseException as error:  # an end cannot fail
            self.system.report(
                "a hook failed", self._cell, error=error, hook=getattr(function, "__name__", "on_failure")
            )
            self.system.note_base_exception(error)

    async def stop_children(self) -> None:
        """Stop the children and wait for their ends."""
        raise NotImplementedError

    def _end_incarnation(self, reason: ExitReason, cause: BaseException | None) -> None:
        parent = self.parent
        if self.keeping:
            self._hold(ActorState.RESTARTING)
        elif parent is not None and parent.can_decide and parent.holds(self._cell, reason):
            self._hold(ActorState.RESTARTING)
            parent.post_child_event(ChildEnded(self._cell, reason, cause))
        else:
            self.terminate(reason, cause)

    def _hold(self, state: ActorState) -> None:
        """End the incarnation, keep ref and mailbox."""
        self._drop_life()
        self.state = state
        self.mailbox.closed = False
        self.fail_ready(self.cause)
        self._resolve_stopped()

    def _drop_life(self) -> None:
        self._disarm_stop()
        self.open = self.idle = self.starting = False
        self.control = None
        belongings, self.belongings = self.belongings, None
        for handle in tuple(belongings or ()):
            handle.cancel()
        actor, self.actor = self.actor, None
        if actor is not None:
            self.mailbox.put_back(actor.take_stash())
        watching, self.watching = self.watching, None
        for other in watching or ():
            if other.watchers is not None:
                other.watchers.pop(self._cell, None)

    def fail_ready(self, cause: BaseException | None) -> None:
        """Tell whoever waits for the start that there will be none."""
        raise NotImplementedError

    def _resolve_stopped(self) -> None:
        waiters, self.stopped_waiters = self.stopped_waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.answer(True)

    def terminate(self, reason: ExitReason, cause: BaseException | None) -> None:
        """End for good: dead letters for what waits, Terminated to the watchers, the name is free."""
        if self.state is ActorState.STOPPED:
            return
        self.state = ActorState.STOPPING
        self._close_mailbox()
        self._drop_life()
        self._discard_queue()
        self.state = ActorState.STOPPED
        self.reason = reason
        self.cause = cause
        self.fail_ready(cause)
        self.system.forget(self._cell)
        self.system.events.forget(self._cell.ref)
        parent = self.parent
        if parent is not None and parent.children is not None:
            parent.children.pop(self._cell, None)
        watchers, self.watchers = self.watchers, None
        for watcher in watchers or ():
            watcher.accept_system(Terminated(self._cell.ref, reason, self.incarnation, cause))
        links, self.links = self.links, None
        for other in links or ():
            other.linked_ended(self._cell)
        if parent is not None:
            parent.post_child_event(ChildEnded(self._cell, reason, cause))
        if self.system.events.wants(ActorStopped):
            self.system.events.publish(ActorStopped, actor=self.name, reason=str(reason), incarnation=self.incarnation)
        self._resolve_stopped()

    # -- others' ends ---------------------------------------------------------------------------------------------

    def linked_ended(self, other: Cell) -> None:
        """A linked actor has ended: share an abnormal end."""
        if self.links is not None:
            self.links.pop(other, None)
        if other.reason is not None and other.reason.is_abnormal:
            self.kill()
