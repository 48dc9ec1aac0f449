"""What the hosts of a cluster say to each other without the database: live runs and streams.

A `Transport` carries bytes and may lose, double or reorder them. The lane of `actors.cluster` makes of it frames that
arrive in order and once, for as long as both processes live; see `docs/cluster.md`.
"""

from collections.abc import Callable
from typing import Final, Protocol

from msgspec import Struct

MOST_FRAME_BYTES: Final = 16 * 1024 * 1024
"""Bytes of one packet; a frame that is longer is refused where it is sent."""


class Run(Struct, frozen=True, tag="run", array_like=True):
    """Do a run of a node that lives at the receiver, in memory."""

    id: bytes
    """New for each run that crosses."""
    to: str
    """The address of the node: ``pool/node``."""
    record: bytes
    """The request, as durable nodes keep it."""
    left: float | None = None
    """Seconds until its deadline; clocks are never compared."""
    credit: int = 0
    """Events that its reader takes before it gives a `Credit`; 0 if nothing reads them."""
    has_steps: bool = False
    """True if the events are what became of each member of a team."""


class Cancel(Struct, frozen=True, tag="cancel", array_like=True):
    """The asker of a run waits no more."""

    id: bytes


class Answer(Struct, frozen=True, tag="answer", array_like=True):
    """A run is done."""

    id: bytes
    message: bytes
    """As a journal keeps it."""


class Failure(Struct, frozen=True, tag="failure", array_like=True):
    """A run has failed."""

    id: bytes
    error: bytes
    """The error, as a journal keeps it."""
    is_elsewhere: bool = False
    """True if it was not begun, because the node does not live at the host that was asked."""


class Item(Struct, frozen=True, tag="item", array_like=True):
    """The next events of a run that is read."""

    id: bytes
    events: bytes


class Credit(Struct, frozen=True, tag="credit", array_like=True):
    """The reader of a run takes so many further events."""

    id: bytes
    number: int


class Context(Struct, frozen=True, tag="context", array_like=True):
    """A text for the next run of a node that lives at the receiver; no text has it forget a session."""

    to: str
    text: str
    session: str | None


Frame = Run | Cancel | Answer | Failure | Item | Credit | Context


class Transport(Protocol):
    """Carries packets between the processes of a cluster. It may lose, double and reorder them."""

    def send(self, host: str, packet: bytes) -> None:
        """Send bytes to a host, without waiting. What cannot be sent is lost.

        Args:
            host: its `HostRecord.id`, which no other life of a process has.
            packet: at most `MOST_FRAME_BYTES`.
        """
        ...

    def connect(self, arrived: Callable[[str, bytes], object]) -> None:
        """Have a function called with the sender and the bytes of each packet, on the loop of the host."""
        ...


class Lane(Protocol):
    """What a host sends frames by: they arrive in order, and at most once, while both processes live."""

    def send(self, host: str, frame: Frame) -> None:
        """Send a frame, without waiting.

        Raises:
            HostLostError: the host is not known to live.
            MailboxFullError: too much waits for it.
            RunError: the frame is too long.
        """
        ...

    def listen(self, arrived: Callable[[str, Frame], object], lost: Callable[[str], object]) -> None:
        """Have functions called with each frame and its sender, and with a host that is lost.

        What was sent to that host may have arrived or not, and none of what it had sent arrives any more. It may come
        back: what it sends then is new.
        """
        ...
