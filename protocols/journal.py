"""The journal of accepted messages: what a durable node has accepted is in it until the node has handled it.

The words that nodes, stores and the command line share. See `docs/durable-mailboxes.md` for what is promised.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, Literal, Protocol, TypeVar

from msgspec import Struct

from protocols.errors import UnderstageError
from protocols.mailbox import MailboxFullError

T = TypeVar("T")

STALLED: Final = 1.0
"""Seconds after which a write that waits for its commit is told, and no run is accepted until it is committed."""
MOST_WAITING: Final = 1_000
"""Writes that may wait for their commits before the next run is accepted."""

EndOutcome = Literal["handled", "failed", "crashed", "expired", "cancelled", "poison", "undecodable", "rejected"]
"""How a kept message ended. ``poison``: the process died in each of its deliveries."""


class Entry(Struct, frozen=True, gc=False):
    """What is kept of one message."""

    id: bytes
    """16 bytes; a message with the same id is the same message."""
    mailbox: str
    """Pool and node, as in ``orders/clerk``."""
    sender: str
    """The node or trigger that sent it; empty for a user."""
    kind: str
    """What the payload is: ``run1`` for a `RunRecord`, ``context1`` for text of `add_context`, or a message's tag."""
    payload: bytes
    accepted: float
    """Wall time, in seconds since 1970."""
    due: float | None = None
    """Wall time before which it is not delivered."""
    expires: float | None = None
    """Wall time after which it is not delivered any more; only where a caller waits for the answer."""
    attempts: int = 0
    """How many deliveries were marked as begun again: 0 for a message that was in no hand when a process died."""
    seq: int = 0
    """Place in the order of acceptance, given by the journal; 0 before."""


class Acknowledgement(Struct, frozen=True, gc=False):
    """One transaction: the end of a message and all that follows from it."""

    id: bytes
    outcome: EndOutcome
    reply: bytes | None = None
    """The answer, for callers that ask for it later."""
    error: str | None = None
    is_dead: bool = False
    """True to keep the message with its payload among the dead letters."""
    outbox: tuple[Entry, ...] = ()
    """Messages for durable nodes that follow from this one."""
    steps_of: bytes | None = None
    """The run whose steps are dropped."""
    memory: tuple[tuple[str, bytes], ...] = ()
    """What is appended to memories: pairs of the name of a memory and of its payload."""
    also: tuple[bytes, ...] = ()
    """Ids of messages that are settled with it, as handled."""


class Outcome(Struct, frozen=True):
    """What the journal knows of one message."""

    mailbox: str
    accepted: float
    outcome: EndOutcome | None = None
    """None while it is open."""
    reply: bytes | None = None
    error: str | None = None


class DeadEntry(Struct, frozen=True):
    """A message that could not be handled, with all that is needed to replay it."""

    entry: Entry
    """Its `seq` is the place among the dead letters."""
    died: float
    """Wall time."""
    reason: EndOutcome
    error: str = ""


class JournalStatistics(Struct, frozen=True, kw_only=True):
    """The numbers of a journal; those without a note count since it was opened."""

    open: int = 0
    """Messages that are not settled, now."""
    dead: int = 0
    """Dead letters that are kept, now."""
    oldest: float | None = None
    """Wall time when the oldest open message was accepted, as of the last call of `version`."""
    accepted: int = 0
    duplicates: int = 0
    """Messages whose id was known already."""
    settled: int = 0
    redelivered: int = 0
    """Deliveries that were marked as begun again."""
    commits: int = 0
    commit_p50: float = 0.0
    """Seconds, of the last 1,000 commits."""
    commit_p99: float = 0.0
    waiting_since: float | None = None
    """Wall time since which a write has waited for its commit; None if nothing waits."""
    bytes: int = 0
    """Size on disk, now."""
    is_full: bool = False
    """True while nothing is accepted for lack of room."""
    broken: str = ""
    """Why the journal writes no more; empty while it works."""


class Commit(asyncio.Future[T]):
    """The result of a write. A caller that is cancelled while it awaits one is told after the commit."""

    _then: "Callable[[Commit[T]], object] | None" = None
    _waiting: tuple[asyncio.Future[None], ...] = ()

    def cancel(self, msg: Any | None = None) -> bool:
        """Refuse: what has been handed to the journal is committed."""
        return False

    def then(self, told: "Callable[[Commit[T]], object]") -> None:
        """Call a function in the turn of the loop in which this is done, before those who await it."""
        assert self._then is None
        if self.done():
            told(self)
        else:
            self._then = told

    async def wait(self) -> T:
        """Return the result; a caller that is cancelled meanwhile is told at once."""
        if not self.done():
            waiting = self.get_loop().create_future()
            self._waiting += (waiting,)
            await waiting
        return self.result()

    def finish(self, result: T | "JournalError") -> None:
        """End with a result, or with an error."""
        if isinstance(result, JournalError):
            self.set_exception(result)
        else:
            self.set_result(result)
        if self._then is not None:
            try:
                self._then(self)
            except Exception as error:  # the other writes of the transaction are told all the same
                context = {"message": "a function that was to be told of a commit failed", "exception": error}
                self.get_loop().call_exception_handler(context)
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)


