"""Events of the engine and of supervision: lives of actors, and messages that went astray."""

from protocols.stamp import StampedEvent


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
    """Class of the exception."""
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
    """Name of the child."""
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
    """Name of the child."""
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
    """Class of the message."""
    reason: str = ""
    """Why: dead, closed, overflow, expired, crashed, unanswered, ..."""
    sender: str = ""
    """Actor that sent it; empty when none did."""
    age: float = 0.0
    """Seconds since it was sent."""


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
    """Name of the subscriber."""
    count: int = 0
    """Events lost since the last such event."""
