"""What is accepted while others are, or while the disk is read, is handled as if it had come alone."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest

from actors import ActorJournal, ActorSystem, Agent, carry
from actors.storage.journal_memory import MemoryJournal
from actors.storage.journal_sqlite import SqliteJournal
from actors.testing.settle import settle
from tests.durable.ledger import Charge, Ledger, amounts
from tests.durable.life import GatedJournal, Life

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from protocols.journal import Entry

pytestmark = pytest.mark.usefixtures("no_leaked_actors")

sender: ContextVar[str] = carry(ContextVar("sender", default=""))


async def asked(ask: Any, name: str) -> Any:
    sender.set(name)
    return await ask(name)


@pytest.mark.parametrize("is_loaded", [True, False])
async def test_messages_of_one_commit_have_the_contexts_of_their_senders(tmp_path: Path, *, is_loaded: bool) -> None:
    class Named(Ledger):
        async def on_receive(self, message: Any) -> str:
            return sender.get()

    journal = SqliteJournal(tmp_path / "orders.journal", pool="orders", reserve=0)
    async with ActorSystem("orders", journal=ActorJournal(journal)) as system:
        ref = system.start(Named, ([],), name="ledger")
        if is_loaded:
            await ref.ask(Charge(0))

        async def charge(name: str) -> Any:
            return await ref.ask(Charge(int(name)))

        told = await asyncio.gather(*(asked(charge, name) for name in "123"))
        assert told == ["1", "2", "3"]


async def test_runs_of_one_commit_have_the_contexts_of_their_senders(journal: MemoryJournal) -> None:
    def signed(prompt: str) -> str:
        return prompt + sender.get()

    clerk = Agent.from_callback(signed, name="clerk")
    async with Life(journal, clerk):
        answers = await asyncio.gather(*(asked(clerk.run, name) for name in "123"))
        assert [answer.content for answer in answers] == ["11", "22", "33"]


class SlowJournal(GatedJournal):
    """Reads what waits, and tells it later."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def waiting(self, mailbox: str, after: int, limit: int) -> list[Entry]:
        found: Sequence[Entry] = ()
        while not found and not self.gate.is_set():
            found = await super().waiting(mailbox, after, limit)
            await asyncio.sleep(0)
        await self.gate.wait()
        return list(found) or await super().waiting(mailbox, after, limit)


@pytest.mark.parametrize("is_committed", [True, False])
async def test_an_ask_that_is_given_up_while_the_disk_is_read_is_not_handled(*, is_committed: bool) -> None:
    journal, seen = SlowJournal(), list[Any]()
    async with ActorSystem("orders", journal=ActorJournal(journal)) as system:
        ref = system.start(Ledger, (seen,), name="ledger")
        await asyncio.sleep(0)
        journal.holds_settle = not is_committed
        asking = ref.ask(Charge(1))
        for _ in range(20):
            await asyncio.sleep(0)
        asking.cancel()
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(journal.held) == (not is_committed)
        journal.gate.set()
        await settle()
        journal.holds_settle = False
        await journal.release()
        assert await ref.ask(Charge(2)) == 2
        assert amounts(seen) == [2]
        assert await journal.counts() == {}
