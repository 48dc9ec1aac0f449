"""What the connections of a kept run pass on: rows of the transaction that acknowledges it, or posts after it."""

from collections.abc import Callable, Sequence
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from msgspec.structs import replace

from actors.runs.request import RunRequest
from actors.runtime.future import AsyncioFuture
from actors.talk.detached_ask import Settled
from protocols.delivery_tracker import DeliveryTracker
from protocols.journal import Commit, Entry, JournalError, MailboxJournal
from protocols.messages import ChatMessage
from protocols.node import Origin

T = TypeVar("T")
Accepted = Callable[[Entry, int | None], object]
Refused = Callable[[BaseException], object]
Post = Callable[..., AsyncioFuture[ChatMessage[Any]]]


class Outbox:
    """Collects what one answer causes, until it is acknowledged.

    Args:
        origin: the run that has the answer.
        clock: the clock of the system.
    """

    def __init__(self, origin: RunRequest, clock: Any) -> None:
        self.origin = origin
        self.steps = DeliveryTracker()
        """What connections still have to do before the answer is acknowledged, such as asynchronous filters."""
        self.delay: float | None = None
        """Seconds by which the connection delays what it passes on now; None for no delay."""
        self.entries: list[Entry] = []
        """The messages for durable nodes."""
        self._clock = clock
        self._accepted: list[Accepted] = []
        self._failed: list[Refused] = []
        self._posts: list[tuple[float | None, Callable[[], object]]] = []

    async def collect(self, offer: Callable[[], T]) -> T:
        """Let connections take what they pass on, and wait for their asynchronous steps."""
        kept = self.origin.kept
        assert kept is not None
        kept.outbox = self
        try:
            offered = offer()
            await self.steps.wait()
            return offered
        finally:
            kept.outbox = None

    def put(self, entry: Entry, accepted: Accepted, failed: Refused) -> None:
        """Add a message for a durable node; one of the functions is called after the transaction."""
        due = None if self.delay is None else entry.accepted + self.delay
        self.entries.append(entry if due is None else replace(entry, due=due))
        self._accepted.append(accepted)
        self._failed.append(failed)

    def defer(
        self, post: Post, prompts: Sequence[object], settled: Settled | None, options: dict[str, Any]
    ) -> AsyncioFuture[ChatMessage[Any]]:
        """Post to a node that is not durable, after the commit. The future ends as that of the post does."""
        reply: AsyncioFuture[ChatMessage[Any]] = AsyncioFuture()
        self.later(lambda: reply.follow(post(prompts, origin=self.origin, settled=settled, **options)))
        return reply

    def later(self, give: Callable[[], object]) -> None:
        """Give a node what is not kept after the commit, and after the delay of the connection."""
        downstream = self.origin.downstream
        downstream.begin()

        def give_now() -> None:
            try:
                give()
            finally:
                downstream.end()

        self._posts.append((self.delay, partial(copy_context().run, give_now)))

    def release(self, places: Sequence[int | None]) -> None:
        """Deliver what was collected; the journal has it now."""
        for accepted, entry, place in zip(self._accepted, self.entries, places, strict=True):
            accepted(entry, place)
        for delay, post in self._posts:
            if delay is None:
                post()
            else:
                self._clock.call_later(delay, post)

    def fail(self, error: BaseException) -> None:
        """Tell those who wait that nothing was kept."""
        for failed in self._failed:
            failed(error)
        for _ in self._posts:
            self.origin.downstream.end()


def keep(
    journal: MailboxJournal, entry: Entry, origin: Origin | None, accepted: Accepted, refused: Refused
) -> Commit[Any] | None:
    """Keep a message without waiting: with the acknowledgement of the run that causes it, or else by itself.

    Raises:
        JournalError: the disk is slow, and it waits for no acknowledgement.
    """
    outbox = None if origin is None or origin.kept is None else origin.kept.outbox
    if outbox is not None:
        outbox.put(entry, accepted, refused)
        return None
    check_disk(journal)

    def committed(done: Commit[list[int | None]]) -> None:
        if (error := done.exception()) is not None:
            refused(error)
        else:
            accepted(entry, *done.result())
        if origin is not None:
            origin.downstream.end()

    if origin is not None:
        origin.downstream.begin()
    write = journal.accept((entry,))
    write.then(committed)
    return write


def check_disk(journal: MailboxJournal) -> None:
    """Refuse to keep what cannot wait while the disk is slow. Raises JournalError."""
    if journal.stalled() is not None:
        raise JournalError("writes wait for the disk, so nothing more is accepted", location=journal.location)
