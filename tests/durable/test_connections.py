"""What a durable node passes on follows from its answer in one transaction: neither lost nor doubled by a death."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from actors.agents.agent import Agent
from actors.supervision.child import ChildSpec
from actors.supervision.supervisor import Supervisor
from actors.testing.settle import settle
from protocols.journal import JournalFencedError
from tests.durable.life import GatedJournal, Life, Wall

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.system import ActorSystem
    from actors.storage.journal_memory import MemoryJournal
    from actors.testing.clock import ManualClock

pytestmark = pytest.mark.usefixtures("no_leaked_actors")


class Pair:
    """A durable node that passes its answers on to another one."""

    def __init__(self, seen: list[str] | None = None, **connection: Any) -> None:
        self.seen = [] if seen is None else seen
        self.gate: asyncio.Event | None = None
        self.before_answer: Callable[[], object] = lambda: None
        self.source = Agent.from_callback(self.write, name="source", max_concurrency=1)
        self.target = Agent.from_callback(self.read, name="target", max_concurrency=1)
        self.source.connect_to(self.target, **connection)

    @property
    def both(self) -> tuple[Any, Any]:
        return self.source, self.target

    async def write(self, prompt: str) -> str:
        self.seen.append(f"write {prompt}")
        self.before_answer()
        return prompt.upper()

    async def read(self, prompt: str) -> str:
        self.seen.append(f"read {prompt}")
        if self.gate is not None:
            await self.gate.wait()
        return prompt


async def test_an_answer_and_what_it_causes_are_one_transaction(journal: MemoryJournal) -> None:
    pair = Pair()
    pair.gate = asyncio.Event()
    async with Life(journal, pair.source, pair.target):
        await (await pair.source.submit("one")).answer()
        assert await journal.counts() == {"pool/target": 1}
        assert journal.statistics().settled == 1
    pair = Pair(pair.seen)
    async with Life(journal, pair.source, pair.target):
        while await journal.counts():
            await settle()
    assert pair.seen == ["write one", "read ONE", "read ONE"]


async def test_a_death_before_the_acknowledgement_passes_nothing_on_twice() -> None:
    journal, pair = GatedJournal(), Pair()
    await journal.open()
    async with Life(journal, pair.source, pair.target):
        journal.holds_settle = True
        await pair.source.submit("one")
        await settle()
        assert pair.seen == ["write one"]
    journal.holds_settle, journal.held = False, []
    pair = Pair(pair.seen)
    async with Life(journal, pair.source, pair.target):
        while await journal.counts():
            await settle()
    assert pair.seen == ["write one", "write one", "read ONE"]
    await journal.close()


@pytest.mark.parametrize("is_target_durable", [True, False])
async def test_what_a_refused_acknowledgement_would_pass_on_is_no_dead_letter(
    journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch, *, is_target_durable: bool
) -> None:
    def fence(*_: object) -> None:
        raise JournalFencedError("was taken over")

    pair = Pair()
    pair.before_answer = lambda: monkeypatch.setattr(journal, "_seal", fence)
    async with Life(journal, *(pair.both if is_target_durable else (pair.source,))):
        ticket = await pair.source.submit("one")
        with pytest.raises(JournalFencedError):
            await ticket.answer()
        await settle()
        letters = list(pair.source.ref().system.dead_letters)
        monkeypatch.undo()
    assert letters == []  # the run is kept, and passes its answer on when it is delivered again
    assert await journal.counts() == {"pool/source": 1}


async def test_a_node_in_memory_gets_the_answer_after_the_commit() -> None:
    journal, pair = GatedJournal(), Pair()
    await journal.open()
    async with pair.target, Life(journal, pair.source):
        journal.holds_settle = True
        run = asyncio.ensure_future(pair.source.run("one", wait_for_connections=True))
        await settle()
        assert pair.seen == ["write one"]
        await journal.release()
        assert (await run).content == "ONE"
        assert pair.seen == ["write one", "read ONE"]
    await journal.close()


async def test_a_caller_waits_for_what_durable_nodes_do_with_its_answer(journal: MemoryJournal) -> None:
    pair = Pair()
    async with Life(journal, pair.source, pair.target):
        await pair.source.run("one", wait_for_connections=True)
        assert pair.seen == ["write one", "read ONE"]
    assert await journal.counts() == {}


async def test_finished_parts_of_a_chain_are_not_run_again(journal: MemoryJournal) -> None:
    seen: list[str] = []
    gate = asyncio.Event()

    def first(prompt: str) -> str:
        seen.append("first")
        return f"{prompt} 1"

    async def second(prompt: str) -> str:
        seen.append("second")
        await gate.wait()
        return f"{prompt} 2"

    def chain() -> Any:
        made = Agent.from_callback(first, name="first") | Agent.from_callback(second, name="second")
        made.name = "chain"
        return made

    async with Life(journal, node := chain()):
        await node.submit("go", request_id="go")
        await settle()
    gate.set()
    async with Life(journal, node := chain()):
        answer = await (await node.submit("go", request_id="go")).answer()
    assert answer.content == "go 1 2"
    assert seen == ["first", "second", "second"]


async def test_finished_members_of_a_team_are_not_run_again(journal: MemoryJournal) -> None:
    seen: list[str] = []
    gate = asyncio.Event()

    def quick(prompt: str) -> str:
        seen.append("quick")
        return "quick"

    async def slow(prompt: str) -> str:
        seen.append("slow")
        await gate.wait()
        return "slow"

    def team() -> Any:
        made = Agent.from_callback(quick, name="quick") & Agent.from_callback(slow, name="slow")
        made.name = "team"
        return made

    async with Life(journal, node := team()):
        await node.submit("go", request_id="go")
        await settle()
    gate.set()
    async with Life(journal, node := team()):
        answer = await (await node.submit("go", request_id="go")).answer()
    assert [one.content for one in answer.associated_messages] == ["quick", "slow"]
    assert seen == ["quick", "slow", "slow"]


async def test_asynchronous_filters_are_asked_before_the_acknowledgement(journal: MemoryJournal) -> None:
    gate = asyncio.Event()

    async def passes(_: object) -> bool:
        await gate.wait()
        return True

    pair = Pair(filter_condition=passes)
    pair.gate = asyncio.Event()
    async with Life(journal, pair.source, pair.target):
        ticket = await pair.source.submit("one")
        await settle()
        assert await journal.counts() == {"pool/source": 1}
        gate.set()
        await ticket.answer()
        assert await journal.counts() == {"pool/target": 1}


async def test_what_a_connection_delays_is_kept_with_its_time(journal: MemoryJournal) -> None:
    pair, wall = Pair(delay=60.0), Wall()
    async with Life(journal, pair.source, pair.target, wall=wall):
        await pair.source.run("one")
        await settle()
    (entry,) = await journal.waiting("pool/target", 0, 10)
    assert entry.due == wall.time + 60.0
    wall.time += 60.0
    pair = Pair(pair.seen)
    async with Life(journal, pair.source, pair.target, wall=wall):
        while await journal.counts():
            await settle()
    assert pair.seen == ["write one", "read ONE"]


async def test_many_delayed_messages_hold_up_no_other_one(journal: MemoryJournal) -> None:
    pair, wall = Pair(delay=60.0), Wall()
    async with Life(journal, pair.source, pair.target, wall=wall) as life:
        for number in range(450):
            await pair.source.run(str(number))
        pair.seen.clear()
        assert (await pair.target.run("now")).content == "now"
        window = life.windows[pair.target]
        assert len(window.queue) <= 200
    pair = Pair(pair.seen, delay=60.0)
    async with Life(journal, pair.source, pair.target, wall=wall) as life:
        assert (await pair.target.run("again")).content == "again"
        wall.time += 60.0
        life.windows[pair.target].look()
        while await journal.counts():
            await settle()
    assert pair.seen == ["read now", "read again", *(f"read {number}" for number in range(450))]


@pytest.mark.parametrize("is_durable", [True, False])
@pytest.mark.parametrize("kind", ["context", "forward"])
async def test_a_delay_holds_for_a_target_that_does_not_run_as_well(
    journal: MemoryJournal, manual_clock: ManualClock, actor_system: ActorSystem, kind: str, is_durable: bool
) -> None:
    pair, last = Pair(connection_type=kind, delay=60.0), Pair()
    last.target.name = "last"
    pair.target.connect_to(last.target, delay=60.0)
    nodes = [ChildSpec(node.factory(), name=node.name) for node in (pair.source, pair.target, last.target)]
    await actor_system.start(Supervisor, (nodes,)).ready()
    async with Life(journal, pair.source):
        await (pair.source.submit("one") if is_durable else pair.source.run("one", durable=False))
        await manual_clock.advance(59.0)
        await pair.target.run("early")
        await manual_clock.advance(60.0)
        await pair.target.run("late")
        await manual_clock.advance(60.0)
    early, late = [text for text in pair.seen if text.startswith("read")]
    assert early == "read early"
    assert ("[Context from source" in late) is (kind == "context")
    assert [text.split()[-1] for text in last.seen] == (
        ["early", "late"] if kind == "context" else ["early", "ONE", "late"]
    )