class MailboxJournal(Protocol):
    """A store of accepted messages. Used on one event loop, by any number of tasks at once, after `open`.

    The methods that write return a `Commit`. Those are done in the order of the calls, whether or not the caller still
    waits: so a message that is on disk always reaches its mailbox.
    Every method raises `JournalError` (or a kind of it), the future those of its write.
    """

    location: str
    """Where it is, without a password."""

    async def open(self) -> None:
        """Take the journal for this process, bring an older schema up to date, and check it.

        Raises:
            JournalLockedError: another process uses it.
            JournalVersionError: a newer version has written it.
            JournalBrokenError: it is damaged, or belongs to another pool.
            JournalError: it cannot be made, read or written.
        """
        ...

    async def close(self) -> None:
        """Commit what waits, and let go of it; does nothing when closed."""
        ...

    def accept(self, entries: Sequence[Entry]) -> Commit[list[int | None]]:
        """Keep messages, all or none. The places they got; None for one whose id is known already.

        Raises:
            JournalFullError: no room; nothing was kept.
            JournalFencedError: another process has taken the journal over.
        """
        ...

    def settle(self, one: Acknowledgement) -> Commit[list[int | None]]:
        """End a message. The places of its outbox; None for what is known already. Settling again changes nothing.

        Works without room as well, see `JournalFullError`.
        """
        ...

    def begin(self, id: bytes, change: int = 1) -> Commit[int]:
        """Mark that a message is begun again (or, with -1, take the mark back), and return its `attempts`.

        Marking a message that is not open, as postponing it, changes nothing and returns 0.
        """
        ...

    def postpone(self, id: bytes, due: float, error: str) -> Commit[int]:
        """Have an open message delivered again at a time, counted as an attempt; return its `attempts`."""
        ...

    def keep_step(self, run: bytes, key: str, digest: bytes, payload: bytes) -> Commit[None]:
        """Keep the result of a finished step of an open message; a second one with the key replaces the first."""
        ...

    async def steps(self, run: bytes) -> dict[str, tuple[bytes, bytes]]:
        """Return digest and payload of the steps of a message, by key."""
        ...

    async def waiting(self, mailbox: str, after: int, limit: int) -> list[Entry]:
        """Return open messages of a mailbox whose place is beyond `after`, in order."""
        ...

    async def counts(self) -> dict[str, int]:
        """Return the number of open messages of each mailbox that has any."""
        ...

    async def memory(self, name: str, limit: int) -> list[bytes]:
        """Return the last payloads of a memory, oldest first."""
        ...

    def forget(self, name: str) -> Commit[int]:
        """Delete a memory; return how many payloads it had."""
        ...

    async def find(self, id: bytes) -> Outcome | None:
        """Return what is known of a message; None for an id that was never accepted, or is older than `keep`."""
        ...

    async def dead(self, *, mailbox: str | None = None, after: int = 0, limit: int = 100) -> list[DeadEntry]:
        """Return dead letters in the order of their deaths, of all mailboxes or one."""
        ...

    def replay(self, ids: Sequence[bytes]) -> Commit[list[Entry]]:
        """Make dead letters open again, with their ids, new places and no attempts; unknown ids are left out."""
        ...

    def discard(self, ids: Sequence[bytes]) -> Commit[int]:
        """Delete dead letters; return how many there were."""
        ...

    def move(self, old: str, new: str) -> Commit[int]:
        """Give the messages, dead letters and memories of a mailbox to another one; return how many open messages.

        The name of a pool means all its mailboxes.
        """
        ...

    def prune(self, keep: float) -> "asyncio.Future[int]":
        """Delete at most 1,000 settled messages that are older than `keep` seconds; return how many.

        Of each memory the last 1,000 payloads stay. It is not in the order of the other writes.
        """
        ...

    async def version(self) -> int:
        """Return a number that changes when another process has written, such as the command line.

        It brings the numbers of `statistics` up to date.
        """
        ...

    def stalled(self) -> Commit[Any] | None:
        """Return the last write, as one to wait for, while `MOST_WAITING` writes wait, or one for over a second."""
        ...

    def statistics(self) -> JournalStatistics:
        """Return the numbers as they are now. They cost no query: `open`, `dead` and `bytes` are counted along."""
        ...


class JournalError(UnderstageError):
    """A journal could not do its work. `.location` says which one, without its password."""

    is_final: ClassVar[bool] = False
    """True if the journal works no more; else the same call may work later."""

    def __init__(self, problem: str, *, location: str = "") -> None:
        UnderstageError.__init__(self, f"journal {location!r}: {problem}" if location else problem)
        self.location = location


class JournalFullError(JournalError, MailboxFullError):
    """No room for another message: below the reserve of the disk, or at `max_size`. What is open can still end."""

    capacity = 0


class JournalFencedError(JournalError):
    """Another process has taken the journal over. This one keeps and settles nothing any more."""

    is_final = True


class JournalLockedError(JournalError):
    """Another process uses the journal."""


class JournalVersionError(JournalError):
    """A newer version has written the journal. This one does not touch it."""


class JournalBrokenError(JournalError):
    """The journal is damaged, or its disk has failed. Nothing is accepted any more."""

    is_final = True


class NotDurableError(UnderstageError, TypeError):
    """A run cannot be kept, because of one of its options or because its node is not durable. Nothing was accepted."""
