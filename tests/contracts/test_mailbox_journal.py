"""What every journal of accepted messages does: each sentence of `protocols/journal.py`, over all kinds."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from protocols.journal import Acknowledgement, Entry, JournalError, Outcome
from tests.contracts.journal_kinds import BAD, CLERK, START, accept, dead, entry, handled, id_of, numbers, waiting

if TYPE_CHECKING:
    from protocols.journal import MailboxJournal

UNKNOWN = handled(404)


# ----------------------------------------------------------------------------------------------- accept


async def test_a_message_comes_back_with_all_its_fields_and_its_place(journal: MailboxJournal) -> None:
    full = entry(1, due=5.5, expires=math.inf, attempts=2, payload=bytes(range(256)), kind="context1", sender="")
    bare = Entry(b"x", CLERK, "a\0b", "", b"", 1)
    first, second = await journal.accept([full, bare])
    assert first is not None
    assert second is not None
    assert await journal.waiting(CLERK, 0, 10) == [replace(full, seq=first), replace(bare, seq=second)]


async def test_messages_wait_in_the_order_of_their_acceptance(journal: MailboxJournal) -> None:
    both = [await journal.accept([entry(5), entry(3)]), await journal.accept([entry(4, "pool/other"), entry(1)])]
    places = [place for places in both for place in places if place is not None]
    assert places == sorted(set(places))
    assert await waiting(journal) == [5, 3, 1]
    assert await waiting(journal, "pool/other") == [4]
    assert await waiting(journal, "pool") == []


async def test_what_waits_is_read_in_pages(journal: MailboxJournal) -> None:
    places = await accept(journal, 1, 2, 3, 4)
    assert numbers(await journal.waiting(CLERK, 0, 2)) == [1, 2]
    assert numbers(await journal.waiting(CLERK, places[1], 2)) == [3, 4]
    assert await journal.waiting(CLERK, places[3], 2) == []


async def test_an_id_is_accepted_once_also_after_its_end_and_within_one_call(journal: MailboxJournal) -> None:
    await accept(journal, 1, 2)
    await journal.settle(handled(1, reply=b"yes"))
    places = await journal.accept([entry(1), entry(3), entry(2, payload=b"other"), entry(3)])
    assert [place is None for place in places] == [True, False, True, True]
    assert await waiting(journal) == [2, 3]
    assert (await journal.waiting(CLERK, 0, 1))[0].payload == b"message 2"
    assert journal.statistics().duplicates == 3


async def test_accepting_nothing_does_nothing(journal: MailboxJournal) -> None:
    assert await journal.accept([]) == []
    assert journal.statistics().open == 0


async def test_all_messages_of_a_call_are_kept_or_none(journal: MailboxJournal) -> None:
    with pytest.raises(JournalError):
        await journal.accept([entry(1), entry(2, sender=BAD)])
    assert await journal.find(id_of(1)) is None
    assert journal.statistics().accepted == 0
    assert len(await accept(journal, 1)) == 1


async def test_a_message_that_cannot_be_kept_refuses_no_other_of_its_group(journal: MailboxJournal) -> None:
    await accept(journal, 1)
    given = [
        journal.accept([entry(2)]),
        journal.accept([entry(3, sender=BAD)]),
        journal.settle(handled(1, outbox=(entry(4),))),
        journal.settle(dead(2, error=BAD)),
        journal.accept([entry(5)]),
    ]
    results = await asyncio.gather(*given, return_exceptions=True)
    assert [isinstance(result, JournalError) for result in results] == [False, True, False, True, False]
    assert await waiting(journal) == [2, 4, 5]
    numbers_now = journal.statistics()
    assert (numbers_now.open, numbers_now.accepted, numbers_now.settled, numbers_now.dead) == (3, 4, 1, 0)


async def test_what_the_caller_changes_after_the_call_is_not_accepted(journal: MailboxJournal) -> None:
    given = [entry(1)]
    future = journal.accept(given)
    given.append(entry(2))
    assert len(await future) == 1
    assert await waiting(journal) == [1]


# ---------------------------------------------------------------------------------------------- futures


async def test_a_write_is_done_after_its_commit_and_not_at_once(journal: MailboxJournal) -> None:
    future = journal.accept([entry(1)])
    assert not future.done()
    seen: list[int] = []
    future.add_done_callback(lambda _: seen.append(journal.statistics().open))
    await future
    assert seen == [1]
    assert await waiting(journal) == [1]


async def test_callbacks_are_called_in_the_order_of_the_calls(journal: MailboxJournal) -> None:
    seen: list[int] = []
    futures: list[asyncio.Future[Any]] = []

    def write(future: asyncio.Future[Any]) -> None:
        place = len(futures)
        future.add_done_callback(lambda _: seen.append(place))
        futures.append(future)

    for number in range(300):
        write(journal.accept([entry(number)]))
        write(journal.begin(id_of(number)))
        write(journal.keep_step(id_of(number), "model/1", b"d", b"p"))
        write(journal.settle(handled(number)))
    await futures[0]
    write(journal.accept([entry(0)]))
    write(journal.postpone(id_of(0), 1.0, ""))
    write(journal.replay([]))
    write(journal.discard([]))
    write(journal.forget("none"))
    await asyncio.wait(futures)
    assert seen == list(range(1_205))


async def test_a_cancelled_caller_takes_no_message_back_and_its_callbacks_are_called(journal: MailboxJournal) -> None:
    seen: list[list[int | None]] = []

    async def caller() -> None:
        future = journal.accept([entry(1)])
        future.add_done_callback(lambda done: seen.append(done.result()))
        await future

    task = asyncio.create_task(caller())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    await journal.accept([])
    assert [len(places) for places in seen] == [1]
    assert await waiting(journal) == [1]


# ----------------------------------------------------------------------------------------------- settle


async def test_a_settled_message_waits_no_more_and_its_outcome_is_found(journal: MailboxJournal) -> None:
    await accept(journal, 1, 2, 3)
    assert await journal.find(id_of(1)) == Outcome(CLERK, START + 1)
    assert await journal.settle(handled(1, reply=b"42")) == []
    assert await journal.settle(Acknowledgement(id_of(2), "failed", error="ValueError: no")) == []
    assert await waiting(journal) == [3]
    assert await journal.find(id_of(1)) == Outcome(CLERK, START + 1, "handled", b"42")
    assert await journal.find(id_of(2)) == Outcome(CLERK, START + 2, "failed", error="ValueError: no")
    assert await journal.find(id_of(4)) is None
    assert await journal.dead() == []


async def test_settling_again_or_settling_what_is_not_known_changes_nothing(journal: MailboxJournal) -> None:
    await accept(journal, 1)
    await journal.settle(handled(1, reply=b"first"))
    again = dead(1, reply=b"second", outbox=(entry(2),), memory=((CLERK, b"m"),))
    assert await journal.settle(again) == [None]
    assert await journal.settle(replace(UNKNOWN, outbox=(entry(2), entry(3)), is_dead=True)) == [None, None]
    assert await journal.find(id_of(1)) == Outcome(CLERK, START + 1, "handled", b"first")
    assert (await journal.counts(), await journal.dead(), await journal.memory(CLERK, 9)) == ({}, [], [])


async def test_writes_that_are_committed_together_count_in_the_order_of_the_calls(journal: MailboxJournal) -> None:
    await accept(journal, 1)
    await asyncio.gather(
        journal.settle(handled(2)),
        journal.accept([entry(2)]),
        journal.settle(handled(1, reply=b"first")),
        journal.settle(handled(1, reply=b"second")),
    )
    assert await waiting(journal) == [2]
    assert await journal.find(id_of(1)) == Outcome(CLERK, START + 1, "handled", b"first")


async def test_the_outbox_is_kept_in_the_transaction_of_the_acknowledgement(journal: MailboxJournal) -> None:
    await accept(journal, 1, 2)
    outbox = (entry(2), entry(3, "pool/next"), entry(4, "pool/next", due=7.0))
    known, first, second = await journal.settle(handled(1, outbox=outbox))
    assert known is None
    assert [one.seq for one in await journal.waiting("pool/next", 0, 9)] == [first, second]
    with pytest.raises(JournalError):
        await journal.settle(handled(2, outbox=(entry(5), entry(6, kind=BAD)), memory=((CLERK, b"m"),)))
    assert await waiting(journal) == [2]
    assert await journal.find(id_of(5)) is None
    assert await journal.memory(CLERK, 9) == []


async def test_other_messages_are_settled_with_it_as_handled(journal: MailboxJournal) -> None:
    await accept(journal, 1, 2, 3)
    await journal.settle(dead(3, also=(id_of(1), id_of(404))))
    assert await waiting(journal) == [2]
    assert await journal.find(id_of(1)) == Outcome(CLERK, START + 1, "handled")
    assert [one.entry.id for one in await journal.dead()] == [id_of(3)]


async def test_memories_grow_with_acknowledgements(journal: MailboxJournal) -> None:
    await accept(journal, 1, 2)
    other = f"{CLERK}#alice"
    await journal.settle(handled(1, memory=((CLERK, b"1"), (other, b"a"), (CLERK, b"2"))))
    await journal.settle(handled(2, memory=((CLERK, b"3"),)))
    assert await journal.memory(CLERK, 9) == [b"1", b"2", b"3"]
    assert await journal.memory(CLERK, 2) == [b"2", b"3"]
    assert await journal.memory(other, 9) == [b"a"]
    assert await journal.forget(CLERK) == 3
    assert await journal.forget(CLERK) == 0
    assert (await journal.memory(CLERK, 9), await journal.memory(other, 9)) == ([], [b"a"])


# ------------------------------------------------------------------------------------------------ steps


async def test_steps_are_kept_until_the_acknowledgement_drops_them(journal: MailboxJournal) -> None:
    await accept(journal, 1, 2)
    await journal.keep_step(id_of(1), "model/1", b"d1", b"one")
    await journal.keep_step(id_of(1), "tool/x", b"d2", b"two")
    await journal.keep_step(id_of(1), "model/1", b"d3", b"three")
    await journal.keep_step(id_of(2), "model/1", b"d4", b"four")
    assert await journal.steps(id_of(1)) == {"model/1": (b"d3", b"three"), "tool/x": (b"d2", b"two")}
    await journal.settle(handled(1, steps_of=id_of(1)))
    assert await journal.steps(id_of(1)) == {}
    assert await journal.steps(id_of(2)) == {"model/1": (b"d4", b"four")}


async def test_a_step_of_a_message_that_is_not_open_is_not_kept(journal: MailboxJournal) -> None:
    await accept(journal, 1)
    await journal.settle(handled(1))
    await journal.keep_step(id_of(1), "model/1", b"d", b"late")
    await journal.keep_step(id_of(404), "model/1", b"d", b"unknown")
    assert (await journal.steps(id_of(1)), await journal.steps(id_of(404))) == ({}, {})


# --------------------------------------------------------------------------------------------- attempts


async def test_a_mark_is_counted_and_taken_back(journal: MailboxJournal) -> None:
    await accept(journal, 1)
    assert [await journal.begin(id_of(1)), await journal.begin(id_of(1)), await journal.begin(id_of(1), -1)] == [
        1,
        2,
        1,
    ]
    assert [one.attempts for one in await journal.waiting(CLERK, 0, 9)] == [1]
    assert [await journal.begin(id_of(1), -1), await journal.begin(id_of(1), -1)] == [0, 0]
    assert journal.statistics().redelivered == 2


async def test_a_mark_on_a_message_that_is_not_open_is_none(journal: MailboxJournal) -> None:
    await accept(journal, 1)
    await journal.settle(handled(1))
    assert [await journal.begin(id_of(1)), await journal.begin(id_of(404))] == [0, 0]
    assert await journal.postpone(id_of(1), 9.0, "late") == 0
    assert (await journal.find(id_of(1)), journal.statistics().redelivered) == (Outcome(CLERK, START + 1, "handled"), 0)


async def test_a_postponed_message_keeps_its_place_and_is_due_later(journal: MailboxJournal) -> None:
    first, _ = await accept(journal, 1, 2)
    assert await journal.postpone(id_of(1), 2_000.0, "try again") == 1
    assert (await journal.waiting(CLERK, 0, 9))[0] == entry(1, due=2_000.0, attempts=1, seq=first)
    assert await journal.find(id_of(1)) == Outcome(CLERK, START + 1, error="try again")
