"""The way of a message through an actor: accepted, taken, handled, answered. The only code that runs per message.

What happens to the actor itself (start, stop, crash, restart) is the matter of `incarnation.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final

import pykka.messages

from actors.runtime.envelope import RUNNING, SETTLED, Envelope, current
from actors.runtime.errors import ActorStoppingError, MailboxFullError
from actors.runtime.outcome import Outcomes
from actors.runtime.turn import Turn
from protocols.control import ActorState, DeadLetterReason, Terminated

if TYPE_CHECKING:
    import asyncio

    from actors.runtime.actor import AsyncioActor
    from actors.runtime.mailbox import BoundedMailbox
    from actors.runtime.system import ActorSystem

_Handler = Coroutine[Any, Any, Any]
Control = Callable[[], Coroutine[Any, Any, None] | None]

INTERNAL: Final = frozenset(
    (pykka.messages.ProxyCall, pykka.messages.ProxyGetAttr, pykka.messages.ProxySetAttr, Terminated)
)
"""Types of messages that the engine answers for the actor."""


class _Waiting:
    """A handler that did not end at its first step."""

    __slots__ = ("coroutine", "on")

    def __init__(self, coroutine: _Handler, on: Any) -> None:
        self.coroutine = coroutine
        self.on = on


class Processing(Outcomes):
    """The per-message half of a cell. All of it runs on the loop of the system."""

    __slots__ = ( "actor", "ask_timeout", "control", "draining", "idle", "incarnation",
        "lanes", "loop",
        "max_concurrency", "now", "open", "schedule", "scheduled", "senders", "state", "turns",
    )  # fmt: skip

    actor: AsyncioActor | None
    system: ActorSystem
    loop: asyncio.AbstractEventLoop
    mailbox: BoundedMailbox
    max_concurrency: int
    incarnation: int
    now: Callable[[], float]
    lanes: dict[float, dict[Any, float]]
    schedule: Callable[[Any], None]

    def _start_path(self) -> None:
        self.state = ActorState.STARTING
        self.incarnation = 1
        self.accepted = 0
        self.handled = 0
        self.failed = 0
        self.dead = 0
        self.open = False
        """Whether user messages are taken now."""
        self.scheduled = False
        """Whether a worker has this cell, or it is queued for one."""
        self.idle = False
        """Whether the next message must schedule it."""
        self.draining = False
        """Whether it ends as soon as the mailbox is empty."""
        self.control: deque[Control] | None = None
        self.turns: set[Turn] | None = None
        self.senders: deque[asyncio.Future[None]] | None = None
        """Those who wait for room."""

    # -- accept ---------------------------------------------------------------------------------------------------

    def accept(self, envelope: Envelope) -> None:
        """Take a message into the mailbox.

        Raises:
            ActorStoppingError: it takes no more; the message is a dead letter.
            MailboxFullError: no room; the message was not accepted.
        """
        fifo = self.mailbox.fifo
        if fifo is not None and len(fifo) < self.mailbox.capacity:
            fifo.append(envelope)
            self.accepted += 1
            if self.idle:
                self.idle = False
                self.scheduled = True
                self.schedule(self)
            return
        try:
            lost = self.mailbox.put(envelope)
        except ActorStoppingError:
            self.system.dead_letters.add(envelope, DeadLetterReason.DEAD)
            raise
        except MailboxFullError:
            self.system.overflowed(self)
            raise
        self.accepted += 1
        if lost is not None:
            self._lose(lost, DeadLetterReason.OVERFLOW)
        if self.idle:
            self.idle = False
            self.scheduled = True
            self.schedule(self)

    def accept_system(self, message: Any) -> None:
        """Take a message of the engine in arrival order, whatever the bound; ignored once stopped."""
        if self.state is ActorState.STOPPED:
            return
        self.mailbox.put_system(Envelope(message, self, at=self.now()))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        self.accepted += 1
        self.wake()

    def push_control(self, control: Control, *, first: bool = False) -> None:
        """Do this next, before any user message; never waits behind the mailbox."""
        if self.control is None:
            self.control = deque()
        if first:
            self.control.appendleft(control)
        else:
            self.control.append(control)
        self.wake()

    def wake(self) -> None:
        """Have this cell stepped, if nobody is at it."""
        if not self.scheduled:
            self.scheduled = True
            self.idle = False
            self.schedule(self)

    # -- step -----------------------------------------------------------------------------------------------------

    def step(self, limit: int = 1) -> bool | Turn:  # noqa: C901 - one loop, because a call costs as much as the rest
        """Handle up to `limit` messages.

        Returns:
            True when the limit was reached, False when there is nothing left to do, a Turn when a handler waits.
        """
        while limit:
            limit -= 1
            turns = self.turns
            if self.control:
                if turns:
                    return self._release(may_wake=False)
                outcome = self._run_control(self.control.popleft())
                if outcome is not True:
                    return outcome
                continue
            if not self.open or (turns is not None and len(turns) >= self.max_concurrency):
                return self._release(may_wake=False)
            fifo = self.mailbox.fifo
            envelope = (fifo.popleft() if fifo else None) if fifo is not None else self.mailbox.get()
            if envelope is None:
                if self.draining and self._drained():
                    continue
                self.scheduled = False
                self.idle = not self.draining
                return False
            if self.senders is not None:
                self.system.room.wake(self)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - only cells exist
            if envelope.abandoned is not None:
                self._drop_abandoned(envelope)
                continue
            if envelope.deadline is not None and envelope.deadline <= self.now():
                self._expire(envelope)
                continue
            turn = self._handle(envelope)
            if turn is not None:
                return turn
        return True

    def _handle(self, envelope: Envelope) -> Turn | None:
        """Run the handler up to its end, or to where it waits."""
        envelope.state = RUNNING
        envelope.incarnation = self.incarnation
        context = Context()
        try:
            result = context.run(self._enter, envelope)
        except BaseException as error:  # every end of a handler is judged in one place
            self._fail(envelope, error)
            return None
        if type(result) is _Waiting:
            return self._suspend(envelope, result.coroutine, context, result.on)
        self.handled += 1
        envelope.state = SETTLED
        reply = envelope.reply
        if reply is not None:
            if reply.done():
                self.system.late_reply(envelope)
            else:
                reply.set_result(result)
                reply.envelope = None
                if envelope.lane is not None:
                    envelope.lane.pop(reply, None)
        return None

    def _enter(self, envelope: Envelope) -> Any:
        current.set(envelope)
        if envelope.carried is not None:
            for variable, value in envelope.carried:
                variable.set(value)
        message = envelope.message
        actor = self.actor
        assert actor is not None
        handle = actor._handle_internal if type(message) in INTERNAL else actor.on_receive  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - one class in two files
        result: Any = handle(message)
        if type(result) is not CoroutineType:
            return result
        try:
            return _Waiting(result, result.send(None))  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType] - a coroutine of anything
        except StopIteration as stop:
            return stop.value

    def _drained(self) -> bool:
        """The mailbox of a stopping actor is empty; returns whether there is a control step to do now."""
        raise NotImplementedError

    def _release(self, *, may_wake: bool) -> bool:
        self.scheduled = False
        self.idle = may_wake
        return False

    def _suspend(self, envelope: Envelope, coroutine: Any, context: Context, waiting: Any) -> Turn:
        turn = Turn(self, envelope, coroutine, context, waiting)
        envelope.turn = turn
        if self.turns is None:
            self.turns = {turn}
        else:
            self.turns.add(turn)
        if envelope.abandoned is not None or not self.open:
            self._check_interrupted(turn)
        if self.max_concurrency > 1:
            turn.holds_claim = False
            self.scheduled = False
            self.idle = False
            if len(self.turns) < self.max_concurrency and (len(self.mailbox) or self.control):
                self.wake()
            else:
                self.idle = len(self.turns) < self.max_concurrency
        return turn

    def _check_interrupted(self, turn: Turn) -> None:
        """Cancel a handler that was told to end while its first step was running."""
        if turn.envelope.abandoned is not None or self.is_killed:
            turn.cancelled = True

    @property
    def is_killed(self) -> bool:
        """Whether handlers are to be cancelled at once."""
        raise NotImplementedError

    def finish_turn(self, turn: Turn) -> bool:  # noqa: C901 - each branch is one way a handler can end
        """Settle a handler that has waited. Returns whether the worker still has the claim on this cell."""
        if turn.fenced:
            if turn.envelope.reply is not None:
                self.system.late_reply(turn.envelope)
            return False
        if self.turns is not None:
            self.turns.discard(turn)
            if not self.turns:
                self.turns = None
        if turn.timer is not None:
            turn.timer.cancel()
        envelope = turn.envelope
        envelope.turn = None
        if not envelope.accepted:
            envelope.state = SETTLED
            if turn.error is not None:
                self.failed_control(turn.error)
        elif turn.error is not None:
            self._fail(envelope, turn.error, turn)
        else:
            self._complete(envelope, turn.value)
        if turn.holds_claim:
            return True
        if not self.scheduled:
            self.wake()
        return False

    def _run_control(self, control: Control) -> bool | Turn:
        raise NotImplementedError
