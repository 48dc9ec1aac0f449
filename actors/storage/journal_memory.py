"""A journal in memory: for tests, and for pools without a file. Gone with the object."""

import sqlite3
import time
from collections.abc import Callable
from weakref import finalize

from actors.storage.journal_sql import SqlJournal
from actors.storage.journal_tables import JournalTables, migrate


class MemoryJournal(SqlJournal):
    """Keep messages as a journal on disk does; what was kept before a `close` is there after the next `open`."""

    def __init__(self, location: str = "memory", *, now: Callable[[], float] = time.time) -> None:
        super().__init__(location, now)
        self._connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        finalize(self, self._connection.close)  # in a circle of garbage SQLite would find it open, and complain
        migrate(self._connection)

    async def open(self) -> None:
        """Allow access."""
        if self._tables is None:
            tables = JournalTables(self._connection, self._now)
            tables.version()
            self._begin_life(tables)

    async def close(self) -> None:
        """Commit what waits, and refuse access until the next `open`."""
        await self._drain()
        self._tables = None
