"""What every journal does with dead letters, old messages, numbers, its opening and its end, over all kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from protocols.journal import JournalError, Outcome
from tests.contracts.journal_kinds import CLERK, START, accept, dead, entry, handled, id_of, numbers, waiting

if TYPE_CHECKING:
    from protocols.journal import MailboxJournal
    from tests.contracts.journal_kinds import Factory, WallTime


# ----------------------------------------------------------------------------------------- dead letters


async def test_dead_letters_keep_what_a_replay_needs(journal: MailboxJournal, wall_time: WallTime) -> None:
    await accept(journal, 1, 2)
    await journal.accept([entry(3, "pool/other", due=1.0, expires=2.0)])
    await journal.begin(id_of(2))
    wall_time.time = 5_000.0
    await journal.settle(dead(2, outcome="poison", error="it died"))
    await journal.settle(dead(1))
    await journal.settle(dead(3, outcome="crashed"))
    found = await journal.dead()
    assert [(one.reason, one.error, one.died) for one in found] == [
        ("poison", "it died", 5_000.0),
        ("failed", "", 5_000.0),
        ("crashed", "", 5_000.0),
    ]
    assert replace(found[0].entry, seq=0) == entry(2, attempts=1)
    assert numbers([one.entry for one in await journal.dead(mailbox=CLERK)]) == [2, 1]
    assert numbers([one.entry for one in await journal.dead(after=found[0].entry.seq, limit=1)]) == [1]
    assert (await journal.find(id_of(2))) == Outcome(CLERK, START + 2, "poison", error="it died")
    assert journal.statistics().dead == 3


async def test_a_replayed_message_is_open_with_its_id_a_new_place_and_no_attempts(journal: MailboxJournal) -> None:
    *_, last = await accept(journal, 1, 2, 3)
    await journal.begin(id_of(3))
    await journal.keep_step(id_of(3), "model/1", b"d", b"p")
    await journal.settle(dead(1))
    await journal.settle(dead(3))
    third, first = await journal.replay([id_of(3), id_of(404), id_of(2), id_of(1)])
    assert last < third.seq < first.seq
    assert await journal.waiting(CLERK, 0, 9) == [entry(2, seq=last - 1), third, first]
    assert replace(third, seq=0) == entry(3)
    assert (await journal.dead(), await journal.replay([id_of(1)])) == ([], [])
    assert await journal.steps(id_of(3)) == {"model/1": (b"d", b"p")}
    assert (journal.statistics().open, journal.statistics().dead, journal.statistics().accepted) == (3, 0, 3)


async def test_a_message_dies_again_after_its_replay(journal: MailboxJournal) -> None:
    await accept(journal, 1)
    for error in ("one", "two"):
        await journal.settle(dead(1, error=error))
        assert [one.error for one in await journal.dead()] == [error]
        assert len(await journal.replay([id_of(1)])) == 1
    await journal.settle(handled(1))
    assert await journal.find(id_of(1)) == Outcome(CLERK, START + 1, "handled")


async def test_a_dead_letter_whose_id_was_accepted_again_waits_for_its_end(
    journal: MailboxJournal, wall_time: WallTime
) -> None:
    await accept(journal, 1, 2)
    await journal.settle(dead(1))
    wall_time.time += 100
    assert await journal.prune(10) == 1
    await accept(journal, 1)
    assert await journal.replay([id_of(1)]) == []
    await journal.settle(dead(1, error="again"))
    assert [one.error for one in await journal.dead()] == ["again"]
    assert journal.statistics().dead == 1


async def test_discarded_letters_are_gone(journal: MailboxJournal) -> None:
    await accept(journal, 1, 2)
    await journal.keep_step(id_of(1), "model/1", b"d", b"p")
    await journal.settle(dead(1))
    await journal.settle(dead(2))
    assert await journal.discard([id_of(1), id_of(404)]) == 1
    assert [one.entry.id for one in await journal.dead()] == [id_of(2)]
    assert (await journal.steps(id_of(1)), journal.statistics().dead) == ({}, 1)
    assert (await journal.find(id_of(1))) == Outcome(CLERK, START + 1, "failed")


# ------------------------------------------------------------------------------------------------- move


@pytest.mark.parametrize(("old", "new"), [(CLERK, "shop/bob"), ("pool", "shop")])
async def test_a_move_takes_messages_dead_letters_and_memories_along(
    journal: MailboxJournal, old: str, new: str
) -> None:
    await accept(journal, 1, 2, 3, 4)
    near = [entry(10, "pool/clerks"), entry(11, "pooling/clerk"), entry(12, "clerk"), entry(13, "pool_/clerk")]
    await journal.accept(near)
    await journal.settle(dead(1))
    await journal.settle(handled(2, reply=b"42", memory=((CLERK, b"m"), (f"{CLERK}#alice", b"s"))))
    is_pool = old == "pool"
    assert await journal.move(old, new) == (3 if is_pool else 2)
    moved = new + CLERK.removeprefix(old)
    assert (await waiting(journal), await waiting(journal, moved)) == ([], [3, 4])
    assert [one.entry.mailbox for one in await journal.dead()] == [moved]
    assert (await journal.memory(moved, 9), await journal.memory(f"{moved}#alice", 9)) == ([b"m"], [b"s"])
    assert await journal.find(id_of(2)) == Outcome(moved, START + 2, "handled", b"42")
    assert await waiting(journal, "shop/clerks" if is_pool else "pool/clerks") == [10]
    assert [(await waiting(journal, one.mailbox)) for one in near[1:]] == [[11], [12], [13]]
    assert len(await journal.replay([id_of(1)])) == 1
    assert await waiting(journal, moved) == [3, 4, 1]


# ------------------------------------------------------------------------------------------------ prune


async def test_pruning_deletes_settled_messages_that_are_old(journal: MailboxJournal, wall_time: WallTime) -> None:
    await accept(journal, 1, 2, 3, 4, 5)
    await journal.keep_step(id_of(1), "model/1", b"d", b"p")
    await journal.settle(handled(1))
    await journal.settle(dead(2))
    wall_time.time += 50
    await journal.settle(handled(3))
    wall_time.time += 51
    assert await journal.prune(100) == 2
    assert [await journal.find(id_of(n)) is None for n in range(1, 6)] == [True, True, False, False, False]
    assert await waiting(journal) == [4, 5]
    assert ([one.entry.id for one in await journal.dead()], await journal.steps(id_of(1))) == ([id_of(2)], {})
    assert await journal.prune(100) == 0
    assert len(await accept(journal, 1)) == 1


async def test_places_never_come_again_because_the_last_message_is_not_pruned(
    journal: MailboxJournal, wall_time: WallTime
) -> None:
    *_, last = await accept(journal, 1, 2, 3)
    for number in (1, 2, 3):
        await journal.settle(handled(number))
    wall_time.time += 1
    assert await journal.prune(0) == 2
    assert await journal.find(id_of(3)) == Outcome(CLERK, START + 3, "handled")
    assert await journal.prune(0) == 0
    (place,) = await accept(journal, 4)
    assert place > last


async def test_pruning_deletes_a_thousand_messages_at_most(journal: MailboxJournal, wall_time: WallTime) -> None:
    await accept(journal, *range(1_500))
    await journal.settle(handled(0, also=tuple(map(id_of, range(1, 1_500)))))
    wall_time.time += 1
    assert [await journal.prune(0) for _ in range(3)] == [1_000, 499, 0]


async def test_pruning_leaves_the_last_thousand_payloads_of_each_memory(journal: MailboxJournal) -> None:
    await accept(journal, 1)
    long = tuple((CLERK, f"{n}".encode()) for n in range(1_200))
    await journal.settle(handled(1, memory=(*long, ("pool/other", b"o"))))
    assert await journal.prune(100) == 0
    kept = await journal.memory(CLERK, 5_000)
    assert (kept[0], len(kept), await journal.memory("pool/other", 9)) == (b"200", 1_000, [b"o"])


# -------------------------------------------------------------------------------------------- statistics


async def test_the_numbers_of_a_journal_are_counted_along(journal: MailboxJournal, wall_time: WallTime) -> None:
    assert (journal.statistics().open, journal.statistics().oldest, journal.statistics().broken) == (0, None, "")
    await accept(journal, 1, 2, 3)
    await journal.accept([entry(4, "pool/other"), entry(1)])
    wall_time.time = 2_000.0
    write = journal.begin(id_of(2))
    assert journal.statistics().waiting_since == 2_000.0
    await write
    await journal.settle(handled(1, outbox=(entry(5), entry(2))))
    await journal.settle(dead(3))
    found = journal.statistics()
    assert (found.open, found.dead, found.accepted, found.duplicates) == (3, 1, 5, 2)
    assert (found.settled, found.redelivered, found.waiting_since, found.is_full) == (2, 1, None, False)
    assert found.commits >= 5
    assert 0 < found.commit_p50 <= found.commit_p99
    assert await journal.counts() == {CLERK: 2, "pool/other": 1}


async def test_the_oldest_open_message_is_looked_up_with_the_version(journal: MailboxJournal) -> None:
    await accept(journal, 1, 2)
    assert journal.statistics().oldest == START + 1
    await journal.settle(handled(1))
    await journal.version()
    assert journal.statistics().oldest == START + 2
    await journal.settle(handled(2))
    assert journal.statistics().oldest is None
    await journal.version()
    await accept(journal, 3)
    assert journal.statistics().oldest == START + 3


async def test_its_own_writes_do_not_change_the_version(journal: MailboxJournal) -> None:
    before = await journal.version()
    await accept(journal, 1)
    await journal.settle(handled(1))
    assert await journal.version() == before


# ------------------------------------------------------------------------------------------ open and close


async def test_what_was_kept_is_there_when_it_is_opened_again(new_journal: Factory) -> None:
    before = new_journal()
    await before.open()
    *_, last = await accept(before, 1, 2, 3)
    await before.settle(handled(1, reply=b"42", memory=((CLERK, b"m"),)))
    await before.settle(dead(2))
    await before.begin(id_of(3))
    await before.keep_step(id_of(3), "model/1", b"d", b"p")
    await before.close()
    after = new_journal()
    await after.open()
    assert await after.waiting(CLERK, 0, 9) == [entry(3, attempts=1, seq=last)]
    assert await after.find(id_of(1)) == Outcome(CLERK, START + 1, "handled", b"42")
    assert (await after.memory(CLERK, 9), await after.steps(id_of(3))) == ([b"m"], {"model/1": (b"d", b"p")})
    found = after.statistics()
    assert (found.open, found.dead, found.oldest, found.accepted) == (1, 1, START + 3, 0)
    (place,) = await accept(after, 4)
    assert place > last
    await after.close()


async def test_closing_commits_what_waits_and_does_nothing_when_closed(new_journal: Factory) -> None:
    one = new_journal()
    await one.close()
    await one.open()
    futures = [one.accept([entry(n)]) for n in range(1_200)]
    await one.close()
    assert all(future.done() and future.exception() is None for future in futures)
    await one.close()
    again = new_journal()
    await again.open()
    assert await again.counts() == {CLERK: 1_200}
    await again.close()


async def test_a_journal_that_is_not_open_refuses_and_says_where_it_is(new_journal: Factory) -> None:
    one = new_journal()
    for use in (lambda: one.accept([entry(1)]), one.counts, one.version):
        with pytest.raises(JournalError, match="is not open") as caught:
            await use()
        assert caught.value.location == one.location
