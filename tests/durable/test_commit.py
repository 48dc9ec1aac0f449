"""A commit tells all who wait for it, and a kept run leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pytest

from actors.agents.agent import Agent
from actors.testing.settle import settle
from protocols.journal import Commit, JournalFullError
from tests.durable.life import Life

if TYPE_CHECKING:
    from actors.storage.journal_memory import MemoryJournal

pytestmark = pytest.mark.usefixtures("no_leaked_actors")


def _upper(prompt: str) -> str:
    return prompt.upper()


async def test_a_caller_of_a_commit_may_be_cancelled_and_the_others_are_told() -> None:
    commit: Commit[int] = Commit()
    told: list[int] = []
    commit.then(lambda done: told.append(done.result()))
    callers = [asyncio.create_task(commit.wait()) for _ in range(3)]
    await settle()
    callers[0].cancel()
    await settle()
    assert callers[0].cancelled()
    commit.finish(7)
    assert await asyncio.gather(*callers[1:], commit.wait(), commit) == [7, 7, 7, 7]
    assert told == [7]


async def test_all_callers_of_a_commit_are_told_that_it_failed() -> None:
    commit: Commit[int] = Commit()
    callers = [asyncio.create_task(commit.wait()) for _ in range(2)]
    await settle()
    commit.finish(JournalFullError("is full"))
    for caller in (*callers, commit.wait()):
        with pytest.raises(JournalFullError, match="is full"):
            await caller


async def test_kept_runs_leave_nothing_for_the_garbage_collector(journal: MemoryJournal) -> None:
    async with Life(journal, node := Agent.from_callback(_upper, name="clerk")):
        await node.run("first")
        gc.collect()
        gc.disable()
        try:
            for number in range(5):
                await node.run(str(number))
                await (await node.submit(str(number))).answer()
            await settle()
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            left = [one for one in gc.garbage if type(one).__module__.startswith("actors.durable")]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
    assert left == []
