"""Kept runs of a durable node that lives at all hosts: they are spread over the shards, so each host does some."""

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from actors.cluster.host_mailbox import HostMailbox
from actors.cluster.tenure import HostView, RemoteWindow, TenureWindow
from actors.durable.durable_mailbox import id_of
from actors.nodes.node import AnyNode
from actors.runs.durable import KeepsRuns, Ticket
from actors.runs.request import RunRequest
from actors.runtime.future import AsyncioFuture
from actors.talk.detached_ask import Settled
from protocols.durable import Durable
from protocols.journal import NotDurableError
from protocols.messages import ChatMessage
from protocols.node import Origin

PARTS: Final = 16
"""Mailboxes of one node; each has a shard of its own."""


class PartWindow(TenureWindow):
    """The deliveries of one part. All parts that live here give the actor together what it handles at the same time."""

    siblings: Sequence["MailboxPart"] = ()

    def most(self) -> int:
        """Return how many messages of this part may be under way now."""
        windows = [one.window for one in self.siblings if one.window is not self]
        return super().most() - sum(len(one._under_way) for one in windows)  # noqa: SLF001 - of this class and its base

    def take_turn(self) -> None:
        """Give the actor the next messages, if there is room."""
        if len(self.queue) or self.queue.has_more:
            self._give()


class MailboxPart(HostMailbox):
    """Some of the runs of a node that remembers nothing: those whose ids say so."""

    tenure: ClassVar[type[TenureWindow]] = PartWindow
    siblings: list["MailboxPart"]
    """The parts of the node; the first one has the next turn."""

    @property
    def parts(self) -> Sequence[HostMailbox]:
        """The mailboxes of the node, by name."""
        return sorted(self.siblings, key=lambda one: len(one.name))

    def _replace(self, window: TenureWindow | RemoteWindow) -> None:
        super()._replace(window)
        if isinstance(window, PartWindow):
            window.siblings, window.freed = self.siblings, self._pass_turn

    def _pass_turn(self) -> None:
        self._freed()
        self.siblings.remove(self)
        self.siblings.append(self)
        for one in tuple(self.siblings):
            if isinstance(one.window, PartWindow):
                one.window.take_turn()

    def _forget(self) -> None:
        """Forget nothing: there is nothing, and other parts may have runs under way."""


class SpreadRuns(KeepsRuns):
    """Keeps each run of a node in the part that its id says. Their order is not promised.

    Args:
        host: this host.
        node: the node.
        name: its address, the name of the first part.
        settings: how the node keeps its runs.
        **options: further ones of its windows.
    """

    def __init__(self, host: HostView, node: AnyNode, name: str, settings: Durable, **options: Any) -> None:
        names = (name, *(f"{name}@{number}" for number in range(1, PARTS)))
        self.parts = tuple(MailboxPart(host, node, one, settings, **options) for one in names)
        """The mailboxes of the node."""
        siblings = [*self.parts]
        for part in self.parts:
            part.siblings = siblings

    def _of(self, request: RunRequest) -> MailboxPart:
        name = request.options.request_id
        id = bytes.fromhex(request.run_id) if name is None else id_of(name)
        return self.parts[id[-1] % len(self.parts)]

    def takes(self, request: RunRequest, *, is_own: bool = False) -> bool:
        """Return True if it keeps a run; see `KeepsRuns`."""
        return self.parts[0].takes(request, is_own=is_own)

    async def drained(self) -> None:
        """Wait until all accepted runs that this host has are acknowledged."""
        for part in self.parts:
            await part.drained()

    async def submit(self, request: RunRequest, accepted: Settled | None = None, *, waits: bool = True) -> Ticket[Any]:
        """Keep a run; see `KeepsRuns`."""
        return await self._of(request).submit(request, accepted, waits=waits)

    async def ask(self, request: RunRequest, timeout: float | None) -> ChatMessage[Any]:
        """Keep a run and wait for its answer; see `KeepsRuns`."""
        return await self._of(request).ask(request, timeout)

    def post(self, request: RunRequest, origin: Origin | None, settled: Settled | None) -> AsyncioFuture[Any]:
        """Keep a run without waiting; see `KeepsRuns`."""
        return self._of(request).post(request, origin, settled)

    def add_context(self, text: str, session: str | None, origin: Origin | None = None) -> None:
        """Refuse: the next run may be at any host."""
        name = self.parts[0].node.name
        text = f"node {name!r} lives in all processes and remembers nothing: give it the text with the prompt"
        raise NotDurableError(text, node=name)

    def queue(self, talk: Any) -> Any:
        """Return what keeps the messages that wait for a trigger of a connection."""
        return self.parts[0].queue(talk)
