"""The SQL store against the memory store, and its schema against its migrations."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import product
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine
from sqlalchemy.dialects import postgresql, sqlite

from actors.storage import MemoryHistoryStore, open_store, sql, statement
from actors.storage.migration import upgrade
from actors.storage.schema import HEAD, VERSION_TABLE, metadata
from protocols.history import HistoryGroup, HistoryQuery, Retention
from tests.storage.messages import as_offered, message

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from sqlalchemy import ClauseElement, Dialect

    from protocols.history import StoredMessage
    from protocols.stores import HistoryStore

GROUPINGS: list[HistoryGroup] = ["agent", "role", "model", "conversation", "day"]


@pytest.fixture
async def sqlite_store(tmp_path: Path) -> AsyncGenerator[HistoryStore]:
    async with open_store(tmp_path / "history.db") as store:
        yield store


@st.composite
def stored_messages(draw: st.DrawFn) -> StoredMessage:
    number = draw(st.integers(0, 12))
    return message(
        number,
        conversation_id=draw(st.sampled_from(["c1", "c2", "c3"])),
        node=draw(st.sampled_from(["writer", "editor"])),
        content=draw(st.text(max_size=8)),
        created=draw(st.floats(0, 400_000)),
        tokens=draw(st.integers(0, 100)),
        cost=draw(st.none() | st.integers(0, 8).map(lambda n: n / 8)),
    )


batches = st.lists(stored_messages(), max_size=5)
retentions = st.builds(
    Retention,
    max_age=st.none() | st.floats(0, 400_000),
    max_messages=st.none() | st.integers(0, 8),
    max_per_conversation=st.none() | st.integers(0, 4),
)
texts = st.text(min_size=1, max_size=3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(steps=st.lists(batches | retentions, max_size=8), text=texts)
async def test_any_sequence_of_appends_and_prunes_leaves_the_same_in_memory_and_sqlite(
    sqlite_store: HistoryStore, steps: list[list[StoredMessage] | Retention], text: str
) -> None:
    await sqlite_store.prune(Retention(max_messages=0))  # what the example before has left
    async with MemoryHistoryStore() as memory:
        for step in steps:
            if isinstance(step, Retention):
                assert await memory.prune(step, now=400_000.0) == await sqlite_store.prune(step, now=400_000.0)
            else:
                await memory.append(step)
                await sqlite_store.append(step)
        for query in (HistoryQuery(), HistoryQuery(text=text), HistoryQuery(agent="editor", limit=3)):
            assert as_offered(await memory.query(query)) == as_offered(await sqlite_store.query(query))
        for group_by in (*GROUPINGS, None):
            of_memory = await memory.stats(HistoryQuery(), group_by=group_by)
            assert of_memory == await sqlite_store.stats(HistoryQuery(), group_by=group_by)
        names = [(c.conversation_id, c.messages, c.tokens) for c in await memory.conversations()]
        assert names == [(c.conversation_id, c.messages, c.tokens) for c in await sqlite_store.conversations()]


@pytest.mark.parametrize("sparse", [0, 2_000])
async def test_a_span_is_found_whatever_way_its_size_suggests(
    sqlite_store: HistoryStore, monkeypatch: pytest.MonkeyPatch, sparse: int
) -> None:
    monkeypatch.setattr(sql, "SPARSE", sparse)
    late = [1_000.0 + number * 7 % 40 for number in range(40)]  # not in the order of appending
    made = [message(number, created=late[number], node="ab"[number % 2]) for number in range(40)]
    async with MemoryHistoryStore() as memory:
        for store in (memory, sqlite_store):
            await store.append(made)
        for agent, since, until, newest, after in product(
            [None, "a"], [None, 1_010.0], [None, 1_030.0], [True, False], [None, 25]
        ):
            query = HistoryQuery(agent=agent, since=since, until=until, newest_first=newest, after=after, limit=7)
            assert await sqlite_store.query(query) == await memory.query(query)
            assert await sqlite_store.stats(query, group_by="day") == await memory.stats(query, group_by="day")


async def test_a_store_without_the_index_of_spans_is_read_as_it_is_and_gets_it_when_opened(tmp_path: Path) -> None:
    file = tmp_path / "history.db"
    index = "SELECT count(*) FROM sqlite_master WHERE name = 'understage_history_node_created'"
    async with open_store(file) as store:
        await store.append([message(1)])
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("DROP INDEX understage_history_node_created")
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '0001'")

    for read_only, indexes in ((True, 0), (False, 1)):
        async with open_store(file, read_only=read_only) as store:
            assert [one.id for one in await store.query(HistoryQuery(agent="writer", since=0.0))] == ["m1"]
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute(index).fetchone() == (indexes,)


def test_migrations_make_exactly_the_schema_that_the_code_uses() -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        upgrade(connection, "here")
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == HEAD
    engine.dispose()


def test_upgrade_of_a_current_schema_changes_nothing() -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        upgrade(connection, "here")
        upgrade(connection, "here")
    engine.dispose()


def test_downgrade_is_refused() -> None:
    from actors.storage.migrations.versions import v0001_history

    with pytest.raises(NotImplementedError, match="history cannot be downgraded"):
        v0001_history.downgrade()


@pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.dialect()])  # type: ignore[no-untyped-call]
def test_no_value_becomes_part_of_the_sql(dialect: Dialect) -> None:
    value = "x'; DROP TABLE y; --"
    query = HistoryQuery(agent=value, conversation=value, text=value, role="user")
    for built in (
        statement.page(query),
        statement.page(HistoryQuery(agent=value, since=0.0, text=value), "dense"),
        statement.found_in_span(query),
        statement.total(query),
        statement.sums(query, "agent"),
        statement.summaries(value, 5),
        statement.up_to(5, value),
        statement.first_surplus(5, value),
        statement.too_long(5, value),
    ):
        assert "DROP" not in str(cast("ClauseElement", built).compile(dialect=dialect)).upper()
