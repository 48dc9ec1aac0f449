"""What starts a run from outside: events as frozen structs, and the two sides that pass them on.

A *source* (a watched folder, a webhook, the clock) makes an event and gives it to a `TriggerSink`, which queues it. The
sink starts one run after the other through a `RunStarter`, which the owner of the nodes provides.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

import msgspec

from protocols.errors import UnderstageError
from protocols.ids import RunId
from protocols.messages import ChatMessage
from protocols.plain_text import printable
from protocols.tracing import Headers

Metadata = Mapping[str, str | int | float | bool | None]
"""Small facts about an event."""
ChangeKind = Literal["added", "modified", "deleted"]
"""What happened to a file."""
Accepted = Callable[["asyncio.Future[Any]"], object]
"""Gets the future of the answer of a run that has been kept."""
TalkEventName = Literal["message_received", "message_processed", "message_forwarded", "queue_filled", "queue_triggered"]
"""What happened on a connection."""


class TriggerError(UnderstageError):
    """A trigger cannot be made, or cannot do its work now. Not about the run that it starts: that is `RunError`."""


class TriggerConfigError(TriggerError, ValueError):
    """The settings of a trigger can never work: a bad cron line, an empty secret, a root that is a file."""


class TriggerExtraError(TriggerError, ImportError):
    """A library that this kind of trigger needs is not installed; the text names the extra to install."""


class TriggerFullError(TriggerError):
    """The queue of a trigger is full and refuses the event. The same event may be accepted later."""


class NotKeptError(TriggerFullError):
    """The durable node of a trigger cannot keep the event now: its mailbox or the disk is full, or the disk is slow."""


class TriggerStoppedError(TriggerError):
    """The trigger is not running: not started yet, stopping, or stopped."""


class TriggerEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What all events of triggers have; sources make one of the kinds below."""

    source: str
    """Name of the trigger."""
    time: float
    """When it happened: seconds since 1970 UTC, by the wall clock."""
    metadata: Metadata = msgspec.field(default_factory=dict[str, str | int | float | bool | None])
    """Small facts about the content."""

    @property
    def timestamp(self) -> datetime:
        """When it happened, as an aware datetime in UTC."""
        return datetime.fromtimestamp(self.time, UTC)

    def to_prompt(self) -> str:
        """Return the event as the text of a prompt, without time and metadata."""
        return f"Event of {self.source}"


class FileChange(msgspec.Struct, frozen=True):
    """One file of a burst."""

    kind: ChangeKind
    """What happened to it."""
    path: str
    """Path below the root, with `/`; `printable` shows names with odd characters on one line."""


class FileChanged(TriggerEvent, frozen=True, kw_only=True, tag="file"):
    """Files changed; all changes of a burst are one event."""

    root: str
    """Folder that the paths are relative to."""
    changes: tuple[FileChange, ...]
    """Each file once, in the order of their paths."""
    omitted: int = 0
    """Files that changed as well but are not listed, because the burst was too large."""

    def to_prompt(self) -> str:
        """Return one line per file, as in ``File modified: docs/a.md``."""
        lines = [f"File {change.kind}: {printable(change.path)}" for change in self.changes]
        if self.omitted:
            lines.append(f"and {self.omitted} more files")
        return "\n".join(lines)


class WebhookReceived(TriggerEvent, frozen=True, kw_only=True, tag="webhook"):
    """A webhook was called."""

    path: str
    """Path of the webhook."""
    payload: Any = None
    """Decoded JSON, or the text of the body."""
    event_id: str = ""
    """Identifier that the sender gave; empty when it gave none."""

    def to_prompt(self) -> str:
        """Return the payload: text as it is, everything else as JSON."""
        if isinstance(self.payload, str):
            return self.payload
        return msgspec.json.format(msgspec.json.encode(self.payload), indent=2).decode()


class TimeReached(TriggerEvent, frozen=True, kw_only=True, tag="time"):
    """A time of a schedule came."""

    schedule: str
    """The cron line, or ``every 5.0 s``."""
    prompt: str
    """What is to be done."""
    due: float = 0.0
    """When it was due: seconds since 1970 UTC."""
    missed: int = 0
    """Earlier times that this run makes up for."""

    def to_prompt(self) -> str:
        """Return the prompt of the schedule."""
        return self.prompt


