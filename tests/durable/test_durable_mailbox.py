"""What a durable node has accepted is handled, whatever dies, in order, and acknowledged before the next one begins."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from actors.agents.agent import Agent
from actors.durable.kept_run import delivery
from actors.runtime.errors import MailboxFullError
from actors.testing.settle import settle
from protocols.durable import Durable
from protocols.errors import NodeStoppedError, RunTimeoutError
from protocols.journal import Commit, JournalFullError, NotDurableError
from protocols.mailbox import Overflow
from tests.durable.life import GatedJournal, Life, Wall

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.storage.journal_memory import MemoryJournal

pytestmark = pytest.mark.usefixtures("no_leaked_actors")


class Desk:
    """A callback that notes what it was given, and can be held, or told to fail."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []
        self.gate: asyncio.Event | None = None
        self.failures = 0

    async def work(self, prompt: str) -> str:
        self.seen.append((prompt, delivery().attempt))
        if self.gate is not None:
            await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise OSError("the desk burns")
        return prompt.upper()

    @property
    def prompts(self) -> list[str]:
        return [prompt for prompt, _ in self.seen]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def clerk(desk: Desk, name: str = "clerk", **options: Any) -> Agent[Any, str]:
    return Agent.from_callback(desk.work, name=name, max_concurrency=1, **options)


async def test_a_run_is_said_to_be_accepted_after_its_commit_and_begins_after_it(desk: Desk) -> None:
    journal, node = GatedJournal(), clerk(desk)
    await journal.open()
    async with Life(journal, node):
        journal.holds_accept = True
        submitting = asyncio.ensure_future(node.submit("one"))
        await settle()
        assert not submitting.done()
        assert desk.seen == []
        await journal.release()
        assert (await (await submitting).answer()).content == "ONE"
    await journal.close()


async def test_the_answer_and_the_next_run_come_after_the_commit_of_the_acknowledgement(desk: Desk) -> None:
    journal, node = GatedJournal(), clerk(desk)
    await journal.open()
    async with Life(journal, node):
        journal.holds_settle = True
        first = asyncio.ensure_future(node.run("one"))
        await settle()
        await node.submit("two")
        await settle()
        assert desk.prompts == ["one"]
        assert not first.done()
        await journal.release()
        assert (await first).content == "ONE"
        await settle()
        assert desk.prompts == ["one", "two"]
        await journal.release()
    await journal.close()


async def test_one_request_id_is_one_run(journal: MemoryJournal, desk: Desk) -> None:
    node, other = clerk(desk), clerk(desk, "other")
    async with Life(journal, node, other):
        first = await node.submit("one", request_id="order-17")
        again = await node.submit("one", request_id="order-17")
        answers = [await first.answer(), await again.answer(), await node.run("one", request_id="order-17")]

        assert (first.is_new, again.is_new, first.run_id) == (True, False, again.run_id)
        assert [answer.content for answer in answers] == ["ONE"] * 3
        assert desk.prompts == ["one"]
        with pytest.raises(ValueError, match="'other': this request_id is that of a run of 'pool/clerk'"):
            await other.submit("one", request_id="order-17")


async def test_what_a_death_has_left_is_handled_in_order_and_flagged(journal: MemoryJournal, desk: Desk) -> None:
    desk.gate = asyncio.Event()
    async with Life(journal, node := clerk(desk)):
        tickets = [await node.submit(f"m{number}") for number in range(5)]
        await settle()
        assert desk.seen == [("m0", 0)]
        answering = asyncio.ensure_future(tickets[0].answer())
    with pytest.raises(NodeStoppedError, match="kept"):
        await answering
    desk.gate, desk.seen = None, []
    async with Life(journal, node := clerk(desk)):
        later = await node.submit("m5")
        assert (await later.answer()).content == "M5"

    assert desk.seen == [("m0", 1), ("m1", 0), ("m2", 0), ("m3", 0), ("m4", 0), ("m5", 0)]
    assert await journal.counts() == {}


async def test_an_answer_is_there_after_a_restart(journal: MemoryJournal, desk: Desk) -> None:
    async with Life(journal, node := clerk(desk)):
        done = await node.submit("done", request_id="done")
        await done.answer()
        desk.gate = asyncio.Event()
        await node.submit("open", request_id="open")
        await settle()
    desk.gate = None
    async with Life(journal, node := clerk(desk)):
        assert (await node.run("done", request_id="done")).content == "DONE"
        again = await node.submit("open", request_id="open")
        assert not again.is_new
        assert (await again.answer()).content == "OPEN"
    assert desk.prompts == ["done", "open", "open"]


