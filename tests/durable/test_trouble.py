"""Callers of a full mailbox, reads of the journal that fail, and nodes that leave: nothing is lost, no caller hangs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from actors.agents.agent import Agent
from actors.durable.kept_queue import KeptQueue
from actors.durable.kept_run import delivery
from actors.durable.record import encode_run
from actors.testing.settle import settle
from protocols.errors import NodeStoppedError, RunTimeoutError
from protocols.journal import Entry, JournalError
from protocols.mailbox import Overflow
from tests.durable.life import Life
from tests.durable.test_journal_service import pool_on

if TYPE_CHECKING:
    from actors.storage.journal_memory import MemoryJournal

pytestmark = pytest.mark.usefixtures("no_leaked_actors")


class Clerk:
    """A node that handles one message at a time, and can be held."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.node: Agent[Any, str] = Agent.from_callback(self.work, name="clerk", max_concurrency=1, durable=True)

    async def work(self, prompt: str) -> str:
        self.seen.append(prompt)
        await self.gate.wait()
        return prompt.upper()


async def test_the_time_of_a_run_holds_while_it_waits_for_room(journal: MemoryJournal) -> None:
    clerk = Clerk()
    clerk.gate.clear()
    async with Life(journal, clerk.node):
        mailbox = clerk.node.ref().actor_inbox
        mailbox.overflow, mailbox.capacity = Overflow.WAIT, 1
        await clerk.node.submit("one")
        with pytest.raises(RunTimeoutError, match="'clerk'"):
            await clerk.node.run("two", timeout=0)
    assert clerk.seen == ["one"]


async def test_every_caller_of_one_name_is_told_the_same_when_its_time_is_over(journal: MemoryJournal) -> None:
    clerk = Clerk()
    clerk.gate.clear()
    async with Life(journal, clerk.node):
        first = asyncio.ensure_future(clerk.node.run("one", request_id="one"))
        await settle()
        with pytest.raises(RunTimeoutError, match="within 0 s; the run continues"):
            await clerk.node.run("one", request_id="one", timeout=0)
        ticket = await clerk.node.submit("one", request_id="one")
        with pytest.raises(RunTimeoutError, match=ticket.run_id):
            await ticket.answer(timeout=0)
        clerk.gate.set()
        assert (await first).content == "ONE"
    assert clerk.seen == ["one"]


async def test_the_own_timeout_of_a_run_is_no_timeout_of_its_caller(journal: MemoryJournal) -> None:
    async def work(_: str) -> str:
        raise TimeoutError("the bank is slow")

    node = Agent.from_callback(work, name="clerk", durable=True)
    async with Life(journal, node):
        with pytest.raises(TimeoutError, match="the bank is slow"):
            await (await node.submit("one")).answer(timeout=60)


async def test_a_caller_that_gives_up_in_the_moment_of_its_turn_passes_it_on(journal: MemoryJournal) -> None:
    clerk = Clerk()
    clerk.gate.clear()
    async with Life(journal, clerk.node) as life:
        mailbox = clerk.node.ref().actor_inbox
        mailbox.overflow, mailbox.capacity = Overflow.WAIT, 1
        await clerk.node.submit("one")
        gone, first, second = (asyncio.ensure_future(clerk.node.submit(text)) for text in ("gone", "first", "second"))
        await settle()
        gone.cancel()
        await asyncio.wait([gone])
        window = life.windows[clerk.node]
        freed = window.freed

        def free() -> None:
            freed()
            first.cancel()

        window.freed = free
        clerk.gate.set()
        assert (await (await second).answer()).content == "SECOND"
        assert first.cancelled()
    assert clerk.seen == ["one", "second"]


