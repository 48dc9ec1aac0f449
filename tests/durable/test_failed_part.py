"""A part that has failed in a kept run is not run again after a death: the run gets the same failure."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from pydantic_ai import ModelRetry

from actors.agents.agent import Agent
from actors.testing.settle import settle
from protocols.durable import Durable
from protocols.errors import MemberError, NodeStoppedError, RunCancelledError
from tests.durable.life import Life, Wall

if TYPE_CHECKING:
    from actors.storage.journal_memory import MemoryJournal

pytestmark = pytest.mark.usefixtures("no_leaked_actors")


class Crew:
    """A team of which one member fails and the other one can be held."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.seen: list[str] = []
        self.gate = asyncio.Event()

    def weak(self, prompt: str) -> str:
        self.seen.append("weak")
        if self.failures:
            raise self.failures.pop(0)
        return prompt

    async def slow(self, prompt: str) -> str:
        self.seen.append("slow")
        await self.gate.wait()
        return prompt

    def team(self, **options: Any) -> Any:
        made = Agent.from_callback(self.weak, name="weak") & Agent.from_callback(self.slow, name="slow")
        made.name = "team"
        return made


@pytest.mark.parametrize(
    ("failure", "seen", "text"),
    [
        (ValueError("no luck"), ["weak", "slow", "slow"], "ValueError: no luck"),
        (ValueError("\ud800"), ["weak", "slow", "slow"], "ValueError: ?"),
        (MemberError.of("inner", {"a": OSError("gone")}), ["weak", "slow", "slow"], "MemberError: team 'inner'"),
        (NodeStoppedError("stopped"), ["weak", "slow", "weak", "slow"], ""),
        (MemberError.of("inner", {"a": RunCancelledError("x")}), ["weak", "slow", "weak", "slow"], ""),
        (ModelRetry("once more"), ["weak", "slow", "weak", "slow"], ""),
    ],
)
async def test_a_failed_member_is_asked_again_only_if_a_stop_or_a_model_would_have_it_so(
    journal: MemoryJournal, failure: Exception, seen: list[str], text: str
) -> None:
    crew = Crew(failure)
    async with Life(journal, node := crew.team()):
        await node.submit("go", request_id="go")
        await settle()
    crew.gate.set()
    async with Life(journal, node := crew.team()):
        failed: list[Exception] = []
        node.members()[0].run_failed.connect(failed.append)
        answer = await (await node.submit("go", request_id="go")).answer()
    told = answer.metadata.get("errors", {})
    assert crew.seen == seen
    assert [text in one for one in told.values()] == ([True] if text else [])
    assert failed == []


async def test_a_failed_stage_fails_its_chain_again_and_a_retry_runs_it_anew(journal: MemoryJournal) -> None:
    crew, wall = Crew(ValueError("no luck"), ValueError("no luck")), Wall()
    settings = Durable(retries=2, backoff=5.0)

    def chain() -> Any:
        made = Agent.from_callback(crew.weak, name="weak") | Agent.from_callback(crew.slow, name="slow")
        made.name = "chain"
        return made

    crew.gate.set()
    async with Life(journal, node := chain(), settings=settings, wall=wall) as life:
        ticket = await node.submit("go", request_id="go")
        await settle()
        for _ in range(2):
            wall.time += 10
            life.windows[node].look()
            await settle()
        assert (await ticket.answer()).content == "go"
    assert crew.seen == ["weak", "weak", "weak", "slow"]


async def test_a_replayed_run_runs_its_failed_part_anew(journal: MemoryJournal) -> None:
    crew = Crew(ValueError("no luck"))

    def chain() -> Any:
        made = Agent.from_callback(crew.weak, name="weak") | Agent.from_callback(crew.slow, name="slow")
        made.name = "chain"
        return made

    crew.gate.set()
    async with Life(journal, node := chain()) as life:
        await node.submit("go")
        await settle()
        (letter,) = await journal.dead()
        await journal.replay([letter.entry.id])
        life.windows[node].look()
        await settle()
    assert crew.seen == ["weak", "weak", "slow"]
    assert await journal.counts() == {}


async def test_a_worker_that_failed_is_not_called_again(journal: MemoryJournal) -> None:
    seen: list[str] = []
    gate = asyncio.Event()

    def boss() -> tuple[Agent[Any, Any], Agent[Any, Any]]:
        def work(_: str) -> str:
            seen.append("worker")
            error = OSError("the pipe burst")
            raise error from error

        worker = Agent.from_callback(work, name="worker")

        async def ask(prompt: str) -> str:
            try:
                return (await worker.run(prompt)).content
            except Exception as error:
                seen.append(f"{type(error).__name__}: {error}")
                await gate.wait()
                return "done without"

        return Agent.from_callback(ask, name="boss"), worker

    node, worker = boss()
    async with worker, Life(journal, node):
        await node.submit("go", request_id="go")
        await settle()
    gate.set()
    node, worker = boss()
    async with worker, Life(journal, node):
        answer = await (await node.submit("go", request_id="go")).answer()
    assert answer.content == "done without"
    assert seen == ["worker", "OSError: the pipe burst", "RunError: node 'worker': OSError: the pipe burst"]
