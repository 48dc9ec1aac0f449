"""A journal whose disk fails, or that another process has taken over, ends its pool; what is open stays kept."""

from __future__ import annotations

import asyncio
import sqlite3
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from actors import ActorSystem, AgentPool
from actors.agents.agent import Agent
from actors.app.journal_service import JournalService
from actors.app.journal_watch import LOOK
from actors.storage.journal_sqlite import SqliteJournal
from actors.testing.clock import ManualClock
from actors.testing.settle import settle
from protocols.errors import NodeStoppedError
from protocols.journal import JournalBrokenError, JournalError, JournalFencedError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_leaked_actors")


def fail(*_: object) -> Any:
    """Stand for a disk that does not sync."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR
    raise error


def fence(*_: object) -> Any:
    raise JournalFencedError("was taken over")


@pytest.mark.parametrize(("trouble", "kind"), [(fail, JournalBrokenError), (fence, JournalFencedError)])
@pytest.mark.parametrize("is_used", [True, False], ids=["used", "idle"])
async def test_a_journal_that_works_no_more_ends_its_pool_with_the_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: Any, kind: type[JournalError], *, is_used: bool
) -> None:
    clock, gate, journal = ManualClock(), asyncio.Event(), SqliteJournal(tmp_path / "pool.journal", reserve=0)

    async def work(prompt: str) -> str:
        await gate.wait()
        return prompt

    clerk = Agent.from_callback(work, name="clerk", durable=True, max_concurrency=1)
    other = Agent.from_callback(str.upper, name="other")
    async with ActorSystem(clock=clock) as system:
        services: list[Any] = [partial(JournalService, make=lambda _: journal)]
        pool = AgentPool[None](system=system, services=services)
        for node in (clerk, other):
            await pool.add_node(node)
        async with pool:
            tickets = [await clerk.submit(text) for text in ("under way", "waits")]
            answers = [asyncio.ensure_future(ticket.answer()) for ticket in tickets]
            await settle()
            monkeypatch.setattr(journal, "_seal", trouble)
            if is_used:
                with pytest.raises(kind):
                    await clerk.submit("late")
                assert pool.health["JournalService"] == "unavailable"
                gate.set()
            while other.home.find() is not None:
                await clock.advance(LOOK)
            stopped: Any = await asyncio.gather(clerk.run("later"), other.run("later"), return_exceptions=True)
            assert [(type(one), type(one.__cause__)) for one in stopped] == [(NodeStoppedError, kind)] * 2
            for answer in answers:
                with pytest.raises(kind):
                    await answer
            gate.set()  # else the stop waits for the handler, by a clock that stands still
            monkeypatch.undo()
    await journal.open()
    assert await journal.counts() == {"pool/clerk": 2}
    await journal.close()
