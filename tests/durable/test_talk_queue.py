"""What waits in a queued connection into a durable node is in the journal: a death neither loses nor doubles it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest
from msgspec.structs import replace

from actors.runtime.background_loop import current_system
from actors.talk.talk import Talk
from actors.testing.settle import settle
from protocols.control import DeadLetterReason
from protocols.errors import ConditionError
from protocols.journal import NotDurableError
from tests.durable.life import GatedJournal, Life
from tests.durable.test_connections import Pair

if TYPE_CHECKING:
    from actors.durable.durable_mailbox import DurableMailbox
    from actors.storage.journal_memory import MemoryJournal

pytestmark = pytest.mark.usefixtures("no_leaked_actors")

WAITING = "pool/target#talk"
STRATEGIES = ("latest", "concat", "buffer")


def queued(seen: list[str] | None = None, strategy: str = "buffer", **connection: Any) -> Pair:
    pair = Pair(seen, name="talk", queued=True, queue_strategy=strategy, **connection)
    talk_of(pair).registry = {}  # as in a pool
    return pair


def talk_of(pair: Pair) -> Talk:
    (talk,) = pair.source.connections
    return talk


def mailbox_of(pair: Pair) -> DurableMailbox:
    return cast("DurableMailbox", pair.target.durable)


async def fill(pair: Pair, *texts: str) -> None:
    for text in texts:
        await pair.source.run(text)
    await settle()
    pair.seen.clear()


def durable(pair: Pair, *, is_whole: bool) -> tuple[Any, ...]:
    """Return the nodes to make durable: both, or the target only."""
    return (pair.source, pair.target) if is_whole else (pair.target,)


def is_not_three(context: Any) -> bool:
    return bool(context.message.text != "THREE.")


@pytest.mark.parametrize("is_whole", [True, False])
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("passes", [None, is_not_three])
async def test_a_death_changes_nothing_of_what_a_trigger_delivers(
    journal: MemoryJournal, strategy: str, passes: Any, is_whole: bool
) -> None:
    def made() -> Pair:
        pair = queued(strategy=strategy, filter_condition=passes)
        talk_of(pair).transform(lambda message: message.text + ".")
        return pair

    before = made()
    async with before.source, before.target:
        await fill(before, "one", "two", "three")
        wanted = [answer.text for answer in await talk_of(before).trigger("Go.")]
    pair = made()
    async with Life(journal, *durable(pair, is_whole=is_whole)), pair.source:
        await fill(pair, "one", "two")
    pair = made()
    async with Life(journal, *durable(pair, is_whole=is_whole)), pair.source:
        await fill(pair, "three")
        answers = await talk_of(pair).trigger("Go.")
        assert await talk_of(pair).trigger() == []
    assert [answer.text for answer in answers] == wanted
    assert before.seen == pair.seen
    assert await journal.counts() == {}
    assert await journal.dead() == []


async def test_a_message_and_the_answer_that_causes_it_are_one_transaction() -> None:
    journal, pair = GatedJournal(), queued()
    await journal.open()
    async with Life(journal, pair.source, pair.target):
        journal.holds_settle = True
        await pair.source.submit("one")
        await settle()
        assert await journal.counts() == {"pool/source": 1}
    journal.holds_settle, journal.held = False, []
    pair = queued(pair.seen)
    async with Life(journal, pair.source, pair.target):
        while "pool/source" in await journal.counts():
            await settle()
        assert await journal.counts() == {WAITING: 1}
        await talk_of(pair).trigger()
    assert pair.seen == ["write one", "write one", "read ONE"]
    await journal.close()


async def test_a_death_during_a_trigger_leaves_each_message_waiting_or_released(journal: MemoryJournal) -> None:
    pair = queued()
    pair.gate = asyncio.Event()
    async with Life(journal, pair.target), pair.source:
        await fill(pair, "one", "two", "three")
        triggered = asyncio.ensure_future(talk_of(pair).trigger())
        while not pair.seen:
            await settle()
        assert await journal.counts() == {"pool/target": 1, WAITING: 2}
    with pytest.raises(Exception, match="kept"):
        await triggered
    pair = queued(pair.seen)
    async with Life(journal, pair.target), pair.source:
        while "pool/target" in await journal.counts():
            await settle()
        assert pair.seen == ["read ONE", "read ONE"]
        await talk_of(pair).trigger()
    assert pair.seen == ["read ONE", "read ONE", "read TWO", "read THREE"]


async def test_a_trigger_that_is_not_committed_has_released_nothing() -> None:
    journal, pair = GatedJournal(), queued(strategy="concat")
    await journal.open()
    async with Life(journal, pair.target), pair.source:
        await fill(pair, "one", "two")
        journal.holds_settle = True
        triggered = asyncio.ensure_future(talk_of(pair).trigger())
        await settle()
        assert (pair.seen, len(journal.held)) == ([], 1)
    triggered.cancel()
    journal.holds_settle, journal.held = False, []
    pair = queued(strategy="concat")
    async with Life(journal, pair.target):
        await talk_of(pair).trigger()
    assert pair.seen == ["read ONE\n\nTWO"]
    await journal.close()


async def test_what_waits_for_a_trigger_takes_no_place_and_holds_up_nothing(journal: MemoryJournal) -> None:
    pair = queued(capacity=450)
    async with Life(journal, pair.target) as life, pair.source:
        await fill(pair, *map(str, range(450)))
        window = life.windows[pair.target]
        assert (len(window.queue), window.queue.open) == (0, 0)
        assert mailbox_of(pair).open == 450
        await pair.target.complete_tasks()
        assert (await pair.target.run("now")).content == "now"
    pair = queued(capacity=450)
    async with Life(journal, pair.target) as life:
        assert (await pair.target.run("again")).content == "again"
        assert await talk_of(pair).trigger() != []
    assert pair.seen == ["read again", *(f"read {number}" for number in range(450))]


async def test_what_waits_when_the_connection_ends_waits_for_one_of_its_name(journal: MemoryJournal) -> None:
    pair = queued()
    async with Life(journal, pair.target), pair.source:
        await fill(pair, "one", "two")
        talk_of(pair).disconnect()
        await settle()
        assert await journal.counts() == {WAITING: 2}
        assert current_system().dead_letters.counts[DeadLetterReason.STOPPED] == 0
    pair = queued()
    async with Life(journal, pair.target):
        await talk_of(pair).trigger()
    assert pair.seen == ["read ONE", "read TWO"]


async def test_what_is_replayed_is_triggered_without_a_restart(journal: MemoryJournal) -> None:
    def passes(_: object) -> bool:
        raise ValueError("no")

    pair = queued(filter_condition=passes)
    async with Life(journal, pair.target), pair.source:
        await fill(pair, "one")
        with pytest.raises(ConditionError):
            await talk_of(pair).trigger()
        await fill(pair, "two")
        await journal.replay([one.entry.id for one in await journal.dead()])
        await talk_of(pair).when(None).trigger()
    assert pair.seen == ["read TWO", "read ONE"]


async def test_what_waits_for_a_connection_that_is_gone_can_be_given_to_a_node(journal: MemoryJournal) -> None:
    pair = queued()
    async with Life(journal, pair.target), pair.source:
        await fill(pair, "one", "two")
    await journal.move(WAITING, "pool/target")
    pair = queued()
    async with Life(journal, pair.target):
        await pair.target.complete_tasks()
    assert pair.seen == ["read ONE", "read TWO"]
    assert await journal.counts() == {}


@pytest.mark.parametrize("overflow", ["reject", "drop_newest", "drop_oldest"])
@pytest.mark.parametrize("before", [0, 1, 2])
async def test_the_capacity_counts_what_earlier_processes_have_left(
    journal: MemoryJournal, overflow: str, before: int
) -> None:
    texts = ("one", "two", "three", "four")
    pair = queued(capacity=2, overflow=overflow)
    async with Life(journal, pair.target), pair.source:
        await fill(pair, *texts[:before])
    pair = queued(capacity=2, overflow=overflow)
    async with Life(journal, pair.target), pair.source:
        await fill(pair, *texts[before:])
        assert await journal.counts() == {WAITING: 2}
        assert current_system().dead_letters.counts[DeadLetterReason.OVERFLOW] == 2
        assert talk_of(pair).stats.dropped == 2
        await talk_of(pair).trigger()
        assert await talk_of(pair).trigger() == []
    assert pair.seen == (["read THREE", "read FOUR"] if overflow == "drop_oldest" else ["read ONE", "read TWO"])
    assert len(await journal.dead()) == (2 if overflow == "drop_oldest" else 0)  # the others were never accepted


async def test_the_newest_message_alone_waits_whatever_earlier_processes_have_left(journal: MemoryJournal) -> None:
    for text in ("one", "two"):
        pair = queued(strategy="latest", capacity=1)
        async with Life(journal, pair.target), pair.source:
            await fill(pair, text, text)
            assert await journal.counts() == {WAITING: 1}
    async with Life(journal, pair.target):
        await talk_of(pair).trigger()
    assert pair.seen == ["read TWO"]
    assert await journal.counts() == {}
    assert await journal.dead() == []


async def test_taking_what_waits_takes_it_out_of_the_journal(journal: MemoryJournal) -> None:
    pair = queued()
    async with Life(journal, pair.target), pair.source:
        await fill(pair, "one", "two")
        assert [message.text for _, message, _ in await talk_of(pair).release()] == ["ONE", "TWO"]
        assert await journal.counts() == {}


async def test_a_trigger_that_is_refused_or_cancelled_leaves_all_waiting(journal: MemoryJournal) -> None:
    gate = asyncio.Event()

    async def passes(_: object) -> bool:
        await gate.wait()
        return True

    pair = queued(filter_condition=passes)
    async with Life(journal, pair.target), pair.source:
        await fill(pair, "one", "two")
        talk = talk_of(pair)
        triggered = asyncio.ensure_future(talk.trigger())
        await settle()
        triggered.cancel()
        await asyncio.gather(triggered, return_exceptions=True)
        gate.set()
        with pytest.raises(NotDurableError, match="deps"):
            await talk.trigger(deps=object())
        assert await journal.counts() == {WAITING: 2}
        assert current_system().dead_letters.counts[DeadLetterReason.FAILED] == 0
        await talk.trigger(durable=False)
        assert await journal.counts() == {}
    assert pair.seen == ["read ONE", "read TWO"]


async def test_a_message_that_cannot_be_kept_is_a_dead_letter_and_no_other_is_lost(journal: MemoryJournal) -> None:
    pair = queued()
    async with Life(journal, pair.target), pair.source:
        await fill(pair, "x" * 2_000_000, "two")
        assert current_system().dead_letters.counts[DeadLetterReason.FAILED] == 1
        await talk_of(pair).trigger()
    assert pair.seen == ["read TWO"]


async def test_a_damaged_row_is_a_dead_letter_and_the_others_are_triggered(journal: MemoryJournal) -> None:
    pair = queued()
    async with Life(journal, pair.target), pair.source:
        await fill(pair, "one", "two")
        first, second = await journal.waiting(WAITING, 0, 10)
    other = type(journal)()
    await other.open()
    await other.accept([replace(first, payload=b"?"), second])
    pair = queued()
    async with Life(other, pair.target):
        await talk_of(pair).trigger()
    assert pair.seen == ["read TWO"]
    assert [one.reason for one in await other.dead()] == ["undecodable"]
    await other.close()


async def test_a_connection_outside_of_pools_keeps_its_messages_in_memory(journal: MemoryJournal) -> None:
    pair = queued()
    talk_of(pair).registry = None
    async with Life(journal, pair.target), pair.source:
        await fill(pair, "one")
        assert await journal.counts() == {}
        talk_of(pair).registry = {}
        await fill(pair, "two")
        await talk_of(pair).trigger()
    assert pair.seen == ["read ONE", "read TWO"]


async def test_each_durable_target_has_a_message_of_its_own(journal: MemoryJournal) -> None:
    pair, other = Pair(), Pair()
    for talk in (*pair.source.connections, *other.source.connections):
        talk.disconnect()
    other.target.name = "other"
    changed: list[str] = []
    talk = Talk(pair.source, [pair.target, other.target], name="talk", queued=True, queue_strategy="buffer")

    def change(message: Any) -> str:
        changed.append(message.text)
        return str(message.text)

    talk.transform(change)
    talk.registry = {}
    pair.source.connections.attach(talk)
    async with Life(journal, pair.target, other.target), pair.source:
        await fill(pair, "one")
        assert await journal.counts() == {WAITING: 1, "pool/other#talk": 1}
        await talk.trigger()
    assert (changed, pair.seen, other.seen) == (["ONE", "ONE"], ["read ONE"], ["read ONE"])


@pytest.mark.parametrize("kind", ["context", "forward"])
async def test_other_kinds_of_connection_wait_as_well(journal: MemoryJournal, kind: str) -> None:
    def made() -> tuple[Pair, Pair]:
        pair, last = queued(connection_type=kind), Pair()
        pair.target.connect_to(last.target, name="on")
        last.target.name = "last"
        return pair, last

    pair, last = made()
    async with Life(journal, pair.target, last.target), pair.source:
        await fill(pair, "one")
    pair, last = made()
    async with Life(journal, pair.target, last.target):
        assert await talk_of(pair).trigger() == []
        await settle()
        await pair.target.run("now")
        await last.target.complete_tasks()
    (*first, text) = last.seen
    assert first == ([] if kind == "context" else ["read ONE"])
    assert ("[Context from source" in text) is (kind == "context")
    assert text.endswith("now")
    assert await journal.counts() == {}
