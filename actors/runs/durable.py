"""What a node knows of the journal that keeps its runs, and what the caller of a kept run gets."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol

from typing_extensions import TypeVar

from actors.runs.request import RunRequest
from actors.runtime.future import AsyncioFuture
from actors.talk.detached_ask import Settled
from protocols.errors import RunTimeoutError
from protocols.journal import NotDurableError
from protocols.messages import ChatMessage
from protocols.node import Origin

Out = TypeVar("Out", default=str)


class Ticket(Generic[Out]):
    """A run that is kept. Its answer can be awaited by any number of callers, also after a restart of the process."""

    def __init__(self, run_id: str, answer: Callable[[], Awaitable[ChatMessage[Any]]], *, is_new: bool = True) -> None:
        self.run_id = run_id
        """The run, as in its events."""
        self.is_new = is_new
        """False for a `request_id` that was known already: this is the ticket of the first run of that name."""
        self._answer = answer

    async def answer(self, *, timeout: float | None = None) -> ChatMessage[Out]:
        """Return the answer of the run, as soon as it is there. A caller that waits no more does not end the run.

        Args:
            timeout: seconds; None for no limit.

        Raises:
            Exception: what the run raised. In a process that did not run it: the same if its class is ours or Python's,
                else a RemoteFailureError.
            RunTimeoutError: the answer is not there yet. The run continues.
            NodeStoppedError: the pool ends; the run is kept, and is done when the pool runs again.
        """
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                return await self._answer()
        except TimeoutError:
            if not limit.expired():  # it is the run's own
                raise
        raise RunTimeoutError(f"no answer of run {self.run_id} within {timeout} s; the run continues")

    def __repr__(self) -> str:
        return f"<Ticket {self.run_id}{'' if self.is_new else ' (known)'}>"


class KeepsRuns(Protocol):
    """The durable mailbox of a node, as the node sees it; see `actors.durable.durable_mailbox`."""

    def takes(self, request: RunRequest, *, is_own: bool = False) -> bool:
        """Return True if it keeps a run. A stream, a part of another run and `durable=False` are run in memory.

        Args:
            request: the run.
            is_own: False for a run that is a part of the one whose handler makes it.
        """
        ...

    async def drained(self) -> None:
        """Wait until all accepted runs are acknowledged, or the node stops."""

    async def submit(self, request: RunRequest, accepted: Settled | None = None, *, waits: bool = True) -> Ticket[Any]:
        """Keep a run, and return its ticket after the commit.

        `accepted` gets the future of the answer of a new run when it is kept, even if the caller is cancelled. A
        failure that only this future gets becomes a dead letter. `waits=False` raises in place of waiting for room or
        for the disk.
        """
        ...

    async def ask(self, request: RunRequest, timeout: float | None) -> ChatMessage[Any]:
        """Keep a run and wait for its answer. A caller that is cancelled, or whose time is over, ends the run."""
        ...

    def post(self, request: RunRequest, origin: Origin | None, settled: Settled | None) -> AsyncioFuture[Any]:
        """Keep a run without waiting; see `protocols.node.Target.post`."""
        ...

    def add_context(self, text: str, session: str | None, origin: Origin | None = None) -> None:
        """Keep a text for the next run, without waiting; see `NodeHandle.add_context`."""

    def queue(self, talk: Any) -> Any:
        """Return what keeps the messages that wait for a trigger of a connection."""
        ...


async def submitted(node: Any, request: RunRequest) -> Ticket[Any]:
    """Keep a run of a node. Raises NotDurableError if the node is not durable."""
    keeps: KeepsRuns | None = node.durable
    if keeps is None:
        raise not_durable(node.name)
    if not keeps.takes(request):
        text = f"node {node.name!r}: `submit` keeps a run, so it takes no durable=False, and no place inside a run"
        raise NotDurableError(text, node=node.name)
    return await keeps.submit(request)


def not_durable(node: str) -> NotDurableError:
    """Return the error of a node that is to keep a run and has no journal."""
    text = f"node {node!r} is not durable, so it keeps no run and knows no request_id: make it with durable=True, "
    return NotDurableError(text + "in a pool that runs and has a journal", node=node)
