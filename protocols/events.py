"""Facts about what happened: every event is one frozen struct of one tagged union.

Events carry small numbers and names, no payload (`MessageSent.content` and `MessageReceived.content` are filled only
for a subscriber with `content_bytes`). Events of one system are ordered by `seq`; a gap in it shows that some were
dropped. `time` is wall-clock seconds since the epoch (float, UTC) and is for reading, not for ordering.

In JSON the field ``kind`` says which event it is, in snake case: ``{"kind": "message_sent", ...}``. Fields unknown to
the reader are ignored, so a newer writer can add some.
"""

from decimal import Decimal
from typing import cast, get_args

import msgspec

from protocols.approval_events import ApprovalDecided, ApprovalRequested
from protocols.cost import ZERO_COST
from protocols.errors import EventDecodeError, nearest
from protocols.journal_events import JournalStalled, MessageRedelivered
from protocols.model_events import (
    BudgetWarning,
    CircuitClosed,
    CircuitOpened,
    ModelRequested,
    ModelResponded,
    ModelRetried,
    ModelThrottled,
    ProtocolWarning,
    ToolAbandoned,
    ToolStarted,
)
from protocols.stamp import StampedEvent as StampedEvent
from protocols.stamp import kind_of as kind_of


class CostEvent(StampedEvent, frozen=True, kw_only=True):
    """What events say about tokens and money. A team without an answer has 0: its members are counted."""

    input_tokens: int = 0
    """Tokens read."""
    output_tokens: int = 0
    """Tokens written."""
    cost: Decimal = ZERO_COST
    """Money in US dollars, exact."""
    cost_known: bool = True
    """False when no price list knows the model."""


class RunStarted(StampedEvent, frozen=True, kw_only=True):
    """A node began a run."""

    parent_run_id: str = ""
    """Run this one is a part of; empty for a run that a user started."""
    conversation_id: str = ""


class RunCompleted(StampedEvent, frozen=True, kw_only=True):
    """A run ended with a result."""

    duration: float = 0.0
    """Seconds from start to result."""
    message_id: str = ""


class RunFailed(CostEvent, frozen=True, kw_only=True):
    """A run ended with an exception, which its caller got."""

    error_type: str = ""
    error: str = ""
    duration: float = 0.0
    """Seconds from start to failure."""
    step: str = ""
    """Member of a team or chain that failed; empty when the node itself did."""


class RunRetried(StampedEvent, frozen=True, kw_only=True):
    """An attempt of a run failed, and the node tries again."""

    error_type: str = ""
    error: str = ""
    attempt: int = 1
    """The attempt that failed, from 1."""
    delay: float = 0.0
    """Seconds until the next attempt."""


class RunCancelled(CostEvent, frozen=True, kw_only=True):
    """A run ended because its caller gave up: cancelled, timed out or stopped."""

    reason: str = ""
    """Why, in words."""
    duration: float = 0.0
    """Seconds from start to end."""


class MessageReceived(StampedEvent, frozen=True, kw_only=True):
    """A node took a message, before it worked on it."""

    message_id: str = ""
    conversation_id: str = ""
    source: str = ""
    """Node that sent it; empty for a user's prompt."""
    byte_count: int = 0
    """Length of the content in bytes of UTF-8."""
    content: str | None = None
    """The content as text, cut to the `content_bytes` of the subscriber; None for one without."""


class MessageSent(CostEvent, frozen=True, kw_only=True):
    """A node answered; carries all that is counted."""

    message_id: str = ""
    conversation_id: str = ""
    tool_calls: int = 0
    """Calls of tools made for the answer."""
    byte_count: int = 0
    """Length of the content in bytes of UTF-8."""
    response_time: float = 0.0
    """Seconds the answer took."""
    model: str = ""
    """Model that wrote it."""
    composed: bool = False
    """True for the answer of a team or chain, whose members have already been counted."""
    content: str | None = None
    """The content as text, cut to the `content_bytes` of the subscriber; None for one without."""


class ToolCalled(StampedEvent, frozen=True, kw_only=True):
    """A tool was called and returned or failed."""

    tool_name: str = ""
    tool_call_id: str = ""
    duration: float = 0.0
    """Seconds it took."""
    error: str | None = None
    """Text of the failure; None when it returned."""


class TalkProcessed(StampedEvent, frozen=True, kw_only=True):
    """A connection handled one message: passed it on, queued it, or filtered it away (no targets)."""

    talk: str = ""
    source: str = ""
    """Node the message came from."""
    targets: tuple[str, ...] = ()
    """Nodes it went to."""
    message_id: str = ""
    conversation_id: str = ""
    connection_type: str = "run"
    """run, context or forward."""
    queued: bool = False
    """Whether it waits for a trigger."""


class TalkFailed(StampedEvent, frozen=True, kw_only=True):
    """A connection could not handle a message, or its target failed on it; the source is not affected."""

    talk: str = ""
    source: str = ""
    """Node the message came from."""
    target: str = ""
    """Node it was meant for; empty when the failure came before the targets."""
    message_id: str = ""
    step: str = ""
    """Part that failed: filter, stop, exit, transform, queue or deliver."""
    error_type: str = ""
    error: str = ""


class HopLimitReached(StampedEvent, frozen=True, kw_only=True):
    """A message was not forwarded again because it had been forwarded too often."""

    talk: str = ""
    """Connection that stopped it."""
    message_id: str = ""
    limit: int = 0
    """Hops allowed."""
    route: tuple[str, ...] = ()
    """Nodes it had passed, oldest first."""


class ActorStarted(StampedEvent, frozen=True, kw_only=True):
    """An actor came to life."""

    actor_type: str = ""
    """Class of the actor."""
    incarnation: int = 1
    """Life of the actor, from 1."""


