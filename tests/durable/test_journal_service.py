"""A pool whose nodes are durable: its journal, its restarts, and what it refuses."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from actors import ActorSystem, AgentPool, delivery
from actors.agents.agent import Agent
from actors.app.journal_service import JournalService
from actors.app.journal_watch import LOOK
from actors.durable.durable_mailbox import id_of
from actors.testing.clock import ManualClock
from actors.testing.models import scripted_model
from actors.testing.settle import settle
from protocols.durable import Durable
from protocols.errors import ManifestError, NodeStartError, RunError
from protocols.journal import Entry, JournalStatistics, NotDurableError
from tests.durable.life import Mortal

if TYPE_CHECKING:
    from pathlib import Path

    from actors.config.manifest import Manifest
    from actors.storage.journal_memory import MemoryJournal

pytestmark = pytest.mark.usefixtures("no_leaked_actors")


class Lasting(Mortal):
    """A journal that outlives the pools that close it."""

    async def open(self) -> None:
        """It is open."""

    async def close(self) -> None:
        """It stays open."""


def pool_on(journal: MemoryJournal, file: Path | Manifest | None = None) -> AgentPool[None]:
    def made(_: object) -> Any:
        return Lasting(journal)

    return AgentPool(file, services=[partial(JournalService, make=made)], exit_timeout=0.01)


async def test_a_pool_goes_on_where_it_was_stopped(journal: MemoryJournal) -> None:
    gate, seen = asyncio.Event(), list[str]()

    async def work(prompt: str) -> str:
        seen.append(prompt)
        await gate.wait()
        return prompt.upper()

    def clerk() -> Agent[Any, str]:
        return Agent.from_callback(work, name="clerk", max_concurrency=1, durable=True)

    pool = pool_on(journal)
    await pool.add_node(clerk())
    async with pool:
        tickets = [await pool["clerk"].submit(text, request_id=text) for text in ("one", "two")]
        await settle()
    assert seen == ["one"]
    gate.set()
    pool = pool_on(journal)
    await pool.add_node(clerk())
    async with pool:
        answers = [await pool.ticket(text).answer() for text in ("one", "two")]
        assert pool.ticket("one").run_id == tickets[0].run_id
        with pytest.raises(RunError, match="'three' is in the journal"):
            await pool.ticket("three").answer()
    assert [answer.content for answer in answers] == ["ONE", "TWO"]
    assert seen == ["one", "one", "two"]
    assert await journal.dead() == []


async def test_an_agent_remembers_what_was_acknowledged(journal: MemoryJournal) -> None:
    async def run(*prompts: str, session: str | None = None) -> list[int]:
        sizes: list[int] = []
        pool = pool_on(journal)
        await pool.add_node(Agent("clerk", model=scripted_model(["yes"] * len(prompts)), durable=True))
        async with pool:
            for prompt in prompts:
                answer = await pool["clerk"].run(prompt, session=session)
                sizes.append(len(answer.messages))
            agent = pool.get_agent("clerk")
            return [len(agent.history) if session is None else len(agent.sessions.get(session))]

    assert await run("one", "two") == [4]
    assert await run("three") == [6]
    assert await run("hello", session="alice") == [2]
    assert await run("again", session="alice") == [4]


async def test_a_node_that_joins_a_running_pool_gets_what_waits_for_it(journal: MemoryJournal) -> None:
    seen: list[str] = []
    await journal.accept([Entry(b"x" * 16, "pool/late", "", "later9", b"", 1.0)])
    pool = pool_on(journal)
    async with pool:
        await pool.add_node(Agent.from_callback(seen.append, name="late", durable=True))
        while await journal.counts():
            await settle()
    assert [letter.reason for letter in await journal.dead()] == ["undecodable"]


async def test_replayed_dead_letters_are_delivered_by_a_running_pool(journal: MemoryJournal) -> None:
    failures, seen = [OSError("once")], list[str]()

    def work(prompt: str) -> str:
        seen.append(prompt)
        if failures:
            raise failures.pop()
        return prompt

    pool = pool_on(journal)
    await pool.add_node(Agent.from_callback(work, name="clerk", durable=True))
    async with pool:
        await pool["clerk"].submit("one")
        while not (letters := await journal.dead()):
            await settle()
        await journal.replay([letters[0].entry.id])
        service = pool.service(JournalService)
        assert service is not None
        service.mailboxes[pool["clerk"]].window.look()
        while await journal.counts():
            await settle()
    assert seen == ["one", "one"]


async def test_a_durable_node_needs_a_journal() -> None:
    pool = AgentPool[None](services=[partial(JournalService, make=lambda _: None)])
    await pool.add_node(Agent.from_callback(str.upper, name="clerk", durable=Durable(retries=1)))
    with pytest.raises(NodeStartError, match="'clerk' is durable, but its pool has no journal"):
        async with pool:
            pass
    with pytest.raises(NotDurableError, match="does not run"):
        pool.ticket("x")


async def test_a_node_that_is_durable_by_default_stays_so_in_a_reload(journal: MemoryJournal, tmp_path: Path) -> None:
    file = tmp_path / "agents.yml"
    file.write_text(f"defaults: {{durable: true}}\n{(MANIFEST % ('hold', 'null'))}")
    async with pool_on(journal, file) as pool:
        await pool["clerk"].submit("one")
        assert (await pool.reload()).unchanged == ("clerk",)


class Sick(Lasting):
    """A journal with another state, whose server or disk does not answer."""

    state = JournalStatistics()

    def statistics(self) -> JournalStatistics:
        return self.state

    async def version(self) -> int:
        await asyncio.Event().wait()
        return 0


async def test_a_slow_or_broken_journal_is_told(journal: MemoryJournal) -> None:
    sick, clock = Sick(journal), ManualClock()
    async with ActorSystem(clock=clock) as system:

        def made(_: object) -> Any:
            return sick

        pool = AgentPool[None](system=system, services=[partial(JournalService, make=made)])
        await pool.add_node(Agent.from_callback(str.upper, name="clerk", durable=True))
        async with pool:
            seen = [pool.health["JournalService"]]
            for sick.state in (JournalStatistics(waiting_since=1.0), JournalStatistics()):
                await clock.advance(LOOK)
                seen.append(pool.health["JournalService"])
            sick.state = JournalStatistics(broken="the disk is gone")
            seen.append(pool.health["JournalService"])
    assert seen == ["ready", "degraded", "ready", "unavailable"]


MANIFEST = """\
allow_imports: [tests]
journal: true
agents:
  clerk: {type: callback, callback: "tests.durable.test_journal_service:%s", durable: %s}
