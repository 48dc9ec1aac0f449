"""History in a database: one code for SQLite and PostgreSQL. What differs is in the backend."""

import asyncio
import time
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import Delete, Executable, RowMapping, TextClause
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from actors.storage.fault import translated
from actors.storage.migration import revision, upgrade
from actors.storage.row import insert_text, message_from, row_of, stats_from, summary_from
from actors.storage.schema import HEAD, READABLE
from actors.storage.statement import (
    SPARSE,
    first_surplus,
    found_by,
    found_in_span,
    page,
    summaries,
    sums,
    too_long,
    total,
    up_to,
    way_of,
)
from protocols.history import ConversationSummary, HistoryGroup, HistoryQuery, HistoryStats, Retention, StoredMessage
from protocols.limits import check_limit
from protocols.stores import HistoryStore, StorageError, StoreMissingError

_T = TypeVar("_T")


class SqlBackend:
    """What differs between databases."""

    location: str
    timeout: float
    append_lock: TextClause | None = None
    """Run first in each transaction that writes; held until it ends."""
    migration_lock: TextClause | None = None
    read_only: bool
    """True to change nothing, not even the schema."""

    async def prepare(self) -> None:
        """Make the database usable before anything connects."""

    def check(self) -> None:
        """Raise an error if the open database is not there any more."""

    def engine(self) -> AsyncEngine:
        """Return a new engine; connections with the option ``writes`` are going to write."""
        raise NotImplementedError

    async def append(self, sql: str, rows: list[tuple[Any, ...]]) -> bool:
        """Insert rows in one transaction; return False to leave that to SQLAlchemy."""
        return False

    async def tidy(self) -> None:
        """Do what is due after messages have been deleted."""

    async def close(self) -> None:
        """Let go of what `append` has opened."""