class MailReceived(TriggerEvent, frozen=True, kw_only=True, tag="email"):
    """An e-mail came."""

    sender: str
    """Address it says it is from; anybody can write anything there."""
    subject: str = ""
    """Its subject."""
    body: str = ""
    """Its text."""
    recipients: tuple[str, ...] = ()
    """Addresses it is to."""
    uid: str = ""
    """Identifier in its folder."""
    attachments: tuple[str, ...] = ()
    """Names of attached files, which are not passed on."""

    def to_prompt(self) -> str:
        """Return sender, subject and text."""
        lines = [f"E-mail from: {printable(self.sender)}", f"Subject: {printable(self.subject)}"]
        if self.attachments:
            lines.append(f"Attachments: {', '.join(map(printable, self.attachments))}")
        return "\n".join([*lines, "", self.body])


class ConnectionEvent(TriggerEvent, frozen=True, kw_only=True, tag="connection"):
    """Something happened on a connection between nodes."""

    connection: str
    """Name of the connection."""
    event: TalkEventName
    """What happened."""
    sender: str = ""
    """Node the message came from."""
    targets: tuple[str, ...] = ()
    """Nodes it went to, or is to go to while it waits."""
    message_id: str = ""
    """The message."""
    text: str = ""
    """Its content as text."""

    def to_prompt(self) -> str:
        """Return one line that names connection, event, message and nodes, and below it the text of the message."""
        where = f"from {self.sender!r} to {', '.join(map(repr, self.targets)) or 'nobody'}"
        line = f"Connection {self.connection!r}: {self.event} {where}, message {self.message_id}"
        return f"{line}\n\n{self.text}" if self.text else line


class FunctionReturned(TriggerEvent, frozen=True, kw_only=True, tag="function"):
    """A tracked or polled function returned something."""

    function: str
    """Its name."""
    text: str
    """What it returned, as text."""

    def to_prompt(self) -> str:
        """Return the text."""
        return self.text


class ConnectionFact(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """What happened to one message on one connection."""

    connection: str
    """Name of the connection."""
    sender: str
    """Node that it begins at."""
    ends: tuple[str, ...]
    """Nodes that it leads to."""
    message: ChatMessage[Any]
    """The message as it is passed on."""
    targets: tuple[str, ...] = ()
    """Nodes that the message goes to; empty when it waits or was filtered away."""
    conversation_id: str = ""
    """Flow of messages it belongs to."""
    queued: bool = False
    """Whether it waits from now on."""
    was_queued: bool = False
    """Whether it had waited."""
    freeze: Callable[[], Any]
    """Returns what conditions look at, as it is when the fact is told; for use at that moment."""


class ConnectionFlow(Protocol):
    """Reports what happens on some connections; the owner of the connections provides it."""

    def connect(self, told: Callable[[ConnectionFact], object], /) -> Callable[[], None]:
        """Call a function with each fact from now on, on the event loop; what is returned ends that."""
        ...


class TriggerSink(Protocol):
    """Takes events of sources."""

    @property
    def name(self) -> str:
        """Name of the trigger."""
        ...

    def report(self, event: TriggerEvent) -> None:
        """Queue one run for an event whose source wants no answer. From any thread; never waits and never raises.

        An event that cannot be queued is a dead letter.
        """
        ...


class RunStarter(Protocol):
    """Starts runs of one node; the owner of the nodes provides it."""

    def __call__(self, prompt: str, *, run_id: RunId, event: TriggerEvent) -> Awaitable[object]:
        """Start a run with this id; awaiting the result waits for its end and raises what it raised.

        An awaitable that is cancelled cancels the run.
        """
        ...


class RunKeeper(Protocol):
    """Keeps runs of one node in its journal, while the node is durable."""

    @property
    def is_durable(self) -> bool:
        """True if the node keeps its runs."""
        ...

    async def keep(self, prompt: str, run_id: RunId, event: TriggerEvent, accepted: Accepted, *, waits: bool) -> bool:
        """Keep a run with this id; return after the commit, with False if it was known already.

        `accepted` gets the future of the answer of a new run when it is kept, even if the caller is cancelled.
        `waits=False` raises in place of waiting for room.
        """
        ...

    async def look_back(self, now: float, runs: Iterable[tuple[float, RunId]]) -> float:
        """Return the time since which times were missed; `now` unless another process may have served them before.

        Args:
            now: wall time.
            runs: earlier times of a schedule, the latest first, with the ids of their runs.
        """
        ...

    def continue_trace(self, headers: Headers) -> None:
        """Have the runs of this context belong to the trace that an HTTP request names."""
