"""How a message is settled: answered, refused or lost. Every accepted message ends here, or as a crash, once."""

import msgspec

from actors.runtime.cell import Cell
from actors.runtime.deadline import expire
from actors.runtime.envelope import QUEUED, SETTLED, Envelope
from actors.runtime.errors import ActorCrashedError, ActorStoppingError, MailboxFullError
from actors.runtime.phase import Phase
from protocols.control import DeadLetterReason
from protocols.errors import add_note, cause_text, of_kind, type_name
from protocols.events import LateReply


def answer_error(envelope: Envelope, error: BaseException, reason: DeadLetterReason) -> None:
    """Answer with an error; a message without an asker is a dead letter."""
    reply = envelope.reply
    if reply is None:
        envelope.cell.system.dead_letters.add(envelope, reason, error)
    elif reply.done():
        late_reply(envelope)
    else:
        reply.release()
        reply.fail(error)


def answerable(envelope: Envelope, error: BaseException) -> BaseException:
    """Return what the asker may see: the error with a note, or a substitute for kinds that tear tasks."""
    who, kind = envelope.cell.mailbox.who, type_name(envelope.message)
    if of_kind(error, Exception):
        add_note(error, f"raised by actor {who} while handling {kind}")
        return error
    crash = ActorCrashedError(f"actor {who} ended with {type_name(error)} while handling {kind}")
    crash.__cause__ = error
    return crash


def late_reply(envelope: Envelope) -> None:
    """Count and drop the answer of a handler whose asker has given up."""
    system = envelope.cell.system
    system.late_replies += 1
    late = 0.0 if envelope.deadline is None else max(0.0, system.clock.now() - envelope.deadline)
    kind = type_name(envelope.message)
    system.events.publish(LateReply, actor=envelope.cell.name, message_type=kind, late_by=late)


def drop_abandoned(envelope: Envelope) -> None:
    """Make a dead letter of a message whose asker does not wait any more."""
    lose(envelope, DeadLetterReason.EXPIRED if envelope.abandoned == "expired" else DeadLetterReason.CANCELLED)


def drop_expired(envelope: Envelope) -> None:
    """Make a dead letter of a message whose deadline has passed."""
    if envelope.reply is not None:
        expire(envelope.reply)
    lose(envelope, DeadLetterReason.EXPIRED)


def lose(envelope: Envelope, reason: DeadLetterReason) -> None:
    """Make a dead letter of an accepted message that will not be handled."""
    cell = envelope.cell
    cell.dead += 1
    envelope.state = SETTLED
    cell.system.dead_letters.add(envelope, reason)
    cell.mailbox.ack(envelope)
    if envelope.reply is not None and not envelope.reply.done():
        error: Exception = ended_error(cell, "stopped before it handled the message")
        if reason is DeadLetterReason.OVERFLOW:
            error = MailboxFullError(cell.mailbox.who, cell.mailbox.capacity, envelope.message)
        answer_error(envelope, error, reason)


def ended_error(cell: Cell, what: str, who: object = None) -> ActorStoppingError:
    """Return the error of an actor that takes or handles no message any more, with the reason if that is a failure."""
    cause = root = end_cause(cell)
    while isinstance(root, ActorStoppingError) and root.__cause__ is not None:
        root = root.__cause__  # one that ended because another one had ended: the first failure says why
    why = "" if root is None else f": {cause_text(root)}"
    error = ActorStoppingError(f"{who or f'actor {cell.mailbox.who}'} {what}{why}")
    error.__cause__ = cause
    return error


def end_cause(cell: Cell) -> BaseException | None:
    """Return the failure that ends an actor: its own, or that of a supervisor above it. None for no failure."""
    at: Cell | None = cell
    while at is not None:
        is_failed = at.phase in _FAILED if at.reason is None else at.reason.is_abnormal
        if is_failed and at.cause is not None:
            return at.cause
        at = at.parent
    return None


_FAILED = (Phase.UNSTARTED, Phase.CRASHED, Phase.HELD)


def stashed(envelope: Envelope) -> Envelope:
    """Return a copy of the current message that is handled later; the asker waits for the copy."""
    if envelope.inner:
        envelope.cell.system.deadlines.part(envelope)
    copy = msgspec.structs.replace(envelope, state=QUEUED, turn=None)
    envelope.cell.accepted += 1
    if envelope.reply is not None:
        envelope.reply.envelope = copy
        envelope.reply = None
    return copy