async def test_a_read_that_fails_once_holds_up_no_node(journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    clerk, waiting, failures = Clerk(), journal.waiting, [JournalError("is locked by another program")] * 2

    async def fails(mailbox: str, *args: Any) -> Any:
        if failures and mailbox == "pool/clerk":
            raise failures.pop()
        return await waiting(mailbox, *args)

    monkeypatch.setattr(journal, "waiting", fails)
    async with Life(journal, clerk.node) as life:
        await settle()
        ticket = await clerk.node.submit("one")
        while failures:
            life.windows[clerk.node].look()
            await settle()
        life.windows[clerk.node].look()
        assert (await ticket.answer()).content == "ONE"


async def test_an_answer_that_cannot_be_looked_up_now_is_an_error_of_its_caller_alone(
    journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(_: bytes) -> Any:
        raise JournalError("is locked by another program")

    clerk = Clerk()
    async with Life(journal, clerk.node):
        await (await clerk.node.submit("one", request_id="one")).answer()
        again = await clerk.node.submit("one", request_id="one")
        with monkeypatch.context() as patch:
            patch.setattr(journal, "find", fails)
            with pytest.raises(JournalError, match="locked"):
                await again.answer()
        assert (await clerk.node.run("two")).content == "TWO"


async def test_those_who_wait_for_a_node_that_is_removed_are_told_and_its_messages_stay(journal: MemoryJournal) -> None:
    clerk = Clerk()
    clerk.gate.clear()
    pool = pool_on(journal)
    await pool.add_node(clerk.node)
    async with pool:
        tickets = [await clerk.node.submit(text) for text in ("one", "two")]
        answering = [asyncio.ensure_future(ticket.answer()) for ticket in tickets]
        await settle()
        removing = asyncio.ensure_future(pool.remove_node("clerk"))
        await settle()
        clerk.gate.set()
        await removing
        assert (await answering[0]).content == "ONE"
        with pytest.raises(NodeStoppedError, match="kept"):
            await answering[1]
    assert await journal.counts() == {"pool/clerk": 1}


async def test_a_message_that_is_read_before_its_acceptance_is_told_counts_once(journal: MemoryJournal) -> None:
    clerk = Clerk()
    entry = Entry(b"x" * 16, "pool/clerk", "", "run1", encode_run(clerk.node.request(("one",), {})), 1.0)
    (place,) = await journal.accept([entry])
    assert place is not None
    queue = KeptQueue(clerk.node, "pool/clerk", journal)
    queue.open = 0  # as counted before it was accepted
    await queue.load()
    queue.add(entry, clerk.node.request(("one",), {}), None, place)
    assert (queue.open, len(queue)) == (1, 1)
    queue.count_end(entry.id)
    await queue.drained()


async def test_what_is_accepted_during_a_read_follows_it_in_memory_once_and_in_order(
    journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    reads: list[int] = []
    read, gate = journal.waiting, asyncio.Event()

    async def slow(mailbox: str, after: int, limit: int) -> list[Entry]:
        found = await read(mailbox, after, limit)
        reads.append(after)
        await gate.wait()
        return found

    def work(prompt: str) -> str:
        seen.append(prompt)
        return prompt

    node = Agent.from_callback(work, name="clerk", durable=True)
    async with Life(journal, node) as life:
        await settle()
        monkeypatch.setattr(journal, "waiting", slow)
        life.windows[node].look()
        tickets = [await node.submit(str(number)) for number in range(3)]
        cancelled = asyncio.ensure_future(node.run("gone"))
        await settle()
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
        gate.set()
        assert [(await ticket.answer()).content for ticket in tickets] == ["0", "1", "2"]
    assert seen == ["0", "1", "2"]
    assert reads == [0]
    assert await journal.counts() == {}


async def test_callers_of_a_known_run_who_wait_no_more_leave_nothing(journal: MemoryJournal) -> None:
    clerk = Clerk()
    clerk.gate.clear()
    async with Life(journal, clerk.node) as life:
        ticket = await clerk.node.submit("one", request_id="one")
        for _ in range(20):
            again = await clerk.node.submit("one", request_id="one")
            waiting = [asyncio.ensure_future(clerk.node.run("one", request_id="one"))]
            waiting += [asyncio.ensure_future(each.answer()) for each in (ticket, again)]
            await settle()
            for one in waiting:
                one.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        answers: Any = life.windows[clerk.node].answers
        assert sum(map(len, answers._replies.values())) == 1
        clerk.gate.set()
        assert (await ticket.answer()).content == "ONE"
        assert not answers._replies


async def test_what_is_accepted_before_the_first_read_is_not_marked_as_repeated(
    journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, gate = journal.waiting, asyncio.Event()
    attempts: list[int] = []

    async def slow(mailbox: str, after: int, limit: int) -> list[Entry]:
        if mailbox == "pool/clerk":
            await gate.wait()
        return await read(mailbox, after, limit)

    def work(prompt: str) -> str:
        attempts.append(delivery().attempt)
        return prompt

    monkeypatch.setattr(journal, "waiting", slow)
    node = Agent.from_callback(work, name="clerk", durable=True)
    async with Life(journal, node):
        tickets = [await node.submit(text) for text in ("one", "two")]
        gate.set()
        assert [(await ticket.answer()).content for ticket in tickets] == ["one", "two"]
    assert attempts == [0, 0]


async def test_what_another_process_writes_during_a_read_is_found(
    journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, gate, clerk = journal.waiting, asyncio.Event(), Clerk()

    async def slow(mailbox: str, after: int, limit: int) -> list[Entry]:
        found = await read(mailbox, after, limit)
        await gate.wait()
        return found

    async with Life(journal, clerk.node) as life:
        await settle()
        monkeypatch.setattr(journal, "waiting", slow)
        window = life.windows[clerk.node]
        window.look()
        await settle()
        request = clerk.node.request(("replayed",), {})
        await journal.accept([Entry(bytes.fromhex(request.run_id), "pool/clerk", "", "run1", encode_run(request), 1.0)])
        window.look()
        gate.set()
        while await journal.counts():
            await settle()
    assert clerk.seen == ["replayed"]


async def test_a_function_that_fails_on_a_commit_keeps_no_other_from_being_told(journal: MemoryJournal) -> None:
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
    error = LookupError("a fault of ours")

    def fail(_: object) -> None:
        raise error

    entries = [Entry(bytes([number]) * 16, "pool/clerk", "", "run1", b"x", 1.0) for number in range(3)]
    first, *others = [journal.accept([entry]) for entry in entries]
    first.then(fail)
    for other in others:
        other.then(lambda done: told.append(done.result()))
    await others[-1]
    assert told == [error, [2], [3]]
    assert await first == [1]
