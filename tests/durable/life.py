"""One life of durable nodes: what a process does between its start and its death, on a journal that outlives it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

from actors.durable.delivery_window import DeliveryWindow
from actors.durable.durable_mailbox import DurableMailbox
from actors.storage.journal_memory import MemoryJournal
from protocols.durable import Durable
from protocols.journal import Commit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.nodes.node import AnyNode
    from protocols.journal import Acknowledgement, Entry, MailboxJournal


class Wall:
    """Wall time that a test sets."""

    def __init__(self) -> None:
        self.time = 1_000.0

    def __call__(self) -> float:
        return self.time


WRITES = {"accept", "settle", "begin", "postpone", "keep_step"}


class Mortal:
    """A journal as one process sees it: after the death of the process nothing of it is written any more."""

    def __init__(self, journal: MailboxJournal) -> None:
        self._journal = journal
        self.is_dead = False

    def __getattr__(self, name: str) -> Any:
        if self.is_dead and name in WRITES:
            return _never
        return getattr(self._journal, name)


def _never(*_: object) -> Commit[Any]:
    return Commit()


class Life:
    """Makes nodes durable on a journal; leaving it is a death, after which the journal is as it was."""

    def __init__(
        self,
        journal: MailboxJournal,
        *nodes: AnyNode,
        settings: Durable | None = None,
        deliveries: int = 5,
        wall: Wall | None = None,
        turn: asyncio.Lock | None = None,
    ) -> None:
        self.journal: Any = Mortal(journal)
        self.nodes = nodes
        self.settings = settings or Durable()
        self.deliveries = deliveries
        self.turn = turn
        self.wall = wall or Wall()
        self.windows: dict[AnyNode, DeliveryWindow] = {}

    async def __aenter__(self) -> Self:
        for node in self.nodes:
            await node.open()
            name = f"pool/{node.name}"
            options: dict[str, Any] = {"deliveries": self.deliveries, "now": self.wall, "turn": self.turn}
            window = DeliveryWindow(node, name, self.journal, self.settings, **options)
            node.durable = mailbox = DurableMailbox(window, self.journal, await self.journal.counts())
            await mailbox.context.restore()
            self.windows[node] = window
        for window in self.windows.values():
            window.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self.journal.is_dead = True
        for node in self.nodes:
            ref = node.home.find()
            if ref is not None:
                await ref.kill(block=False)
            await node.durable.close(0)  # type: ignore[union-attr] # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]
            node.durable = None
            await node.close()


class GatedJournal(MemoryJournal):
    """A journal whose acceptances or acknowledgements wait until a test lets them through."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[tuple[Any, Any, Commit[Any]]] = []
        self.holds_accept = self.holds_settle = False

    def _hold(self, write: Any, given: Any) -> Commit[Any]:
        waiting: Commit[Any] = Commit()
        self.held.append((write, given, waiting))
        return waiting

    def accept(self, entries: Sequence[Entry]) -> Commit[list[int | None]]:
        return self._hold(super().accept, entries) if self.holds_accept else super().accept(entries)

    def settle(self, one: Acknowledgement) -> Commit[list[int | None]]:
        return self._hold(super().settle, one) if self.holds_settle else super().settle(one)

    async def release(self) -> None:
        """Commit what was held."""
        held, self.held = self.held, []
        for write, given, waiting in held:
            waiting.finish(await write(given))


async def memory_journal() -> MemoryJournal:
    journal = MemoryJournal()
    await journal.open()
    return journal
