"""PostgreSQL going down and coming back, refusing, being slow, and being shared."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url

from actors.storage import HistoryWriter, open_store
from actors.storage.postgres import LOCK_CLASS, PostgresBackend
from actors.storage.sql import SqlHistoryStore
from protocols.history import HistoryQuery
from protocols.stores import StorageError, StoreMissingError, StoreUnavailableError, StoreVersionError
from tests.storage.messages import ids, message

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from protocols.stores import HistoryStore
    from tests.storage.postgres_server import PostgresServer


@pytest.fixture
async def store(postgres: PostgresServer) -> AsyncGenerator[HistoryStore]:
    async with open_store(postgres.url) as store:
        yield store


async def until_it_fails(writer: HistoryWriter) -> None:
    async with asyncio.timeout(20):
        while writer.statistics().last_error is None:  # noqa: ASYNC110 - a counter tells it
            await asyncio.sleep(0)


async def test_nothing_is_lost_while_the_database_is_down_and_back(
    postgres: PostgresServer, store: HistoryStore
) -> None:
    async with HistoryWriter(store, batch=50) as writer:
        for n in range(200):
            writer.offer(message(n))
        await writer.flush()
        await asyncio.to_thread(postgres.stop)
        try:
            for n in range(200, 500):
                writer.offer(message(n))
            await until_it_fails(writer)
            assert writer.statistics().waiting == 300
        finally:
            await asyncio.to_thread(postgres.start)
        async with asyncio.timeout(30):
            await writer.flush()
        found = ids(await store.query(HistoryQuery(newest_first=False, limit=1_000)))
        assert found == [f"m{n}" for n in range(500)]
        assert writer.statistics().last_error is None


async def test_crash_in_the_middle_of_writing_loses_and_doubles_nothing(
    postgres: PostgresServer, store: HistoryStore
) -> None:
    async with HistoryWriter(store, batch=20) as writer:
        for n in range(4_000):
            writer.offer(message(n))
        async with asyncio.timeout(20):
            while writer.statistics().stored < 100:  # noqa: ASYNC110 - a counter tells it
                await asyncio.sleep(0)
        await asyncio.to_thread(postgres.stop)
        try:
            assert writer.statistics().stored < 4_000
            await until_it_fails(writer)
        finally:
            await asyncio.to_thread(postgres.start)
        async with asyncio.timeout(30):
            await writer.flush()
        found = ids(await store.query(HistoryQuery(newest_first=False, limit=10_000)))
        assert found == [f"m{n}" for n in range(4_000)]


async def test_reading_works_again_after_a_restart_without_an_error(
    postgres: PostgresServer, store: HistoryStore
) -> None:
    await store.append([message(1)])
    await asyncio.to_thread(postgres.stop)
    try:
        with pytest.raises(StoreUnavailableError, match="cannot be reached"):
            await store.count()
    finally:
        await asyncio.to_thread(postgres.start)
    assert await store.count() == 1


async def test_restart_between_two_reads_goes_unnoticed(postgres: PostgresServer, store: HistoryStore) -> None:
    await store.append([message(1)])
    await asyncio.to_thread(postgres.stop)
    await asyncio.to_thread(postgres.start)
    assert await store.count() == 1


async def test_open_of_a_database_that_is_down_is_unavailable_and_hides_the_password(postgres: PostgresServer) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = make_url(postgres.url).set(port=unused.getsockname()[1]).render_as_string(hide_password=False)
        with pytest.raises(StoreUnavailableError, match="cannot be reached") as caught:
            await open_store(url).open()
    assert postgres.password not in str(caught.value)
    assert "postgresql://tester:***@127.0.0.1:" in str(caught.value)


async def test_server_that_never_answers_is_unavailable_after_the_timeout() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"postgresql://tester@127.0.0.1:{silent.getsockname()[1]}/postgres"
        with pytest.raises(StoreUnavailableError, match="cannot be reached"):
            await open_store(url, timeout=0.05).open()


async def test_wrong_password_and_unknown_database_are_named(postgres: PostgresServer) -> None:
    right = make_url(postgres.url)
    for wrong, meaning in (
        (right.set(password="wrong-secret"), "refused the user or password"),
        (right.set(database="nowhere"), "does not have this database"),
    ):
        with pytest.raises(StorageError, match=meaning) as caught:
            await open_store(wrong.render_as_string(hide_password=False)).open()
        assert "secret" not in str(caught.value)


async def test_unknown_option_of_the_url_is_named(postgres: PostgresServer) -> None:
    with pytest.raises(StorageError, match=r"cannot be opened with these options: .*colour"):
        await open_store(f"{postgres.url}?colour=blue").open()


async def test_sslmode_is_understood_as_in_other_programs(postgres: PostgresServer) -> None:
    async with open_store(f"{postgres.url}?sslmode=disable") as store:
        assert await store.count() == 0
    with pytest.raises(StorageError):
        await open_store(f"{postgres.url}?sslmode=require").open()


@pytest.mark.parametrize(
    "options",
    [
        "application_name=desk",
        "connect_timeout=5&keepalives=1&keepalives_idle=30",
        "sslmode=disable&sslrootcert=/no/such/file",
        "options=-csearch_path%3Dpublic",
        "target_session_attrs=read-write",
        "channel_binding=prefer&gssencmode=disable",
    ],
)
async def test_options_of_libpq_are_understood(postgres: PostgresServer, options: str) -> None:
    async with open_store(f"{postgres.url}?{options}") as store:
        assert await store.count() == 0


@pytest.mark.parametrize("option", ["channel_binding=require", "gssencmode=require"])
async def test_a_protection_that_cannot_be_had_is_refused(postgres: PostgresServer, option: str) -> None:
    with pytest.raises(StorageError, match=option.partition("=")[0]):
        await open_store(f"{postgres.url}?{option}").open()


async def test_a_connection_begins_with_nothing_that_pgbouncer_refuses() -> None:
    said = asyncio.get_running_loop().create_future()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said.set_result(await reader.read(1_000))
        writer.close()

    async with await asyncio.start_server(hear, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        with pytest.raises(StorageError):
            await open_store(f"postgresql://tester@127.0.0.1:{port}/postgres?sslmode=disable").open()
    names = (await said)[8:].split(b"\0")[:-2:2]
    assert set(names) <= {b"client_encoding", b"user", b"database", b"application_name"}


async def test_reading_makes_no_tables(postgres: PostgresServer) -> None:
    with pytest.raises(StoreMissingError, match="nothing was kept"):
        await open_store(postgres.url, read_only=True).open()
    async with open_store(postgres.url) as store:
        await store.append([message(1)])
    async with open_store(postgres.url, read_only=True) as store:
        assert await store.count() == 1


async def test_stores_may_open_an_empty_database_at_the_same_time(postgres: PostgresServer) -> None:
    stores = [open_store(postgres.url) for _ in range(5)]
    await asyncio.gather(*(store.open() for store in stores))
    await asyncio.gather(*(store.append([message(1), message(n + 2)]) for n, store in enumerate(stores)))
    assert await stores[0].count() == 6
    await asyncio.gather(*(store.close() for store in stores))


async def test_newer_schema_is_refused(postgres: PostgresServer, store: HistoryStore) -> None:
    await store.close()
    await postgres.execute("UPDATE understage_history_version SET version_num = '9999'")
    with pytest.raises(StoreVersionError, match=r"has schema '9999'.*upgrade understage"):
        await store.open()


async def test_database_without_our_table_any_more_is_an_error_not_a_loss(
    postgres: PostgresServer, store: HistoryStore
) -> None:
    await postgres.execute("ALTER TABLE understage_history RENAME TO away")
    async with HistoryWriter(store) as writer:
        writer.offer(message(1))
        flush = asyncio.create_task(writer.flush())
        await until_it_fails(writer)
        await postgres.execute("ALTER TABLE away RENAME TO understage_history")
        await flush
    assert await store.count() == 1


async def test_lock_that_is_held_too_long_is_unavailable(postgres: PostgresServer) -> None:
    holder = SqlHistoryStore(PostgresBackend(_driver_url(postgres), timeout=1.0))
    async with holder, open_store(postgres.url, timeout=1.0) as store:
        async with holder._write():  # pyright: ignore[reportPrivateUsage]
            with pytest.raises(StoreUnavailableError, match="is locked"):
                await store.append([message(1)])
        await store.append([message(1)])
        assert await store.count() == 1


def test_lock_key_is_a_32_bit_number() -> None:
    assert 0 < LOCK_CLASS < 2**31


def _driver_url(postgres: PostgresServer) -> str:
    return postgres.url.replace("postgresql://", "postgresql+asyncpg://")