"""


async def hold(prompt: str) -> str:
    await asyncio.Event().wait()
    return prompt


def measure(prompt: str) -> int:
    return len(prompt)


async def test_a_reload_takes_the_journal_from_no_node_with_open_messages(
    journal: MemoryJournal, tmp_path: Path
) -> None:
    file = tmp_path / "agents.yml"
    file.write_text(MANIFEST % ("hold", "true"))
    async with pool_on(journal, file) as pool:
        await pool["clerk"].submit("one")
        file.write_text(MANIFEST % ("hold", "false"))
        with pytest.raises(ManifestError, match="'clerk': `durable` cannot be taken away while 1 message"):
            await pool.reload()


async def test_a_reload_makes_nodes_durable_and_others_not(journal: MemoryJournal, tmp_path: Path) -> None:
    file = tmp_path / "agents.yml"
    file.write_text(MANIFEST % ("measure", "false"))
    async with pool_on(journal, file) as pool:
        await pool["clerk"].run("one")
        file.write_text(MANIFEST % ("measure", "true"))
        await pool.reload()
        assert (await (await pool["clerk"].submit("four")).answer()).content == 4
        file.write_text(MANIFEST % ("measure", "false"))
        await pool.reload()
        await pool["clerk"].run("one")
    assert journal.statistics().accepted == 1


GROUP = """\
allow_imports: [tests]
journal: true
supervision: {strategy: one_for_all}
agents:
  clerk: {type: callback, callback: "tests.durable.test_journal_service:held", durable: true, max_concurrency: 1}
  other: {type: callback, callback: "tests.durable.test_journal_service:fall", crash_on: ["builtins:OSError"]}
"""
attempts: list[int] = []


async def held(prompt: str) -> str:
    attempts.append(delivery().attempt)
    if not attempts[-1]:
        await asyncio.Event().wait()
    return prompt.upper()


async def fall(prompt: str) -> str:
    raise OSError(prompt)


async def test_a_run_that_a_restart_cuts_off_is_delivered_to_the_next_incarnation(
    journal: MemoryJournal, tmp_path: Path
) -> None:
    file = tmp_path / "agents.yml"
    file.write_text(GROUP)
    attempts.clear()
    async with pool_on(journal, file) as pool:
        ticket = await pool["clerk"].submit("one")
        await settle()
        with pytest.raises(OSError, match="down"):
            await pool["other"].run("down")
        assert (await ticket.answer()).content == "ONE"
        await pool["clerk"].complete_tasks()
        assert await journal.counts() == {}
    assert attempts == [0, 1]


async def test_what_cannot_be_read_is_a_dead_letter_with_its_bytes(journal: MemoryJournal) -> None:
    broken = Entry(b"x" * 16, "pool/clerk", "", "run1", b"\xff\xfe", 1.0)
    await journal.accept([broken, replace(broken, id=b"y" * 16, kind="later9")])
    pool = pool_on(journal)
    await pool.add_node(Agent.from_callback(str.upper, name="clerk", durable=True))
    async with pool:
        assert (await pool["clerk"].run("next")).content == "NEXT"
    letters = await journal.dead()
    assert [(one.reason, one.entry.payload) for one in letters] == [("undecodable", b"\xff\xfe")] * 2


async def test_what_was_never_handled_is_a_dead_letter_though_a_caller_waits(journal: MemoryJournal) -> None:
    await journal.accept([Entry(id_of("order"), "pool/clerk", "", "later9", b"bytes", 1.0)])
    pool = pool_on(journal)
    await pool.add_node(Agent.from_callback(str.upper, name="clerk", durable=True))
    async with pool:
        service = pool.service(JournalService)
        assert service is not None
        with pytest.raises(Exception, match="later9"):
            await service.mailboxes[pool["clerk"]].answer(id_of("order"))
    assert [one.entry.payload for one in await journal.dead()] == [b"bytes"]


async def test_an_answer_that_cannot_be_remembered_is_a_failure_and_the_next_run_is_handled(
    journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> Any:
        raise ValueError("no bytes for this")

    pool = pool_on(journal)
    await pool.add_node(Agent.from_callback(str.upper, name="clerk", durable=True, max_concurrency=1))
    async with pool:
        with monkeypatch.context() as patch:
            patch.setattr("actors.durable.delivery_window.handled", refuse)
            with pytest.raises(ValueError, match="no bytes"):
                await pool["clerk"].run("one")
        assert (await pool["clerk"].run("two")).content == "TWO"
