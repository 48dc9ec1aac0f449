"""A pool whose journal is in PostgreSQL: its process dies, or is taken over, and the next one goes on."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from actors import Agent, AgentPool
from actors.app.journal_service import JournalService
from actors.storage.journal_postgres import PostgresJournal
from protocols.journal import JournalFencedError
from tests.durable.life import Mortal

if TYPE_CHECKING:
    from tests.storage.postgres_server import PostgresServer
pytestmark = pytest.mark.usefixtures("no_leaked_actors")


class Work:
    """The work of an agent: it says when it begins, and goes on when it may."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()

    async def __call__(self, prompt: str) -> str:
        self.seen.append(prompt)
        self.begun.set()
        await self.may_end.wait()
        return prompt.upper()


async def with_clerk(pool: AgentPool[Any], work: Work) -> AgentPool[Any]:
    await pool.add_node(Agent.from_callback(work.__call__, name="clerk", max_concurrency=1, durable=True))
    return pool


async def test_what_a_killed_process_had_accepted_is_handled_by_the_next_one(postgres: PostgresServer) -> None:
    dying, work = Mortal(PostgresJournal(postgres.url, pool="pool")), Work()

    def made(_: object) -> Any:
        return dying

    services: Any = [partial(JournalService, make=made)]
    async with await with_clerk(AgentPool(services=services, exit_timeout=0.01), work) as pool:
        for text in ("one", "two", "three"):
            await pool["clerk"].submit(text, request_id=text)
        await work.begun.wait()
        dying.is_dead = True
    again = Work()
    again.may_end.set()
    async with await with_clerk(AgentPool(journal=postgres.url), again) as pool:
        answers = [await pool.ticket(text).answer() for text in ("one", "two", "three")]
    assert [answer.content for answer in answers] == ["ONE", "TWO", "THREE"]
    assert (work.seen, again.seen) == (["one"], ["one", "two", "three"])


async def test_a_pool_that_was_taken_over_acknowledges_nothing(postgres: PostgresServer) -> None:
    old, new = Work(), Work()
    async with await with_clerk(AgentPool(journal=postgres.url, exit_timeout=0.01), old) as before:
        ticket = await before["clerk"].submit("one", request_id="one")
        await old.begun.wait()
        async with await with_clerk(AgentPool(journal=postgres.url), new) as after:
            await new.begun.wait()
            old.may_end.set()
            with pytest.raises(JournalFencedError):
                await before["clerk"].submit("two")
            new.may_end.set()
            assert (await after.ticket("one").answer()).content == "ONE"
        assert ticket.is_new
    assert (old.seen, new.seen) == (["one"], ["one"])
