"""A journal in PostgreSQL that is taken over, shared by pools, and whose server goes down and comes back."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import asyncpg  # type: ignore[import-untyped] # it has no types
import pytest
from sqlalchemy import make_url
from sqlalchemy.util import greenlet_spawn

from actors.storage import journal_sql
from actors.storage.journal_memory import MemoryJournal
from actors.storage.journal_postgres import PostgresJournal
from actors.storage.postgres_connection import PostgresConnection
from protocols.journal import (
    Acknowledgement,
    JournalBrokenError,
    JournalError,
    JournalFencedError,
    JournalLockedError,
    JournalVersionError,
)
from tests.contracts.journal_kinds import CLERK, accept, dead, entry, handled, id_of, waiting

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from protocols.journal import MailboxJournal
    from tests.storage.postgres_server import PostgresServer


@pytest.fixture
async def make(postgres: PostgresServer) -> AsyncGenerator[Callable[..., PostgresJournal]]:
    """Make journals that are closed at the end."""
    made: list[PostgresJournal] = []

    def one(**options: Any) -> PostgresJournal:
        given: dict[str, Any] = {"pool": "pool", **options}
        made.append(PostgresJournal(postgres.url, **given))
        return made[-1]

    yield one
    for journal in made:
        await journal.close()


# ------------------------------------------------------------------------------------------- takeover


async def test_who_opens_it_last_has_it_and_the_one_before_writes_no_more(make: Callable[..., PostgresJournal]) -> None:
    first, second = make(), make()
    await first.open()
    await accept(first, 1, 2)
    await second.open()
    late: list[asyncio.Future[Any]] = [first.accept([entry(3)]), first.settle(handled(1)), first.begin(id_of(2))]
    results = await asyncio.gather(*late, return_exceptions=True)
    assert [type(result) for result in results] == [JournalFencedError] * 3
    assert "was taken over by another process" in first.statistics().broken
    assert await waiting(second) == [1, 2]
    assert [one.attempts for one in await second.waiting(CLERK, 0, 9)] == [0, 0]
    await second.settle(handled(1))
    assert (second.statistics().open, second.statistics().broken) == (1, "")


async def test_journals_that_are_opened_at_once_make_the_tables_once(make: Callable[..., PostgresJournal]) -> None:
    journals = [make() for _ in range(5)]
    await asyncio.gather(*(one.open() for one in journals))
    results = await asyncio.gather(*(one.accept([entry(1)]) for one in journals), return_exceptions=True)
    assert sorted(isinstance(result, JournalFencedError) for result in results) == [False, True, True, True, True]


# ------------------------------------------------------------------------------------------- lost connections


def losing(
    monkeypatch: pytest.MonkeyPatch, *, is_committed: bool, error: type[Exception] = ConnectionResetError
) -> None:
    """Lose the connection at the next commit, before it or before the answer to it."""
    run, lost = PostgresConnection.run, list[str]()

    def lossy(self: PostgresConnection, sql: str, values: Any = ()) -> Any:
        if sql != "COMMIT" or lost:
            return run(self, sql, values)
        lost.append(sql)
        if is_committed:
            run(self, sql, values)
        self.drop()
        raise error("lost")

    monkeypatch.setattr(PostgresConnection, "run", lossy)


@pytest.mark.parametrize("error", [ConnectionResetError, TimeoutError, asyncpg.InterfaceError])
@pytest.mark.parametrize("is_committed", [True, False])
async def test_a_commit_whose_answer_was_lost_is_made_once(
    make: Callable[..., PostgresJournal],
    monkeypatch: pytest.MonkeyPatch,
    is_committed: bool,
    error: type[Exception],
) -> None:
    journal = make()
    await journal.open()
    await accept(journal, 1, 2)
    losing(monkeypatch, is_committed=is_committed, error=error)
    outbox = (entry(3, "pool/next"),)
    accepted, places, attempts = await asyncio.gather(
        journal.accept([entry(4)]),
        journal.settle(handled(1, outbox=outbox, memory=((CLERK, b"m"),))),
        journal.begin(id_of(2)),
    )
    assert None not in [*accepted, *places]
    assert attempts == 1
    assert await journal.memory(CLERK, 9) == [b"m"]
    assert (await waiting(journal), await waiting(journal, "pool/next")) == ([2, 4], [3])
    found = journal.statistics()
    assert (found.open, found.accepted, found.duplicates, found.settled, found.redelivered) == (3, 4, 0, 1, 1)


async def test_a_journal_that_was_taken_over_while_its_connection_was_lost_is_fenced(
    make: Callable[..., PostgresJournal], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = make(), make()
    await first.open()
    await second.open()
    losing(monkeypatch, is_committed=False)
    await second.open()
    with pytest.raises(JournalFencedError):
        await first.accept([entry(1)])


async def test_nothing_is_lost_or_doubled_when_the_server_goes_down_in_the_middle_of_writes(
    postgres: PostgresServer, make: Callable[..., PostgresJournal], caplog: pytest.LogCaptureFixture
) -> None:
    journal, count = make(), 0
    await journal.open()
    is_back = asyncio.Event()

    async def work(first: int) -> None:
        nonlocal count
        number = first
        while number < first + 20 or not is_back.is_set():
            assert await journal.accept([entry(number)]) != [None]
            assert await journal.begin(id_of(number)) == 1
            await journal.settle(handled(number, memory=((f"{CLERK}#{first}", id_of(number)),)))
            number += 1
            count += 1
        assert await journal.memory(f"{CLERK}#{first}", 10_000) == [id_of(n) for n in range(first, number)]

    async def restart() -> None:
        await journal.accept([entry(1)])
        await asyncio.to_thread(postgres.stop)
        reading = asyncio.ensure_future(journal.counts())
        await asyncio.to_thread(postgres.start)
        await reading
        is_back.set()

    async with asyncio.timeout(60):
        await asyncio.gather(*(work(n * 1_000_000) for n in range(1, 9)), restart())
    assert "writes wait until it does" in caplog.text
    assert postgres.password not in caplog.text
    found = journal.statistics()
    assert (found.open, found.accepted, found.settled, found.duplicates, found.broken) == (1, count + 1, count, 0, "")


async def test_closing_while_the_server_is_away_refuses_what_was_not_written(
    postgres: PostgresServer, make: Callable[..., PostgresJournal], monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = make()
    await journal.open()
    monkeypatch.setattr(journal_sql, "PATIENCE", 0)
    await asyncio.to_thread(postgres.stop)
    try:
        writes = [journal.accept([entry(n)]) for n in range(600)]
        reading = asyncio.ensure_future(journal.counts())
        await asyncio.sleep(0)
        await journal.close()
    finally:
        await asyncio.to_thread(postgres.start)
    with pytest.raises(JournalError, match="because the server was away"):
        await writes[0]
    assert all(isinstance(write.exception(), JournalError) for write in writes)
    with pytest.raises(JournalError, match="is not open"):
        await reading


async def test_tables_that_are_gone_break_the_journal(
    postgres: PostgresServer, make: Callable[..., PostgresJournal]
) -> None:
    journal = make()
    await journal.open()
    await postgres.execute("DROP SCHEMA understage_journal_1 CASCADE")
    with pytest.raises(JournalBrokenError):
        await journal.accept([entry(1)])


# ------------------------------------------------------------------------------------------- opening


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"password": "s3cret"}, "refused the user or password"),
        ({"database": "elsewhere"}, "does not have this database"),
        ({"port": 1}, "cannot be reached"),
    ],
)
async def test_a_journal_that_cannot_be_opened_says_why_without_the_password(
    postgres: PostgresServer, change: dict[str, Any], problem: str
) -> None:
    url = make_url(postgres.url).set(**change)
    journal = PostgresJournal(url.render_as_string(hide_password=False), pool="pool")
    with pytest.raises(JournalError, match=problem) as caught:
        await journal.open()
    assert caught.value.location == url.render_as_string(hide_password=True)
    assert str(url.password) not in str(caught.value)


def test_an_address_that_cannot_be_read_is_refused_without_being_shown() -> None:
    with pytest.raises(JournalError, match="the PostgreSQL URL cannot be read") as caught:
        PostgresJournal("postgresql://u:hidden@h:port/d", pool="pool")
    assert "hidden" not in str(caught.value)


async def test_a_journal_of_a_newer_version_is_not_touched(
    postgres: PostgresServer, make: Callable[..., PostgresJournal]
) -> None:
    journal = make()
    await journal.open()
    await accept(journal, 1)
    await postgres.execute("UPDATE understage_journal.pool SET version = 99")
    with pytest.raises(JournalVersionError, match="has schema 99"):
        await make().open()
    assert len(await accept(journal, 2)) == 1


async def test_a_journal_of_the_version_before_gets_what_is_new(
    postgres: PostgresServer, make: Callable[..., PostgresJournal]
) -> None:
    journal = make()
    await journal.open()
    await accept(journal, 1)
    host = "understage_journal_1.host"
    await postgres.execute(f"ALTER TABLE {host} DROP COLUMN life", "UPDATE understage_journal.pool SET version = 2")
    again = make()
    await again.open()
    assert await waiting(again) == [1]
    await postgres.execute(f"SELECT life FROM {host}")


# ------------------------------------------------------------------------------------------- several users


async def test_two_pools_in_one_database_do_not_meet(make: Callable[..., PostgresJournal]) -> None:
    here, there = make(), make(pool="shop")
    await here.open()
    await there.open()
    await accept(here, 1, 2)
    assert len(await accept(there, 1)) == 1
    await there.settle(dead(1, reply=b"42"))
    assert (await here.counts(), await there.counts()) == ({CLERK: 2}, {})
    assert (await here.dead(), len(await there.dead())) == ([], 1)
    assert [(one.statistics().open, one.statistics().dead) for one in (here, there)] == [(2, 0), (0, 1)]
    with pytest.raises(JournalError, match="has a pool 'shop' already"):
        await here.move("pool", "shop")
    assert await waiting(here) == [1, 2]


async def test_a_renamed_pool_finds_its_messages(make: Callable[..., PostgresJournal]) -> None:
    before, after = make(), make(pool="shop")
    await before.open()
    await accept(before, 1)
    await before.move("pool", "shop")
    await after.open()
    assert await after.counts() == {"shop/clerk": 1}


async def test_a_guest_replays_and_its_pool_goes_on_and_sees_it(make: Callable[..., PostgresJournal]) -> None:
    journal, guest = make(), make(as_guest=True)
    with pytest.raises(JournalError, match="nothing was kept"):
        await guest.open()
    await journal.open()
    await accept(journal, 1)
    await journal.settle(dead(1))
    before = await journal.version()
    await guest.open()
    assert [one.entry.id for one in await guest.dead()] == [id_of(1)]
    assert (await journal.version(), guest.statistics().dead) == (before, 1)
    (place, *_), (replayed,) = await accept(journal, 2), await guest.replay([id_of(1)])
    assert place < replayed.seq
    assert await journal.version() != before
    assert (await waiting(journal), journal.statistics().open, journal.statistics().dead) == ([2, 1], 2, 0)
    with pytest.raises(JournalError, match="may be in use by its pool"):
        await guest.accept([entry(3)])


async def test_who_takes_nothing_over_is_refused_while_another_process_is_connected(
    make: Callable[..., PostgresJournal],
) -> None:
    journal, mover, other = make(), make(takes_over=False), make(pool="shop", takes_over=False)
    await journal.open()
    await accept(journal, 1)
    with pytest.raises(JournalLockedError, match="is used by another process"):
        await mover.open()
    await other.open()
    assert len(await accept(journal, 2)) == 1
    await journal.close()
    async with asyncio.timeout(20):
        while mover.statistics().bytes == 0:
            with suppress(JournalLockedError):  # until the server has seen the end of the connections
                await mover.open()
    assert await mover.move(CLERK, "pool/bob") == 2


# ------------------------------------------------------------------------------------------- common statements


def some_write(chance: random.Random, journal: MailboxJournal) -> asyncio.Future[Any]:
    """Make one of all kinds of writes, on one of a few messages."""
    numbers = chance.sample(range(8), 3)
    first, second, third = map(id_of, numbers)
    outbox = tuple(entry(n, "pool/next") for n in chance.sample(range(8, 12), chance.randint(0, 2)))
    memory = ((CLERK, bytes([chance.randint(0, 255)])),) * chance.randint(0, 2)
    is_dead, also = chance.random() < 0.2, ((second,) if chance.random() < 0.2 else ())
    ends = Acknowledgement(
        first, "failed", b"r", "no", is_dead=is_dead, outbox=outbox, steps_of=first, memory=memory, also=also
    )
    kinds: dict[str, Callable[[], asyncio.Future[Any]]] = {
        "accept": lambda: journal.accept([entry(n) for n in numbers[: chance.randint(1, 3)]]),
        "settle": lambda: journal.settle(ends),
        "begin": lambda: journal.begin(first),
        "postpone": lambda: journal.postpone(first, 5.0, "later"),
        "step": lambda: journal.keep_step(first, "tool/1", b"d", b"p"),
        "replay": lambda: journal.replay([first, third]),
        "discard": lambda: journal.discard([second]),
    }
    return kinds[chance.choice(["accept", "settle", *kinds])]()


async def told(journal: MailboxJournal, seed: int) -> tuple[list[Any], ...]:
    """Make many writes at once; return what they gave, without places, and what is there afterwards."""
    chance = random.Random(seed)
    results: list[Any] = await asyncio.gather(*(some_write(chance, journal) for _ in range(60)))
    lists = [cast("Sequence[Any]", result) if isinstance(result, list) else (result,) for result in results]
    places = [one for found in lists if isinstance(found, list) for one in found if isinstance(one, int)]
    assert places == sorted(places)
    given = [[getattr(one, "id", one if isinstance(found, tuple) else one is None) for one in found] for found in lists]
    left = [[(one.id, one.attempts) for one in await journal.waiting(at, 0, 99)] for at in (CLERK, "pool/next")]
    known = [(await journal.find(id_of(n)), await journal.steps(id_of(n))) for n in range(12)]
    buried = [(one.entry.id, one.entry.attempts, one.error) for one in await journal.dead()]
    found = journal.statistics()
    counted = [found.open, found.dead, found.accepted, found.duplicates, found.settled, found.redelivered]
    return given, left, known, buried, await journal.memory(CLERK, 99), counted


@pytest.mark.parametrize("seed", range(12))
async def test_writes_of_one_group_give_what_they_give_one_after_the_other(
    make: Callable[..., PostgresJournal], seed: int
) -> None:
    journal, model = make(), MemoryJournal()
    await journal.open()
    await model.open()
    assert await told(journal, seed) == await told(model, seed)
    await model.close()


async def test_what_is_committed_is_on_disk_whatever_the_server_does_by_default(postgres: PostgresServer) -> None:
    await postgres.execute("ALTER DATABASE postgres SET synchronous_commit = off")
    connection = PostgresConnection(postgres.url)
    await greenlet_spawn(connection.connect)
    found = await greenlet_spawn(connection.run, "SELECT current_setting('synchronous_commit')")
    await connection.close()
    await postgres.execute("ALTER DATABASE postgres RESET synchronous_commit")
    assert found.rows == [("on",)]