async def test_a_caller_that_is_cancelled_in_the_commit_loses_no_message(desk: Desk) -> None:
    journal, node = GatedJournal(), clerk(desk)
    await journal.open()
    async with Life(journal, node):
        journal.holds_accept = True
        submitting = asyncio.ensure_future(node.submit("one"))
        await settle()
        submitting.cancel()
        await asyncio.gather(submitting, return_exceptions=True)
        await journal.release()
        journal.holds_accept = False
        await node.run("two")
    assert desk.prompts == ["one", "two"]
    await journal.close()


async def test_memory_holds_a_window_of_the_open_messages(journal: MemoryJournal, desk: Desk) -> None:
    entries = []
    async with Life(journal, node := clerk(desk)) as life:
        desk.gate = asyncio.Event()
        await node.submit("first")
        sample = (await journal.waiting("pool/clerk", 0, 1))[0]
        entries = [replace(sample, id=number.to_bytes(16, "big"), seq=0) for number in range(1, 1_000)]
        await journal.accept(entries)
    desk.gate = None
    async with Life(journal, node := clerk(desk)) as life:
        most = 0
        window = life.windows[node]
        while window.queue.open:
            most = max(most, len(window.queue))
            await node.complete_tasks()
            await settle()
        assert most <= 200
    assert len(desk.seen) == 1_001
    assert await journal.counts() == {}


async def test_a_cancelled_run_is_never_begun_or_is_ended(journal: MemoryJournal, desk: Desk) -> None:
    desk.gate = asyncio.Event()
    async with Life(journal, node := clerk(desk)) as life:
        runs = [asyncio.ensure_future(node.run(text)) for text in ("in hand", "waiting")]
        await settle()
        for run in runs:
            run.cancel()
        await asyncio.gather(*runs, return_exceptions=True)
        await settle()
        assert life.windows[node].queue.open == 0
        desk.gate.set()
        await node.run("next")
    assert desk.prompts == ["in hand", "next"]
    assert journal.statistics().dead == 0


async def test_time_that_is_over_ends_a_run_that_waits(journal: MemoryJournal, desk: Desk) -> None:
    desk.gate = asyncio.Event()
    async with Life(journal, node := clerk(desk)) as life:
        await node.submit("in hand")
        with pytest.raises(RunTimeoutError):
            await node.run("late", timeout=0.0)
        desk.gate.set()
        await node.run("next")
        assert life.windows[node].queue.open == 0
    assert desk.prompts == ["in hand", "next"]


async def test_a_failure_belongs_to_its_caller_or_is_a_dead_letter(journal: MemoryJournal, desk: Desk) -> None:
    desk.failures = 2
    async with Life(journal, node := clerk(desk)):
        with pytest.raises(OSError, match="burns"):
            await node.run("asked")
        ticket = await node.submit("posted", request_id="posted")
        await node.run("next")
        with pytest.raises(OSError, match="the desk burns"):
            await ticket.answer()
        with pytest.raises(OSError, match="the desk burns"):
            await (await node.submit("posted", request_id="posted")).answer()
    (letter,) = await journal.dead()
    assert (letter.reason, letter.entry.id.hex()) == ("failed", ticket.run_id)
    assert "the desk burns" in letter.error


@pytest.mark.parametrize(("order", "seen"), [("loose", ["a", "b", "a"]), ("strict", ["a", "a", "b"])])
async def test_a_retry_waits_for_its_time(journal: MemoryJournal, desk: Desk, order: Any, seen: Sequence[str]) -> None:
    desk.failures, wall = 1, Wall()
    settings = Durable(retries=2, backoff=0.05, order=order)
    async with Life(journal, node := clerk(desk), settings=settings, wall=wall) as life:
        first = await node.submit("a")
        second = await node.submit("b")
        while life.windows[node].queue.due_in is None:
            await settle()
        wall.time += 0.05
        life.windows[node].look()
        await asyncio.gather(first.answer(), second.answer())
    assert desk.prompts == seen
    assert [attempt for prompt, attempt in desk.seen if prompt == "a"] == [0, 1]


async def test_a_message_that_kills_the_process_is_buried_and_the_others_are_handled(
    journal: MemoryJournal, desk: Desk
) -> None:
    desk.gate = asyncio.Event()
    deaths = 0
    async with Life(journal, node := clerk(desk)):
        await node.submit("poison")
        for number in range(3):
            await node.submit(f"m{number}")
        await settle()
    while desk.prompts[-1] == "poison":
        deaths += 1
        async with Life(journal, node := clerk(desk)):
            while desk.seen[-1][1] < deaths <= 5:
                await settle()
            if deaths > 5:
                desk.gate.set()
                await node.run("end")
    assert deaths == 6
    assert desk.prompts == ["poison"] * 6 + ["m0", "m1", "m2", "end"]
    assert [letter.reason for letter in await journal.dead()] == ["poison"]


