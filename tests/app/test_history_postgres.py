"""The history of a pool in a real PostgreSQL server that goes down and comes back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from actors import Agent, AgentPool
from actors.config.load import parse_manifest
from protocols.history import HistoryQuery
from protocols.stores import StoreUnavailableError
from tests.app.pool_history import history_of, kept, remembered

if TYPE_CHECKING:
    from actors.config.manifest import Manifest
    from tests.storage.postgres_server import PostgresServer


@pytest.fixture
def manifest(postgres: PostgresServer) -> Manifest:
    text = (
        "storage: {type: postgres, url: '${DATABASE}', batch_delay: 0.01s}\nagents: {keen: {model: test, session: yes}}"
    )
    return parse_manifest(text, env={"DATABASE": postgres.url})


async def upper_in(pool: AgentPool[Any]) -> Agent[object, str]:
    agent = Agent.from_callback(str.upper, name="upper")
    await pool.add_node(agent)
    return agent


async def test_a_conversation_goes_on_in_the_next_pool(manifest: Manifest) -> None:
    for expected in (0, 2, 4):
        async with AgentPool[None](manifest) as pool:
            assert remembered(pool, "keen") == expected
            await pool["keen"].run("Hello.")


async def test_runs_go_on_while_the_database_is_down_and_nothing_is_lost(
    postgres: PostgresServer, manifest: Manifest
) -> None:
    async with AgentPool[None](manifest) as pool:
        upper, (writer,) = await upper_in(pool), history_of(pool).writers
        await upper.run("before")
        await writer.flush()
        await asyncio.to_thread(postgres.stop)
        try:
            answers = [(await upper.run(f"run {number}")).text for number in range(500)]
            with pytest.raises(TimeoutError):
                await history_of(pool).flush(timeout=1.0)
            down = writer.statistics()
        finally:
            await asyncio.to_thread(postgres.start)
        await upper.run("after")
        store = await kept(pool)
        messages = await store.query(HistoryQuery(agent="upper", newest_first=False, limit=2_000))

    assert answers == [f"RUN {number}" for number in range(500)]
    assert (down.waiting, down.dropped) == (1_000, 0)
    assert down.failures > 0
    expected = ["before", *(f"run {number}" for number in range(500)), "after"]
    assert [one.content for one in messages if one.role == "user"] == expected
    assert len(messages) == 2 * len(expected)


async def test_what_finds_no_room_while_the_database_is_down_is_counted_and_the_latest_is_kept(
    postgres: PostgresServer, manifest: Manifest, caplog: pytest.LogCaptureFixture
) -> None:
    runs = 6_000
    async with AgentPool[None](manifest) as pool:
        upper, (writer,) = await upper_in(pool), history_of(pool).writers
        await asyncio.to_thread(postgres.stop)
        try:
            for number in range(runs):
                await upper.run(f"run {number}")
            with pytest.raises(TimeoutError):
                await history_of(pool).flush(timeout=0.5)
        finally:
            await asyncio.to_thread(postgres.start)
        store = await kept(pool)
        numbers, stored = writer.statistics(), await store.count(HistoryQuery(agent="upper"))
        (latest,) = await store.query(HistoryQuery(role="user", limit=1))

    assert numbers.accepted == 2 * runs == numbers.stored + numbers.dropped
    assert stored == numbers.stored >= 10_000
    assert latest.content == f"run {runs - 1}"
    assert "the oldest are lost" in caplog.text
    assert f"works again; {numbers.dropped} messages had found no room" in caplog.text
    assert postgres.password not in caplog.text


async def test_a_database_that_is_down_at_the_start_is_named_without_its_password(
    postgres: PostgresServer, manifest: Manifest, no_leaked_actors: None
) -> None:
    await asyncio.to_thread(postgres.stop)
    try:
        with pytest.raises(StoreUnavailableError, match=r"postgresql://tester:\*\*\*@127\.0\.0\.1.*cannot be reached"):
            await AgentPool[None](manifest).__aenter__()
    finally:
        await asyncio.to_thread(postgres.start)
