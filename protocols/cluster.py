"""A cluster: several processes of one pool share one journal, and each durable node lives in one of them at a time.

Nodes are spread by *shards*. A *host* is one life of a process. It delivers the messages of a shard while it has the
*lease* of it; each lease has an *epoch*, and what is written under an epoch that is over is refused. So safety does not
depend on time; the time of a lease only decides how soon another host takes over. See `docs/cluster.md`.
"""

from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Final, Protocol

from msgspec import Struct

from protocols.journal import Commit, EndOutcome, JournalError, MailboxJournal
from protocols.transport import Transport

SHARDS: Final = 64
"""Shards of a pool, unless its manifest says otherwise."""
MOST_SHARDS: Final = 1_024
COUNTED: Final = 100_000
"""Open messages for each second between two counts of them: to count a million each second is felt."""
TTL: Final = 6.0
"""Seconds for which a lease is good without being renewed, unless the manifest says otherwise."""


class Lease(Struct, frozen=True):
    """The right of a host to deliver and end the messages of one shard."""

    shard: int
    epoch: int
    """Larger than that of every earlier lease of the shard."""


class HostRecord(Struct, frozen=True, kw_only=True):
    """One host, as the others see it."""

    id: str
    """New for each process, so that a process that comes back is another one."""
    cluster: str
    """The name of the cluster: hosts of another name are refused while these live."""
    name: str = ""
    """What people call it: machine and process id."""
    actor: str = ""
    """The name that Ray has for it, if Ray has started it."""
    is_caller: bool = False
    """True if it takes no leases, because other processes are there for that; it only asks them."""
    version: str = ""
    """Digest of the manifest."""
    nodes: tuple[str, ...] = ()
    """The mailboxes that it can deliver to: those of its manifest, without nodes that a supervisor has given up."""
    ttl: float = TTL
    """Seconds for which its leases are good."""
    since: float = 0.0
    """Wall time of the store when it began."""
    is_draining: bool = False
    """True if it gives its leases back and takes none."""
    left: float = 0.0
    """Seconds until it is taken for dead, by the clock of the store; 0 or less for a dead one."""
    life: int = 0
    """Another one when it was taken for dead and came back: what others said to it before is lost."""
    shards: tuple[int, ...] = ()
    """The shards that it has the leases of."""
    snapshot: bytes = b""
    """What it says of itself: JSON of its nodes and numbers."""


class Notice(Struct, frozen=True):
    """What a host is told by the others. A notice may be lost; `ClusterStore.look` finds the same."""

    mailboxes: tuple[str, ...] = ()
    """Mailboxes of its shards that another host has put messages into."""
    ended: tuple[bytes, ...] = ()
    """Messages it waits for that have ended."""
    given_up: tuple[tuple[bytes, EndOutcome], ...] = ()
    """Messages of its shards whose caller elsewhere waits no more, and how they are to end."""
    is_partial: bool = False
    """True if there is more than could be said, or shards are free: look now."""


class ClusterStore(MailboxJournal, Protocol):
    """A journal that the hosts of one pool share. `accept` takes messages of every mailbox, wherever it lives.

    Its own `settle`, `begin`, `postpone` and `keep_step` raise `LeaseLostError`: use those of `leased`.
    """

    host: str
    """The id of this host, made with the object."""

    def wall(self) -> float:
        """Return the wall time of the store, in seconds since 1970. The clocks of the hosts are never compared."""
        ...

    def shard(self, mailbox: str) -> int:
        """Return the shard of a mailbox. All that belongs to a node, such as ``pool/node#session``, has its shard."""
        ...

    def leased(self, lease: Lease) -> MailboxJournal:
        """Return this journal for what is delivered under a lease: its writes raise `LeaseLostError` afterwards."""
        ...

    async def renew(self, me: HostRecord, ttl: float) -> tuple[Lease, ...]:
        """Say that this host lives, and renew its leases. Return those that it still has.

        Args:
            me: this host; its `left`, `life` and `shards` are not read.
            ttl: seconds from now for which they are good.

        Raises:
            ClusterMismatchError: live hosts of another cluster have the pool.
        """
        ...

    async def claim(self, most: int, ttl: float, among: Collection[int] | None = None) -> tuple[Lease, ...]:
        """Take free shards, and those whose lease is over, and return their leases.

        Args:
            most: number of shards, at most.
            ttl: seconds from now for which the leases are good.
            among: the shards that it wants; None for any.
        """
        ...

    async def give_back(self, leases: Collection[Lease]) -> None:
        """Make shards free at once, and tell the other hosts. What this host has lost is left out."""
        ...

    async def leave(self) -> None:
        """Give all leases back and forget this host."""
        ...

    async def hosts(self) -> list[HostRecord]:
        """Return the hosts that live, or died within the last hour, by name."""
        ...

    async def drain(self, host: str) -> bool:
        """Ask a host to give its shards back; False if it is not known."""
        ...

    def expect(self, id: bytes) -> Commit[None]:
        """Have this host told when a message ends. A message that this host accepts for another one is expected."""
        ...

    def give_up(self, id: bytes, outcome: EndOutcome) -> Commit[None]:
        """Have the host of a message told that its caller waits no more."""
        ...

    async def given_up(self, mailbox: str) -> list[tuple[bytes, EndOutcome]]:
        """Return the open messages of a mailbox for which no caller waits any more, and how they are to end."""
        ...

    async def look(self, leases: Sequence[Lease], expected: Collection[bytes]) -> Notice:
        """Return what notices may have been lost.

        Args:
            leases: those of this host: in `mailboxes` are all of their mailboxes with open messages.
            expected: ids; those that have ended are in `ended`.
        """
        ...

    def listen(self, told: Callable[[Notice], object]) -> None:
        """Have a function called with each notice, on the loop of the store."""
        ...

    @property
    def transport(self) -> Transport:
        """Carries packets between the hosts."""
        ...


class LeaseLostError(JournalError):
    """A shard belongs to another host now. Nothing was written."""


class ClusterMismatchError(JournalError):
    """A process does not fit to the hosts that have the pool."""

    is_final = True


@lru_cache(maxsize=65_536)
def shard_of(mailbox: str, shards: int) -> int:
    """Return the shard of a mailbox.

    Example:
        >>> shard_of("orders/clerk", 64) == shard_of("orders/clerk#session-7", 64)
        True
    """
    address = mailbox.partition("#")[0]
    return int.from_bytes(blake2b(address.encode(), digest_size=8).digest(), "big") % shards
