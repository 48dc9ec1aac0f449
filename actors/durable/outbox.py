"""What the connections of a kept run pass on: rows of the transaction that acknowledges it, or posts after it."""

from collections.abc import Callable, Sequence
from typing import Any

from actors.runtime.future import AsyncioFuture
from actors.talk.detached_ask import Settled
from protocols.journal import Entry
from protocols.messages import ChatMessage
from protocols.node import Origin

Post = Callable[..., AsyncioFuture[ChatMessage[Any]]]


class Outbox:
    """Collects what one answer causes, until it is acknowledged."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        """The messages for durable nodes."""
        self._accepted: list[Callable[[int | None], object]] = []
        self._failed: list[Callable[[BaseException], object]] = []
        self._posts: list[Callable[[], object]] = []
        self._origins: list[Origin] = []

    def put(
        self, entry: Entry, accepted: Callable[[int | None], object], failed: Callable[[BaseException], object]
    ) -> None:
        """Add a message for a durable node; one of the functions is called after the transaction."""
        self.entries.append(entry)
        self._accepted.append(accepted)
        self._failed.append(failed)

    def defer(
        self, post: Post, prompts: Sequence[object], origin: Origin, settled: Settled | None, options: dict[str, Any]
    ) -> AsyncioFuture[ChatMessage[Any]]:
        """Post to a node that is not durable, after the commit. The future ends as that of the post does."""
        reply: AsyncioFuture[ChatMessage[Any]] = AsyncioFuture()
        origin.downstream.begin()

        def post_now() -> None:
            try:
                reply.follow(post(prompts, origin=origin, settled=settled, **options))
            finally:
                origin.downstream.end()

        self._posts.append(post_now)
        self._origins.append(origin)
        return reply

    def release(self, places: Sequence[int | None]) -> None:
        """Deliver what was collected; the journal has it now."""
        for accepted, place in zip(self._accepted, places, strict=True):
            accepted(place)
        for post in self._posts:
            post()

    def fail(self, error: BaseException) -> None:
        """Tell those who wait that nothing was kept."""
        for failed in self._failed:
            failed(error)
        for origin in self._origins:
            origin.downstream.end()
