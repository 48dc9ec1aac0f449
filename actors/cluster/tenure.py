"""The windows of a durable node of a cluster: one for each tenure of its host, and one while it lives elsewhere."""

import asyncio
from collections.abc import Coroutine
from typing import Any, ClassVar, Protocol

from actors.cluster.lease import LeaseKeeper
from actors.durable.delivery_window import DeliveryWindow
from actors.durable.kept_queue import KeptMessage
from actors.runs.request import RunRequest
from protocols.clock import Clock
from protocols.cluster import ClusterStore, Lease, LeaseLostError
from protocols.journal import EndOutcome, Entry, JournalError


class HostView(Protocol):
    """What a mailbox knows of its host; see `actors.cluster.host`."""

    store: ClusterStore
    """What the hosts share."""
    expected: dict[bytes, Any]
    """The messages of other hosts whose ends callers here wait for, and their mailboxes."""
    mailboxes: Any
    """The nodes that live at one host at a time, by address."""
    leases: LeaseKeeper
    """The leases of this host, and what it knows of the others."""
    lane: Any
    """What it sends frames by, a `Lane`."""
    live: Any
    """The runs in memory that hosts ask of each other; see `actors.cluster.live_run`."""
    clock: Clock

    def run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do asynchronous work of this host."""
        ...

    def holds(self, lease: Lease) -> bool:
        """Return True if this host has a lease, as far as it knows."""
        ...

    def is_good(self, lease: Lease) -> bool:
        """Return True if a handler may begin under a lease."""
        ...

    def forget(self, lease: Lease) -> None:
        """Take note that a lease is over."""


class TenureWindow(DeliveryWindow):
    """The deliveries of a node under one lease. When that is over it ends quietly: the next host delivers."""

    def __init__(self, host: HostView, lease: Lease, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.queue.is_shared = True
        self.lease = lease
        self._host = host

    @property
    def is_working(self) -> bool:
        """True while a message is under way or being ended."""
        return bool(self._under_way or self._writes)

    def most(self) -> int:
        """Return how many messages may be under way now: none while the lease is not certain."""
        return super().most() if self._host.is_good(self.lease) else 0

    def add(self, entry: Entry, request: RunRequest, timeout: float | None, place: int) -> None:
        """Deliver a message that was accepted here, after those of other hosts that came before it."""
        self.queue.note(entry, request, timeout, place)
        self._give()

    def _deliver(self, message: KeptMessage, steps: dict[str, tuple[bytes, bytes]]) -> None:
        super()._deliver(message, steps)
        if message.reply is not None and message.request is not None:
            self._host.live.asks.link(message.request.chain, message.reply)

    def broke(self, error: BaseException) -> None:
        """Stop: the lease is over, or the journal does not work any more."""
        if not isinstance(error, LeaseLostError):
            super().broke(error)
            return
        self.pause()
        self._host.forget(self.lease)

    def _failed_to_read(self, error: JournalError) -> None:
        if isinstance(error, LeaseLostError):
            self.broke(error)
        else:
            super()._failed_to_read(error)


class RemoteWindow(DeliveryWindow):
    """Stands in for the deliveries of a node that lives at another host. Callers are told when that says so."""

    is_here: ClassVar[bool] = False

    def __init__(self, host: HostView, mailbox: Any, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._host = host
        self._mailbox = mailbox

    def start(self) -> None:
        """Deliver nothing."""

    def add(self, entry: Entry, request: RunRequest, timeout: float | None, place: int) -> None:
        """Wait for the end of a message that was accepted here."""
        if self.answers.has(entry.id):
            self._host.expected[entry.id] = self._mailbox

    def end(self, id: bytes, outcome: EndOutcome, error: BaseException) -> None:
        """Have its host end a message whose caller waits no more."""
        self._mailbox.renounce(id, outcome, error)
