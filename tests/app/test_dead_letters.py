"""Dead letters of a pool are shown with what the message was, and their messages are told again, once each time."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar, copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from actors import ActorJournal, ActorSystem, AsyncioActor, Durable, Reject, carry
from actors.agents.agent import Agent
from actors.app import AgentPool
from actors.app.dead_letters import DeadLetterError, DeadLetterRow, read_dead_letters, replay_dead_letter
from actors.app.journal_service import JournalService
from actors.config.load import parse_manifest
from actors.runtime.errors import ActorStoppingError
from actors.testing.settle import settle
from actors.triggers.trigger import QueuedEvent
from protocols.ids import RunId
from protocols.triggers import WebhookReceived
from tests.app.test_trigger_service import EVENT, TIMERS, Answers, trigger_of
from tests.durable.conftest import journal as journal
from tests.durable.ledger import Charge
from tests.durable.life import Mortal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from actors.runtime.ref import ActorRef
    from actors.storage.journal_memory import MemoryJournal

tenant = carry(ContextVar("tenant", default=""))


class Clerk(AsyncioActor):
    """Keeps what it is told, and for whom."""

    seen: list[tuple[Any, str]]

    def on_receive(self, message: Any) -> None:
        self.seen.append((message, tenant.get()))


@pytest.fixture
async def pool(actor_system: ActorSystem) -> AsyncIterator[AgentPool[Any]]:
    Clerk.seen = []
    pool = AgentPool[Any](system=actor_system)
    async with pool:
        yield pool


async def rows(pool: AgentPool[Any]) -> list[DeadLetterRow]:
    return list(await read_dead_letters(pool))


async def lost(ref: ActorRef[Any], *messages: Any) -> None:
    await ref.stop()
    for message in messages:
        with pytest.raises(ActorStoppingError):
            ref.tell(message)


async def test_a_message_is_told_again_to_the_actor_of_its_name_with_what_it_carried(
    pool: AgentPool[Any], actor_system: ActorSystem
) -> None:
    first = actor_system.start(Clerk, name="clerk")
    await first.stop()

    def send() -> None:
        tenant.set("acme")
        with pytest.raises(ActorStoppingError):
            first.tell("order 17")

    copy_context().run(send)
    (row,) = await rows(pool)
    assert (row.target, row.sender, row.message_type, row.reason) == ("clerk", "", "str", "dead")
    assert (row.text, row.can_replay, row.replays) == ("order 17", True, 0)
    with pytest.raises(DeadLetterError, match=f"dead letter {row.id} for 'clerk': no actor of that name lives now"):
        await replay_dead_letter(pool, row.id)

    actor_system.start(Clerk, name="clerk")
    for replays in (1, 2):
        await replay_dead_letter(pool, row.id)
        await settle()
        assert Clerk.seen == [("order 17", "acme")] * replays
        assert [one.replays for one in await rows(pool)] == [replays]
    assert tenant.get() == ""


async def test_what_cannot_be_told_again_says_why(pool: AgentPool[Any], actor_system: ActorSystem) -> None:
    await lost(actor_system.start(Clerk), "small", bytes(2**21))
    small, large = await rows(pool)
    assert (large.message_type, large.can_replay, large.text) == ("bytes", False, "")

    for id, why in ((large.id, "too large to be kept"), ("99", "is unknown"), ("x" * 32, "is unknown")):
        with pytest.raises(DeadLetterError, match=why):
            await replay_dead_letter(pool, id)
    for _ in range(2):
        actor_system.start(Clerk)
    with pytest.raises(DeadLetterError, match="2 actors have that name"):
        await replay_dead_letter(pool, small.id)
    assert Clerk.seen == []


@pytest.mark.parametrize("text", ["x" * 5_000, "\u00e4" * 5_000, "\ud800" * 5_000, "<script>\x00\u202e"])
async def test_the_text_is_at_most_a_thousand_bytes(text: str, pool: AgentPool[Any], actor_system: ActorSystem) -> None:
    class Broken:
        def __repr__(self) -> str:
            raise OSError

    await lost(actor_system.start(Clerk), text, [text], Broken())

    assert all(len(row.text.encode()) <= 1_000 and row.text for row in await rows(pool))


@pytest.mark.parametrize("queued", [True, False])
async def test_the_text_of_an_event_is_its_prompt(
    pool: AgentPool[Any], actor_system: ActorSystem, queued: bool
) -> None:
    event = WebhookReceived(source="orders", time=0.0, path="/w", payload={"order": 17})
    await lost(actor_system.start(Clerk), QueuedEvent(event, RunId("r")) if queued else event)

    assert [row.text for row in await rows(pool)] == ['{\n  "order": 17\n}']


async def test_a_run_that_never_began_runs_for_the_same_node(pool: AgentPool[Any]) -> None:
    gate, seen = asyncio.Event(), list[tuple[str, str]]()

    async def work(prompt: str) -> str:
        seen.append((prompt, tenant.get()))
        await gate.wait()
        return prompt

    await pool.add_node(Agent.from_callback(work, name="clerk", max_concurrency=1))
    first = asyncio.ensure_future(pool["clerk"].run("one"))
    await settle()
    token = tenant.set("acme")
    second = asyncio.ensure_future(pool["clerk"].run("two", "three", conversation_id="talk"))
    tenant.reset(token)
    await settle()
    second.cancel()
    gate.set()
    await asyncio.gather(first, second, return_exceptions=True)
    await settle()

    (row,) = await rows(pool)
    assert (row.target, row.message_type, row.reason, row.text) == ("clerk", "RunRequest", "cancelled", "two three")
    await replay_dead_letter(pool, row.id)
    await settle()
    assert [one for one, _ in seen][:1] == ["one"]
    assert seen[1:] == [(seen[1][0], "acme")]
    assert "two" in seen[1][0]


async def test_a_message_that_a_connection_lost_runs_at_its_target(
    pool: AgentPool[Any], actor_system: ActorSystem
) -> None:
    seen: list[str] = []
    for name, function in (("source", str.upper), ("target", seen.append)):
        await pool.add_node(Agent.from_callback(function, name=name))
    answer = await pool["source"].run("order")
    actor_system.dead_letters.record(answer, pool["target"], "hops", sender="source")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]

    (row,) = await rows(pool)
    assert (row.sender, row.text) == ("source", "ORDER")
    await replay_dead_letter(pool, row.id)
    await settle()
    assert seen == ["ORDER"]


async def test_an_event_of_a_trigger_starts_its_run_again() -> None:
    async with AgentPool[Any](parse_manifest(TIMERS)) as pool:
        answers = Answers(pool)
        trigger_of(pool, "quick/tock").discard(EVENT)
        (row,) = await rows(pool)
        await replay_dead_letter(pool, row.id)
        assert (await answers.next()).node == "quick"


async def test_what_a_durable_actor_could_not_handle_is_accepted_anew(journal: MemoryJournal) -> None:
    async with ActorSystem("orders", journal=ActorJournal(journal)) as system:
        failures, seen = [Reject("no money")], list[Any]()

        class Clerk(AsyncioActor):
            durable = Durable(Charge)

            def on_receive(self, message: Charge) -> None:
                if failures:
                    raise failures.pop()
                seen.append(message)

        async with AgentPool[Any](system=system) as pool:
            ref = system.start(Clerk, name="clerk")
            await ref.send(Charge(5))
            while not system.dead_letters.total:
                await settle()
            (row,) = await rows(pool)
            assert (row.target, row.reason, row.can_replay) == ("clerk", "failed", True)
            await replay_dead_letter(pool, row.id)
            while not seen:
                await settle()
            await ref.stop()
            with pytest.raises(ActorStoppingError):
                await ref.send(Charge(6))
            ref = system.start(Clerk, name="clerk")
            await replay_dead_letter(pool, [*await rows(pool)][-1].id)
            await ref.ask(Charge(7))
    assert seen == [Charge(5), Charge(6), Charge(7)]
    assert journal.statistics().settled == 4


class Lasting(Mortal):
    """A journal that outlives the pools that close it."""

    async def open(self) -> None:
        """It is open."""

    async def close(self) -> None:
        """It stays open."""


async def test_what_a_durable_node_could_not_handle_is_shown_once_and_is_open_again(
    actor_system: ActorSystem, journal: MemoryJournal
) -> None:
    failures, seen = [OSError("the disk is full")], list[str]()

    def work(prompt: str) -> str:
        seen.append(prompt)
        if failures:
            raise failures.pop()
        return prompt

    def kept(_: object) -> Any:
        return Lasting(journal)

    pool = AgentPool[Any](system=actor_system, services=[partial(JournalService, make=kept)])
    await pool.add_node(Agent.from_callback(work, name="clerk", durable=True))
    async with pool:
        await pool["clerk"].submit("order 17")
        while not await journal.dead():
            await settle()
        await settle()
        (row,) = await rows(pool)
        assert (row.target, row.reason, row.text, row.can_replay) == ("clerk", "failed", "order 17", True)
        assert "the disk is full" in row.error
        await replay_dead_letter(pool, row.id)
        while await journal.counts():
            await settle()
        assert (seen, await rows(pool)) == (["order 17"] * 2, [])
        with pytest.raises(DeadLetterError, match="has been told again"):
            await replay_dead_letter(pool, row.id)