class SqlHistoryStore(HistoryStore):
    """History in the database of a backend; `actors.storage.open_store` makes one."""

    def __init__(self, backend: SqlBackend) -> None:
        self.location = backend.location
        self._backend = backend
        self._engine: AsyncEngine | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._unfinished: set[asyncio.Future[Any]] = set()

    async def open(self) -> None:
        """Connect, and bring the schema up to date."""
        if self._engine is not None:
            return
        try:
            await self._finish(self._connect())
        except asyncio.CancelledError:
            await self.close()
            raise

    async def close(self) -> None:
        """Let work that has begun end, for as long as the timeout, and let go of all connections."""
        if self._unfinished:
            _, late = await asyncio.wait(set(self._unfinished), timeout=self._backend.timeout)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        engine, self._engine = self._engine, None
        if engine is not None:
            with translated(self.location):
                await self._backend.close()
                await engine.dispose()

    async def append(self, batch: Sequence[StoredMessage]) -> None:
        """Keep all messages of the batch in one transaction."""
        self._opened()
        await self._finish(self._append([row_of(message) for message in batch]))

    async def query(self, query: HistoryQuery) -> list[StoredMessage]:
        """Return one page of messages."""
        way = way_of(query)
        if way == "dense":
            (row,) = await self._rows(found_in_span(query))
            way = "dense" if row["total"] > SPARSE else "sparse"
        return [message_from(row) for row in await self._rows(page(query, way))]

    async def stats(self, query: HistoryQuery, *, group_by: HistoryGroup | None = None) -> list[HistoryStats]:
        """Return sums per group, those with most messages first."""
        return [stats_from(row, group_by) for row in await self._rows(sums(query, group_by))]

    async def count(self, query: HistoryQuery | None = None) -> int:
        """Return how many messages there are."""
        (row,) = await self._rows(total(query))
        return int(row["total"])

    async def conversations(
        self, agent: str | None = None, *, limit: int = 100, restorable: bool = False
    ) -> list[ConversationSummary]:
        """Return the conversations, the latest first."""
        check_limit(limit)
        query = summaries(agent, limit, restorable=restorable)
        return [summary_from(row) for row in await self._rows(query)]

    async def forget(self, session: str, *, agent: str | None = None) -> int:
        """Delete what was said in a session, in short transactions between which others can write."""
        self._opened()
        return await self._delete(found_by(HistoryQuery(session=session, agent=agent)))

    async def prune(self, retention: Retention, *, now: float | None = None) -> int:
        """Delete what `retention` does not allow, in short transactions between which others can write."""
        self._opened()
        deleted = 0
        if retention.max_age is not None:
            oldest = (time.time() if now is None else now) - retention.max_age
            deleted += await self._delete(found_by(HistoryQuery(until=max(0.0, oldest))))
        if retention.max_per_conversation is not None:
            deleted += await self._shorten(retention.max_per_conversation)
        if retention.max_messages is not None:
            deleted += await self._delete_surplus(retention.max_messages)
        if deleted:
            with translated(self.location):
                await self._backend.tidy()
        return deleted

    async def _finish(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Await work that continues to its end when the caller is cancelled.

        A driver that is cancelled in the middle may leave its connection, and the lock of its transaction, to the
        garbage collector.
        """
        task = asyncio.ensure_future(work)
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)
        return await asyncio.shield(task)

    async def _connect(self) -> None:
        with translated(self.location):
            await self._backend.prepare()
            engine = self._backend.engine()
            try:
                await self._migrate(engine)
            except (TypeError, ValueError) as error:  # a driver's way to refuse what the URL asks of it
                await engine.dispose()
                raise StorageError(f"cannot be opened with these options: {error}", location=self.location) from error
            except BaseException:
                await engine.dispose()
                raise
        self._insert = insert_text(engine)
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self._writing = asyncio.Lock()

    async def _migrate(self, engine: AsyncEngine) -> None:
        async with engine.connect() as connection:
            found = await connection.run_sync(revision)
        if found == HEAD or (self._backend.read_only and found in READABLE):
            return
        if self._backend.read_only and found is None:
            raise StoreMissingError("has no tables yet: nothing was kept", location=self.location)
        async with engine.execution_options(writes=True).begin() as connection:
            if self._backend.migration_lock is not None:
                await connection.execute(self._backend.migration_lock)
            await connection.run_sync(upgrade, self.location)

    async def _append(self, rows: list[tuple[Any, ...]]) -> None:
        with translated(self.location):
            self._backend.check()
            async with self._writing:
                if await self._backend.append(self._insert, rows):
                    return
        async with self._write() as connection:
            if rows:
                await connection.exec_driver_sql(self._insert, rows)

    async def _shorten(self, limit: int) -> int:
        deleted, last = 0, ""
        while found := await self._rows(too_long(limit, last)):
            for row in found:
                last = row["conversation_id"]
                deleted += await self._delete_surplus(limit, last)
        return deleted

    async def _delete_surplus(self, limit: int, conversation_id: str | None = None) -> int:
        surplus = await self._rows(first_surplus(limit, conversation_id))
        return await self._delete(up_to(surplus[0]["seq"], conversation_id)) if surplus else 0

    async def _delete(self, batch: Delete) -> int:
        deleted = 0
        while count := await self._finish(self._delete_batch(batch)):
            deleted += count
        return deleted

    async def _delete_batch(self, batch: Delete) -> int:
        async with self._write() as connection:
            return (await connection.execute(batch)).rowcount

    async def _rows(self, query: Executable) -> Sequence[RowMapping]:
        self._opened()
        return await self._finish(self._fetch(query))

    async def _fetch(self, query: Executable) -> Sequence[RowMapping]:
        with translated(self.location):
            self._backend.check()
            async with self._opened().connect() as connection:
                rows: Sequence[RowMapping] = (await connection.execute(query)).mappings().all()
                return rows

    @asynccontextmanager
    async def _write(self) -> AsyncGenerator[AsyncConnection]:
        engine = self._opened().execution_options(writes=True)
        with translated(self.location):
            self._backend.check()
            async with self._writing, engine.begin() as connection:
                if self._backend.append_lock is not None:
                    await connection.execute(self._backend.append_lock)
                yield connection

    def _opened(self) -> AsyncEngine:
        if self._engine is None:
            raise StorageError("is not open; use `async with store:` or await store.open()", location=self.location)
        if asyncio.get_running_loop() is not self._loop:
            raise StorageError("was opened on another event loop; open one store for each loop", location=self.location)
        return self._engine
