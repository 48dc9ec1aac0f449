"""A disk that is slow holds up those who send, and no memory fills up: who cannot wait is refused."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from actors.agents.agent import Agent
from actors.runtime.errors import MailboxFullError
from actors.storage.journal_memory import MemoryJournal
from actors.testing.settle import settle
from protocols.errors import NodeStoppedError, RunTimeoutError
from protocols.journal import MOST_WAITING, STALLED, JournalError
from tests.durable.life import Life, Wall

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from actors.storage.journal_sql import WaitingCall

pytestmark = pytest.mark.usefixtures("no_leaked_actors")


class SlowJournal(MemoryJournal):
    """A journal whose commits wait until a test lets them through."""

    def __init__(self, wall: Wall) -> None:
        super().__init__(now=wall)
        self.wall = wall
        self.is_held = False
        self.most = 0
        self._batches: list[list[WaitingCall]] = []

    def _submit(self, batch: list[WaitingCall]) -> None:
        self.most = max(self.most, len(batch) + len(self._queue))
        if self.is_held:
            self._batches.append(batch)
        else:
            super()._submit(batch)

    def release(self) -> None:
        self.is_held = False
        batches, self._batches = self._batches, []
        for batch in batches:
            super()._submit(batch)

    async def stall(self, node: Agent[Any, str]) -> asyncio.Task[Any]:
        """Have a first write wait for longer than it should."""
        self.is_held = True
        first = asyncio.ensure_future(node.submit("first"))
        await settle()
        self.wall.time += 2 * STALLED
        return first


@pytest.fixture
async def slow() -> AsyncIterator[SlowJournal]:
    made = SlowJournal(Wall())
    await made.open()
    yield made
    made.release()
    await made.close()


@pytest.fixture
def seen() -> list[str]:
    return []


@pytest.fixture
def clerk(seen: list[str]) -> Agent[Any, str]:
    def work(prompt: str) -> str:
        seen.append(prompt)
        return prompt.upper()

    return Agent.from_callback(work, name="clerk", max_concurrency=1, durable=True)


async def test_who_can_wait_waits_for_a_slow_disk_and_who_cannot_is_refused(
    slow: SlowJournal, clerk: Agent[Any, str], seen: list[str]
) -> None:
    async with Life(slow, clerk, wall=slow.wall):
        first = await slow.stall(clerk)
        second, third = asyncio.ensure_future(clerk.submit("second")), asyncio.ensure_future(clerk.run("third"))
        await settle()
        with pytest.raises(JournalError, match="writes wait for the disk"):
            await clerk.durable.submit(clerk.request(("trigger",), {}), waits=False)  # type: ignore[union-attr] # pyright: ignore[reportOptionalMemberAccess]
        with pytest.raises(JournalError, match="writes wait for the disk"):
            await clerk.post("posted")
        assert [one.done() for one in (first, second, third)] == [False] * 3
        slow.release()
        assert (await (await second).answer()).content == "SECOND"
        assert (await third).content == "THIRD"
    assert seen == ["first", "second", "third"]


async def test_who_gives_up_while_the_disk_is_slow_leaves_nothing(
    slow: SlowJournal, clerk: Agent[Any, str], seen: list[str]
) -> None:
    async with Life(slow, clerk, wall=slow.wall):
        await slow.stall(clerk)
        late = asyncio.ensure_future(clerk.run("late", timeout=0))
        gone, last = (asyncio.ensure_future(clerk.submit(text)) for text in ("gone", "last"))
        await settle()
        gone.cancel()
        with pytest.raises(RunTimeoutError, match="'clerk'"):
            await late
        slow.release()
        await (await last).answer()
        assert gone.cancelled()
    assert seen == ["first", "last"]
    assert slow.statistics().accepted == 2


async def test_a_node_that_leaves_lets_no_caller_wait_for_its_disk(slow: SlowJournal, clerk: Agent[Any, str]) -> None:
    async with Life(slow, clerk, wall=slow.wall):
        await slow.stall(clerk)
        waiting = [asyncio.ensure_future(clerk.submit(text)) for text in ("second", "third")]
        await settle()
        assert clerk.durable is not None
        await clerk.durable.close(0)  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]
        for one in waiting:
            with pytest.raises(NodeStoppedError):
                await one


async def test_no_more_than_a_thousand_runs_wait_for_their_commit(
    slow: SlowJournal, clerk: Agent[Any, str], seen: list[str]
) -> None:
    count = MOST_WAITING + 300
    async with Life(slow, clerk, wall=slow.wall):
        slow.is_held = True
        submits = [asyncio.ensure_future(clerk.submit(f"{number}")) for number in range(count)]
        await settle()
        slow.release()
        tickets = await asyncio.gather(*submits)
        await tickets[-1].answer()
    assert seen == [f"{number}" for number in range(count)]
    assert slow.most <= MOST_WAITING + 1


async def test_the_capacity_counts_what_is_being_committed(slow: SlowJournal, clerk: Agent[Any, str]) -> None:
    async with Life(slow, clerk, wall=slow.wall):
        clerk.ref().actor_inbox.capacity = 2
        slow.is_held = True
        kept = [asyncio.ensure_future(clerk.submit(text, request_id="one")) for text in ("one", "again")]
        await settle()
        with pytest.raises(MailboxFullError):
            await clerk.submit("third")
        slow.release()
        assert [(await one).is_new for one in kept] == [True, False]
        await clerk.run("third")
