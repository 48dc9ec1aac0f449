"""What may have been under way when a process died, and what was not: what waits for its time, or for room."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from actors.agents.agent import Agent
from actors.durable import delivery_window, kept_queue
from actors.durable.kept_run import delivery
from actors.runtime.errors import MailboxFullError
from actors.runtime.future import AsyncioFuture
from actors.talk.detached_ask import post_outside
from actors.testing.settle import settle
from protocols.durable import Durable
from tests.durable.life import Life, Wall

if TYPE_CHECKING:
    from actors.storage.journal_memory import MemoryJournal

pytestmark = pytest.mark.usefixtures("no_leaked_actors")


class Desk:
    """A callback that notes what it was given, and waits."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []
        self.gate = asyncio.Event()

    def node(self) -> Agent[Any, str]:
        return Agent.from_callback(self.work, name="clerk", max_concurrency=1)

    async def work(self, prompt: str) -> str:
        self.seen.append((prompt, delivery().attempt))
        await self.gate.wait()
        return prompt


async def test_a_message_that_is_not_due_is_no_suspect_in_place_of_one_that_was_under_way(
    journal: MemoryJournal,
) -> None:
    desk, wall = Desk(), Wall()
    async with Life(journal, node := desk.node(), wall=wall):
        await node.submit("later")
        (entry,) = await journal.waiting("pool/clerk", 0, 1)
        await settle()
    await journal.postpone(entry.id, wall.time + 60, "the desk burns")
    async with Life(journal, node := desk.node(), wall=wall):
        await node.submit("now")
        await settle()
    async with Life(journal, desk.node(), wall=wall) as life:
        while len(desk.seen) < 3:
            await settle()
        desk.gate.set()
        wall.time += 60
        while await journal.counts():
            for window in life.windows.values():
                window.look()
            await settle()
    assert desk.seen == [("later", 0), ("now", 0), ("now", 1), ("later", 1)]


async def test_a_retry_that_was_under_way_is_marked(journal: MemoryJournal) -> None:
    desk, wall = Desk(), Wall()
    async with Life(journal, node := desk.node(), wall=wall, settings=Durable(retries=3)):
        await node.submit("again")
        (entry,) = await journal.waiting("pool/clerk", 0, 1)
        await settle()
    await journal.postpone(entry.id, wall.time, "the desk burns")
    for _ in range(2):
        async with Life(journal, desk.node(), wall=wall, settings=Durable(retries=3)):
            seen = len(desk.seen)
            while len(desk.seen) == seen:
                await settle()
    assert desk.seen == [("again", 0), ("again", 2), ("again", 3)]


async def test_a_delivery_for_which_the_actor_has_no_room_is_not_marked(
    journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, refused = Desk(), 0
    async with Life(journal, node := desk.node()):
        await node.submit("one")
        await settle()

    def no_room(*given: Any) -> Any:
        nonlocal refused
        refused += 1
        if refused > 8:
            return post_outside(*given)
        reply: AsyncioFuture[Any] = AsyncioFuture()
        reply.fail(MailboxFullError("clerk", 1, given[1]))
        return reply

    monkeypatch.setattr(delivery_window, "post_outside", no_room)
    monkeypatch.setattr(delivery_window, "PAUSE", 0.0)
    async with Life(journal, desk.node()):
        desk.gate.set()
        while await journal.counts():
            await settle()
    assert desk.seen == [("one", 0), ("one", 1)]
    assert await journal.dead() == []


async def test_of_two_nodes_messages_that_were_often_marked_are_handled_one_by_one(journal: MemoryJournal) -> None:
    desks, turn = [Desk(), Desk()], asyncio.Lock()
    nodes = [
        Agent.from_callback(desk.work, name=name, max_concurrency=1) for desk, name in zip(desks, "ab", strict=True)
    ]
    async with Life(journal, *nodes):
        for node in nodes:
            await node.submit("one")
        await settle()
    for name in "ab":
        (entry,) = await journal.waiting(f"pool/{name}", 0, 1)
        for _ in range(kept_queue.ALONE):
            await journal.begin(entry.id)
    nodes = [
        Agent.from_callback(desk.work, name=name, max_concurrency=1) for desk, name in zip(desks, "ab", strict=True)
    ]
    async with Life(journal, *nodes, turn=turn):
        while sum(len(desk.seen) for desk in desks) < 3:
            await settle()
        await settle()
        assert sorted(len(desk.seen) for desk in desks) == [1, 2]
        for desk in desks:
            desk.gate.set()
        while await journal.counts():
            await settle()
    assert [desk.seen for desk in desks] == [[("one", 0), ("one", 3)]] * 2
    assert not turn.locked()
