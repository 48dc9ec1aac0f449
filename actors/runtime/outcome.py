"""How a message is settled: answered, refused, failed, given up or lost. Every accepted message ends here once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from actors.runtime.envelope import QUEUED, SETTLED
from actors.runtime.errors import (
    ActorCrashedError,
    ActorStoppingError,
    MailboxFullError,
    Reject,
    UnhandledMessageError,
)
from protocols.control import DeadLetterReason

if TYPE_CHECKING:
    from actors.runtime.envelope import Envelope
    from actors.runtime.mailbox import BoundedMailbox
    from actors.runtime.system import ActorSystem
    from actors.runtime.turn import Turn


class Outcomes:
    """The part of a cell that ends messages and counts them: accepted = handled + failed + dead + still waiting."""

    __slots__ = ("accepted", "dead", "failed", "handled", "mailbox", "system")

    system: ActorSystem
    mailbox: BoundedMailbox
    accepted: int
    handled: int
    failed: int
    dead: int

    def _complete(self, envelope: Envelope, result: Any) -> None:
        self.handled += 1
        envelope.state = SETTLED
        reply = envelope.reply
        if reply is not None:
            if reply.done():
                self.system.late_reply(envelope)
            else:
                reply.answer(result)

    def _fail(self, envelope: Envelope, error: BaseException, turn: Turn | None = None) -> None:
        self.failed += 1
        envelope.state = SETTLED
        if isinstance(error, Reject):
            self._refuse(envelope, error)
        elif envelope.abandoned is not None and turn is not None and turn.cancelled and _is_cancelled(error):
            return
        else:
            self._crash(envelope, error, turn)

    def _refuse(self, envelope: Envelope, error: Reject) -> None:
        if envelope.reply is not None:
            self._answer_error(envelope, error)
            return
        unhandled = isinstance(error, UnhandledMessageError)
        reason = DeadLetterReason.UNHANDLED if unhandled else DeadLetterReason.REJECTED
        self.system.dead_letters.add(envelope, reason, error)

    def _answer_error(self, envelope: Envelope, error: BaseException) -> None:
        reply = envelope.reply
        if reply is None:
            return
        if reply.done():
            self.system.late_reply(envelope)
        else:
            reply.release()
            reply.fail(error)

    def answerable(self, envelope: Envelope, error: BaseException) -> BaseException:
        """Return what the asker may see: the original with a note, or a substitute for kinds that tear tasks."""
        kind = type(envelope.message).__name__
        if isinstance(error, Exception):
            _note(error, f"raised by actor {self.mailbox.who} while handling {kind}")
            return error
        crash = ActorCrashedError(f"actor {self.mailbox.who} ended with {type(error).__name__} while handling {kind}")
        crash.__cause__ = error
        return crash

    def _crash(self, envelope: Envelope, error: BaseException, turn: Turn | None) -> None:
        raise NotImplementedError

    def failed_control(self, error: BaseException) -> None:
        """A step of the actor's own life broke: that is a crash of the actor."""
        raise NotImplementedError

    # -- giving up ------------------------------------------------------------------------------------------------

    def abandon(self, envelope: Envelope, why: str) -> None:
        """Nobody waits for this message any more: do not start it, or cancel its handler."""
        if envelope.abandoned is not None or envelope.state == SETTLED:
            return
        envelope.abandoned = why
        if envelope.turn is not None:
            self.interrupt(envelope.turn)

    def interrupt(self, turn: Turn) -> None:
        """Cancel a waiting handler; one that ignores it is cancelled again and then cut loose."""
        raise NotImplementedError

    def stashed(self, envelope: Envelope) -> Envelope:
        """Return a copy of the message in hand that will be handled later; the asker goes on waiting for the copy."""
        copy = msgspec.structs.replace(envelope, state=QUEUED, turn=None)
        self.accepted += 1
        if envelope.reply is not None:
            envelope.reply.envelope = copy
            envelope.reply = None
        return copy

    def _drop_abandoned(self, envelope: Envelope) -> None:
        reason = DeadLetterReason.EXPIRED if envelope.abandoned == "expired" else DeadLetterReason.CANCELLED
        self._lose(envelope, reason)

    def _expire(self, envelope: Envelope) -> None:
        if envelope.reply is not None:
            self.system.deadlines.expire(envelope.reply)
        self._lose(envelope, DeadLetterReason.EXPIRED)

    def _lose(self, envelope: Envelope, reason: DeadLetterReason) -> None:
        """An accepted message will not be handled."""
        self.dead += 1
        envelope.state = SETTLED
        self.system.dead_letters.add(envelope, reason)
        if envelope.reply is not None and not envelope.reply.done():
            self._answer_error(envelope, self._lost_error(reason, envelope))

    def _lost_error(self, reason: DeadLetterReason, envelope: Envelope) -> Exception:
        if reason is DeadLetterReason.OVERFLOW:
            return MailboxFullError(self.mailbox.who, self.mailbox.capacity, envelope.message)
        return ActorStoppingError(f"actor {self.mailbox.who} stopped before it handled the message")


def _is_cancelled(error: BaseException) -> bool:
    return isinstance(error, (asyncio.CancelledError, TimeoutError))


def _note(error: BaseException, note: str) -> None:
    if note not in getattr(error, "__notes__", ()):
        error.add_note(note)