async def test_many_restarts_without_a_delivery_bury_nothing(journal: MemoryJournal, desk: Desk) -> None:
    desk.gate = asyncio.Event()
    async with Life(journal, node := clerk(desk)):
        await node.submit("innocent")
    for _ in range(50):
        async with Life(journal, node := clerk(desk)) as life:
            life.windows[node].pause()
    desk.gate.set()
    async with Life(journal, node := clerk(desk)):
        await node.run("end")
    assert desk.prompts[-2:] == ["innocent", "end"]
    assert await journal.dead() == []


async def test_a_full_mailbox_refuses_or_makes_its_callers_wait(journal: MemoryJournal, desk: Desk) -> None:
    desk.gate = asyncio.Event()
    async with Life(journal, node := clerk(desk)) as life:
        ref = node.ref()
        life.windows[node].queue.open = ref.actor_inbox.capacity
        with pytest.raises(MailboxFullError, match=r"clerk .durable.: mailbox is full"):
            await node.submit("one")
        assert await journal.counts() == {}


async def test_a_journal_without_room_refuses_and_what_is_open_is_handled(
    journal: MemoryJournal, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> Commit[Any]:
        refused: Commit[Any] = Commit()
        refused.finish(JournalFullError("the disk is full", location="memory"))
        return refused

    desk.gate = asyncio.Event()
    async with Life(journal, node := clerk(desk)):
        kept = await node.submit("kept")
        monkeypatch.setattr(journal, "accept", full)
        with pytest.raises(JournalFullError, match="the disk is full"):
            await node.submit("refused")
        with pytest.raises(MailboxFullError) as caught:
            await node.run("refused")
        refused: Any = caught.value.message
        assert (type(caught.value), caught.value.node, refused.prompts) == (JournalFullError, "clerk", ("refused",))
        assert caught.value.capacity == 0
        desk.gate.set()
        assert (await kept.answer()).content == "KEPT"
    assert desk.prompts == ["kept"]


async def test_what_a_node_cannot_keep_is_refused_or_runs_in_memory(journal: MemoryJournal, desk: Desk) -> None:
    async with clerk(desk) as plain:
        with pytest.raises(NotDurableError, match="'clerk' is not durable"):
            await plain.submit("one")
        with pytest.raises(NotDurableError, match="request_id"):
            await plain.run("one", request_id="x")
    async with Life(journal, node := clerk(desk)):
        with pytest.raises(NotDurableError, match="deps"):
            await node.run("one", deps=object())
        assert (await node.run("two", deps=object(), durable=False)).content == "TWO"
        async with node.run_stream("three") as stream:
            assert "".join([piece async for piece in stream.stream()]) == "THREE"
        assert journal.statistics().accepted == 0
        with pytest.raises(NotDurableError, match="durable=False"):
            await node.submit("one", durable=False)


async def test_delivery_tells_one_run_from_others_and_is_the_same_for_each_of_its_deliveries(
    journal: MemoryJournal,
) -> None:
    keys: list[str] = []
    gate = asyncio.Event()

    async def work(prompt: str) -> str:
        keys.append(delivery().key)
        await gate.wait()
        return prompt

    async with Life(journal, node := Agent.from_callback(work, name="clerk")):
        await node.submit("one")
        await settle()
    gate.set()
    async with Life(journal, node := Agent.from_callback(work, name="clerk")):
        await node.run("two")
    assert keys[0] == keys[1] != keys[2]
    with pytest.raises(RuntimeError, match="outside"):
        delivery()


async def test_a_callback_gets_the_same_value_in_each_delivery(journal: MemoryJournal) -> None:
    seen: list[object] = []
    gate = asyncio.Event()

    async def work(order: object) -> str:
        seen.append(order)
        await gate.wait()
        return "done"

    async with Life(journal, node := Agent.from_callback(work, name="clerk", max_concurrency=1)):
        await node.submit(Durable(retries=3))
        await settle()
    gate.set()
    async with Life(journal, node := Agent.from_callback(work, name="clerk", max_concurrency=1)):
        await node.run("end")
    assert seen[0] == seen[1]
    assert isinstance(seen[0], dict)


async def test_callers_wait_for_room_if_the_mailbox_says_so(journal: MemoryJournal, desk: Desk) -> None:
    desk.gate = asyncio.Event()
    async with Life(journal, node := clerk(desk)) as life:
        mailbox = node.ref().actor_inbox
        mailbox.overflow, mailbox.capacity = Overflow.WAIT, 1
        await node.submit("one")
        second = asyncio.ensure_future(node.submit("two"))
        await settle()
        assert not second.done()
        desk.gate.set()
        await (await second).answer()
        assert life.windows[node].queue.open == 0
    assert desk.prompts == ["one", "two"]


async def test_a_run_without_time_is_not_begun(journal: MemoryJournal, desk: Desk) -> None:
    async with Life(journal, node := clerk(desk)):
        with pytest.raises(RunTimeoutError):
            await node.run("late", timeout=0)
        with pytest.raises(TypeError, match="request_id must be text that is not empty, not ' '"):
            await node.submit("one", request_id=" ")
    assert desk.seen == []
