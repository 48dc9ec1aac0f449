"""What connections and statistics know of a node: its name, how it is given a message, and why it is given one.

A connection (`actors.talk`) never imports the nodes; it is given objects that fit these protocols.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from protocols.delivery import Kept
from protocols.delivery_tracker import DeliveryTracker
from protocols.handle import Named
from protocols.messages import ChatMessage


class Origin(Protocol):
    """The run because of which a message is passed on."""

    @property
    def run_id(self) -> str:
        """The run."""
        ...

    @property
    def conversation_id(self) -> str:
        """Flow of messages it belongs to."""
        ...

    @property
    def hops(self) -> int:
        """How many connections led to it; 0 for a run that a user started."""
        ...

    @property
    def session(self) -> str | None:
        """Whose run it is: a session, `OWN` for the node's own memory, or None for a run without memory."""
        ...

    @property
    def wait_for_connections(self) -> bool | None:
        """Whether its caller waits for the deliveries; None when the connections decide."""
        ...

    @property
    def downstream(self) -> DeliveryTracker:
        """Deliveries caused by it."""
        ...

    @property
    def kept(self) -> Kept | None:
        """What it knows of the journal that keeps it; None for a run in memory."""
        ...


class Target(Named, Protocol):
    """A node as connections see it. Nothing here waits for the node's work."""

    queue: Any
    """The `TargetQueue` of connections with priorities; None without any."""

    def post(
        self,
        prompts: Sequence[object],
        *,
        origin: Origin | None = None,
        settled: Callable[[asyncio.Future[Any]], object] | None = None,
        **options: Any,
    ) -> asyncio.Future[ChatMessage[Any]]:
        """Have the node run; the future is its answer, or the exception of the run.

        The options are those of the node's run methods; `settled` is called with the future when it is done.

        The delivery is counted in `origin.downstream` until the future is done and `settled` was called. The
        delivery is not an ask: the deadline and the waiting actors of the calling handler do not apply to it.
        """
        ...

    def add_context(self, text: str) -> None:
        """Give text that the node reads before the prompt of its next run (once).

        A target of runs with a session gets the keyword ``session`` as well, and keeps the text for that session.
        """
        ...

    def offer(self, message: ChatMessage[Any], origin: Origin) -> None:
        """Pass a message on through the node's own connections without running the node."""
        ...


class Outlet(Protocol):
    """A connection as nodes see it."""

    def offer(self, message: ChatMessage[Any], origin: Origin) -> None:
        """Take a message of the source. Never waits for a target, and never lets its own failure out."""
        ...
