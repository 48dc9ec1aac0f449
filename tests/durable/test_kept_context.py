"""Text of `add_context` is in the journal until a run that has read it is acknowledged."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from actors import Retry
from actors.agents.agent import Agent
from actors.supervision.backoff import Backoff
from actors.testing.settle import settle
from protocols.durable import Durable
from protocols.errors import NodeStoppedError
from protocols.journal import Entry, NotDurableError
from tests.durable.life import GatedJournal, Life, Wall
from tests.durable.test_connections import Pair
from tests.durable.test_journal_service import pool_on

if TYPE_CHECKING:
    from actors.storage.journal_memory import MemoryJournal

pytestmark = pytest.mark.usefixtures("no_leaked_actors")

CONTEXT = "pool/clerk#"


class Clerk:
    """A node that says what it was asked, and waits or fails if it shall."""

    def __init__(self, seen: list[str] | None = None) -> None:
        self.seen = [] if seen is None else seen
        self.gate: asyncio.Event | None = None
        self.failures = 0
        self.node: Any = Agent.from_callback(self.work, name="clerk", max_concurrency=1)

    async def work(self, prompt: str) -> str:
        self.seen.append(prompt)
        if self.gate is not None:
            await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise ValueError("not now")
        return prompt


async def test_what_was_added_before_a_death_is_read_once_by_the_next_run(journal: MemoryJournal) -> None:
    clerk = Clerk()
    async with Life(journal, clerk.node):
        clerk.node.add_context("one")
        clerk.node.add_context("two")
        await settle()
        assert await journal.counts() == {CONTEXT: 2}
    clerk = Clerk()
    async with Life(journal, clerk.node):
        clerk.node.add_context("three")
        await clerk.node.run("first")
        await clerk.node.run("second")
    assert clerk.seen == ["one\n\ntwo\n\nthree\n\nfirst", "second"]
    assert await journal.counts() == {}


async def test_it_is_settled_with_the_run_that_has_read_it_and_not_before(journal: MemoryJournal) -> None:
    clerk = Clerk()
    clerk.gate = asyncio.Event()
    async with Life(journal, clerk.node):
        clerk.node.add_context("note")
        await clerk.node.submit("go")
        await settle()
        assert await journal.counts() == {CONTEXT: 1, "pool/clerk": 1}
    clerk = Clerk(clerk.seen)
    async with Life(journal, clerk.node):
        while await journal.counts():
            await settle()
    assert clerk.seen == ["note\n\ngo", "note\n\ngo"]


@pytest.mark.parametrize("retries", [0, 1])
async def test_a_run_that_fails_ends_it_and_a_retry_reads_it_again(journal: MemoryJournal, retries: int) -> None:
    clerk, wall = Clerk(), Wall()
    clerk.failures = 1
    async with Life(journal, clerk.node, settings=Durable(retries=retries, backoff=1.0), wall=wall) as life:
        clerk.node.add_context("note")
        await clerk.node.submit("go")
        while "pool/clerk" in await journal.counts():
            await settle()
            wall.time += 1.0
            life.windows[clerk.node].look()
        await clerk.node.run("on")
    assert clerk.seen == [*["note\n\ngo"] * (1 + retries), "on"]
    assert await journal.counts() == {}


async def test_text_of_a_session_is_read_in_it_also_after_a_death(journal: MemoryJournal) -> None:
    clerk = Clerk()
    async with Life(journal, clerk.node):
        clerk.node.add_context("for alice", session="alice")
        await settle()
    clerk = Clerk()
    async with Life(journal, clerk.node):
        await clerk.node.run("own")
        await clerk.node.run("hers", session="alice")
    assert clerk.seen == ["own", "for alice\n\nhers"]


async def test_a_run_in_memory_ends_what_it_reads_and_only_the_newest_are_kept(journal: MemoryJournal) -> None:
    clerk = Clerk()
    async with Life(journal, clerk.node):
        for number in range(103):
            clerk.node.add_context(str(number))
        await settle()
        assert await journal.counts() == {CONTEXT: 100}
        await clerk.node.run("go", durable=False)
        await settle()
        assert await journal.counts() == {}
    assert clerk.seen == ["\n\n".join((*map(str, range(3, 103)), "go"))]


async def test_a_context_connection_adds_its_text_with_the_answer_it_follows_from() -> None:
    journal, pair = GatedJournal(), Pair(connection_type="context")
    await journal.open()
    async with Life(journal, pair.source, pair.target):
        journal.holds_settle = True
        await pair.source.submit("one")
        await settle()
        assert await journal.counts() == {"pool/source": 1}
    journal.holds_settle, journal.held = False, []
    pair = Pair(connection_type="context")
    async with Life(journal, pair.source, pair.target):
        while "pool/source" in await journal.counts():
            await settle()
        assert await journal.counts() == {"pool/target#": 1}
    pair = Pair(connection_type="context")
    async with Life(journal, pair.source, pair.target):
        await pair.target.run("go")
    (text,) = pair.seen
    assert text.startswith("read [Context from source")
    assert text.count("ONE") == 1
    await journal.close()


async def test_what_cannot_be_kept_is_refused_before_it_is_read(journal: MemoryJournal) -> None:
    clerk = Clerk()
    async with Life(journal, clerk.node):
        for bad, why in (("x" * 2_000_000, "1.9 MiB"), ("\ud800", "surrogates not allowed")):
            with pytest.raises(NotDurableError, match=why):
                clerk.node.add_context(bad)
        await clerk.node.run("go")
    assert clerk.seen == ["go"]
    with pytest.raises(NodeStoppedError):
        clerk.node.add_context("late")


async def test_a_damaged_text_is_a_dead_letter_and_the_others_are_read(journal: MemoryJournal) -> None:
    await journal.accept([Entry(bytes(16), CONTEXT, "", "context1", b"?", 1.0)])
    clerk = Clerk()
    async with Life(journal, clerk.node):
        clerk.node.add_context("note")
        await clerk.node.run("go")
    assert clerk.seen == ["note\n\ngo"]
    assert [one.reason for one in await journal.dead()] == ["undecodable"]


async def test_a_delayed_text_is_read_when_it_is_due_also_after_a_death(journal: MemoryJournal) -> None:
    wall, seen = Wall(), list[str]()
    async with Life(journal, *(pair := Pair(connection_type="context", delay=60.0)).both, wall=wall):
        await pair.source.run("one")
        await pair.target.run("at once")
    for seconds in (30.0, 30.0):
        wall.time += seconds
        seen += pair.seen
        async with Life(journal, *(pair := Pair()).both, wall=wall):
            await pair.target.run("later")
    assert ["Context from" in text for text in (*seen, *pair.seen) if text.startswith("read")] == [False, False, True]
    assert await journal.counts() == {}


@pytest.mark.parametrize("is_durable", [True, False])
async def test_the_members_of_a_team_get_the_text_after_the_answer_is_acknowledged(is_durable: bool) -> None:
    journal, clerk, pair = GatedJournal(), Clerk(), Pair()
    await journal.open()
    team = clerk.node & Agent.from_callback(str.upper, name="other")
    pair.source.disconnect_all()
    pair.source.connect_to(team, connection_type="context")
    async with Life(journal, pair.source, *([clerk.node] if is_durable else [])), team:
        journal.holds_settle = True
        await pair.source.submit("one")
        await settle()
        assert not clerk.node.notes
        await journal.release()
        journal.holds_settle = False
        await settle()
        assert len(clerk.node.notes[None]) == 1
        assert (await journal.counts()).get(CONTEXT, 0) == is_durable
        await clerk.node.run("go", durable=False)
    assert "ONE" in clerk.seen[0]
    assert CONTEXT not in await journal.counts()
    await journal.close()


async def test_a_run_that_is_retried_within_itself_reads_each_text_once(journal: MemoryJournal) -> None:
    clerk = Clerk()
    clerk.failures = 1
    clerk.node = Agent.from_callback(
        clerk.work, name="clerk", max_concurrency=1, retry=Retry(attempts=2, backoff=Backoff.none())
    )
    async with Life(journal, clerk.node):
        clerk.node.add_context("note")
        await clerk.node.run("go")
        await clerk.node.run("on")
    assert clerk.seen == ["note\n\ngo", "note\n\ngo", "on"]
    assert await journal.counts() == {}


async def test_what_a_part_has_read_ends_with_the_part(journal: MemoryJournal) -> None:
    clerk, gate = Clerk(), asyncio.Event()

    async def last(prompt: str) -> str:
        await gate.wait()
        return prompt

    def chain() -> Any:
        made = clerk.node | Agent.from_callback(last, name="last")
        made.name = "chain"
        return made

    async with Life(journal, clerk.node, node := chain()):
        clerk.node.add_context("note")
        await node.submit("go", request_id="go")
        await settle()
    gate.set()
    clerk = Clerk(clerk.seen)
    async with Life(journal, clerk.node, node := chain()):
        await (await node.submit("go", request_id="go")).answer()
        await clerk.node.run("on")
    assert clerk.seen == ["note\n\ngo", "on"]
    assert await journal.counts() == {}


async def test_a_pool_takes_up_what_it_was_given_and_forgets_it_with_its_session(journal: MemoryJournal) -> None:
    clerk = Clerk()
    for text in ("one", "two"):
        pool = pool_on(journal)
        await pool.add_node(Agent.from_callback(clerk.work, name="clerk", durable=True))
        async with pool:
            pool["clerk"].add_context(text)
            pool["clerk"].add_context(text, session="alice")
    async with pool_on(journal) as pool:
        await pool.add_node(Agent.from_callback(clerk.work, name="clerk", durable=True))
        await pool.forget_session("alice")
        await pool["clerk"].run("go", session="alice")
    assert clerk.seen == ["one\n\ntwo\n\ngo"]
    assert await journal.counts() == {}
