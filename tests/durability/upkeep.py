"""A play in which runs fail, and dead letters, mailboxes and old messages are looked after."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from actors import Agent, delivery
from actors.app.journal_paths import open_journal
from actors.app.journal_service import JournalService
from protocols.durable import Durable
from tests.durability.order import read_log
from tests.durability.plays import Shop

if TYPE_CHECKING:
    from protocols.journal import MailboxJournal

FAILURES: Final = {"fine": 0, "late": 1, "dead": 2, "gone": 1_000_000}
"""How often runs fail: the second failure makes a dead letter; those of ``gone`` always fail."""


class Upkeep(Shop):
    """One node whose runs fail a few times. Its mailbox is renamed before each life, and back."""

    def nodes(self) -> list[Any]:
        """Return the node."""
        lines = read_log(Path(self.order.folder))
        seen = Counter(more[1] for _, what, *more in lines if what == "effect")

        async def handle(prompt: str) -> str:
            seen[prompt] += 1
            here = delivery()
            self.log("effect", "clerk", prompt, here.attempt, here.key)
            if seen[prompt] <= FAILURES[prompt.partition(":")[0]]:
                raise ValueError(prompt)
            self.log("done", "clerk", prompt)
            return prompt

        settings = Durable(retries=1, backoff=0.001)
        return [Agent.from_callback(handle, name="clerk", max_concurrency=1, durable=settings)]

    async def move(self, pool: Any) -> None:
        """Give all that is kept to another node and back, before the pool opens."""
        journal = open_journal(pool.manifest)
        assert journal is not None
        await journal.open()
        for old, new in (("aside", "clerk"), ("clerk", "aside"), ("aside", "clerk")):
            await journal.move(f"shop/{old}", f"shop/{new}")
        await journal.close()

    async def act(self, pool: Any) -> None:
        """Send one of each kind; when all have ended, replay and discard dead letters, and delete what is old."""
        for kind in FAILURES:
            await pool["clerk"].submit(text := f"{kind}:{self.order.life}")
            self.log("accepted", "clerk", text, True)
        service: Any = pool.service(JournalService)
        journal: MailboxJournal = service.journal
        await _all_have_ended(journal)
        gone, others = list[bytes](), list[bytes]()
        for one in await journal.dead():
            (gone if b"gone:" in one.entry.payload else others).append(one.entry.id)
        await journal.replay(others)
        service.mailboxes[pool["clerk"]].window.look()
        await journal.discard(gone)
        await _all_have_ended(journal)
        await journal.prune(0.0)
        await journal.forget("nothing")  # a commit after the pruning

    async def check(self, pool: Any) -> None:
        """Ask for nothing."""


async def _all_have_ended(journal: MailboxJournal) -> None:
    while await journal.counts():
        pass