class ActorStopped(StampedEvent, frozen=True, kw_only=True):
    """An actor ended for good."""

    reason: str = "normal"
    """Why: normal, shutdown, killed, crashed, or the text of the error."""
    incarnation: int = 1
    """Its last life."""


class ActorCrashed(StampedEvent, frozen=True, kw_only=True):
    """A handler broke; the supervisor decides what happens next."""

    error_type: str = ""
    error: str = ""
    """Text of the exception, cut when long."""
    message_type: str = ""
    """Class of the current message; empty if a hook failed."""
    incarnation: int = 1
    """The life that broke."""


class ActorRestarted(StampedEvent, frozen=True, kw_only=True):
    """An actor runs again behind its old ref and mailbox."""

    incarnation: int = 1
    """The new life."""
    queued: int = 0
    """Messages that waited for it."""


class ChildRestarted(StampedEvent, frozen=True, kw_only=True):
    """A supervisor (`actor`) has restarted a child. Counters take this one as the restart, not `ActorRestarted`."""

    child: str = ""
    incarnation: int = 1
    """Its new life."""
    attempt: int = 1
    """Restarts within the intensity's window, this one included."""
    delay: float = 0.0
    """Seconds of backoff before it."""
    reason: str = ""
    """What had happened to it."""


class ChildGaveUp(StampedEvent, frozen=True, kw_only=True):
    """A supervisor (`actor`) will not restart a child again and escalates."""

    child: str = ""
    restarts: int = 0
    """Restarts within the window."""
    limit: int = 0
    """Restarts allowed."""
    period: float = 0.0
    """Seconds of the window."""
    reason: str = ""
    """The last failure."""


class DeadLetter(StampedEvent, frozen=True, kw_only=True):
    """A message for `actor` could not be delivered, or no caller waits for its failure any more."""

    message_type: str = ""
    reason: str = ""
    """Why: dead, closed, overflow, expired, crashed, unanswered, ..."""
    sender: str = ""
    """Actor that sent it; empty when none did."""
    age: float = 0.0
    """Seconds since it was sent."""
    id: int = 0
    """Number of the dead letter in its system, from 1; see `actors.app.dead_letters`."""


class MailboxOverflow(StampedEvent, frozen=True, kw_only=True):
    """A full mailbox refused or dropped messages."""

    capacity: int = 0
    """Messages it holds."""
    policy: str = ""
    """What it did: reject, drop_oldest, drop_newest or wait."""
    dropped: int = 0
    """Messages lost since the last such event."""


class LateReply(StampedEvent, frozen=True, kw_only=True):
    """A reply came after its asker had given up."""

    message_type: str = ""
    """Class of the request."""
    late_by: float = 0.0
    """Seconds after the deadline."""


class HandlerAbandoned(StampedEvent, frozen=True, kw_only=True):
    """A handler would not end when cancelled, was left behind, and can no longer reach anybody."""

    message_type: str = ""
    """Class of the message it worked on."""
    incarnation: int = 1
    """The life it belongs to."""
    waited: float = 0.0
    """Seconds it was given to end."""


class LoopBlocked(StampedEvent, frozen=True, kw_only=True):
    """The event loop did not turn for too long, most likely because `actor` computed or blocked."""

    duration: float = 0.0
    """Seconds without a turn."""
    message_type: str = ""
    """Class of the current message."""


class EventsDropped(StampedEvent, frozen=True, kw_only=True):
    """A subscriber was too slow and lost events."""

    subscriber: str = ""
    count: int = 0
    """Events lost since the last such event."""


Event = (
    RunStarted | RunCompleted | RunFailed | RunRetried | RunCancelled | MessageReceived | MessageSent | ToolCalled
    | TalkProcessed | TalkFailed | HopLimitReached | ActorStarted | ActorStopped | ActorCrashed | ActorRestarted
    | ChildRestarted | ChildGaveUp | DeadLetter | MailboxOverflow | LateReply | HandlerAbandoned | LoopBlocked
    | EventsDropped | ModelRetried | ModelThrottled | CircuitOpened | CircuitClosed | ProtocolWarning
    | ToolAbandoned | BudgetWarning | ApprovalRequested | ApprovalDecided | MessageRedelivered | JournalStalled
    | ToolStarted | ModelRequested | ModelResponded
)  # fmt: skip
"""Any event."""

KINDS: dict[str, type[StampedEvent]] = {kind_of(event.__name__): event for event in get_args(Event)}
"""Event classes by their ``kind`` in JSON."""

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


class _Kind(msgspec.Struct):
    kind: str = ""


def encode(event: Event) -> bytes:
    """Return the event as JSON; characters that no file may hold (lone surrogates) become question marks."""
    try:
        return _ENCODER.encode(event)
    except UnicodeEncodeError:
        texts = {
            name: _writable(value) if isinstance(value, str) else tuple(map(_writable, cast("tuple[str, ...]", value)))
            for name, value in msgspec.structs.asdict(event).items()
            if isinstance(value, str | tuple)
        }
        return _ENCODER.encode(msgspec.structs.replace(event, **texts))


def _writable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def decode(data: bytes | str) -> Event:
    """Return the event of one JSON document.

    Raises:
        EventDecodeError: when the document is malformed, of an unknown kind, or has fields of the wrong type.
    """
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EventDecodeError(_decode_failure(data, error)) from error


def _decode_failure(data: bytes | str, error: Exception) -> str:
    try:
        kind = msgspec.json.decode(data, type=_Kind).kind
    except (msgspec.DecodeError, UnicodeDecodeError):
        return f"not an event: {error}"
    if kind not in KINDS:
        return f"unknown event kind {kind!r}{nearest(kind, KINDS)}"
    return f"event {kind!r} cannot be read: {error}"
