"""How many messages a second does history hold on SQLite?"""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.question import Contestant, Question, Target, Unit

if TYPE_CHECKING:
    from protocols.history import StoredMessage

BATCH = 200
PAYLOAD = b'[{"kind":"response","parts":[{"part_kind":"text","content":"' + b"x" * 600 + b'"}]}]'


def messages(count: int) -> list[StoredMessage]:
    """Return messages of the size of a short answer with what the model said."""
    from protocols.history import StoredMessage
    from protocols.ids import new_id

    return [
        StoredMessage(
            id=new_id(),
            conversation_id=f"c{n % 50}",
            run_id=f"r{n // 2}",
            node=f"agent{n % 10}",
            role="assistant" if n % 2 else "user",
            content="The answer to the question that was asked. " * 5,
            model="openai:gpt-4o",
            tokens=120,
            input_tokens=100,
            output_tokens=20,
            cost=0.001,
            created=1.7e9 + n,
            payload=PAYLOAD if n % 2 else None,
        )
        for n in range(count)
    ]


async def ours(count: int) -> float:
    from actors.storage import HistoryWriter, open_store

    sent = messages(count)
    with tempfile.TemporaryDirectory() as folder:
        async with open_store(Path(folder) / "history.db") as store:
            started = perf_counter()
            async with HistoryWriter(store, capacity=count, batch=BATCH) as writer:
                for message in sent:
                    writer.offer(message)
                await writer.flush()
                taken = perf_counter() - started
            assert await store.count() == count
            return taken


def bare(count: int) -> float:
    rows = [(m.id, m.conversation_id, m.node, m.role, m.content, m.created, m.payload) for m in messages(count)]
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(sqlite3.connect(Path(folder) / "bare.db", isolation_level=None)) as connection,
    ):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("CREATE TABLE m (s INTEGER PRIMARY KEY, id TEXT UNIQUE, c, node, role, content, t, payload)")
        insert = "INSERT INTO m (id, c, node, role, content, t, payload) VALUES (?, ?, ?, ?, ?, ?, ?)"
        started = perf_counter()
        for first in range(0, count, BATCH):
            connection.execute("BEGIN")
            connection.executemany(insert, rows[first : first + BATCH])
            connection.execute("COMMIT")
        return perf_counter() - started


QUESTION = Question(
    title="One message through the writer of history into a SQLite file",
    unit=Unit.MICROSECONDS,
    count=20_000,
    rounds=5,
    batches=3,
    contestants=(
        Contestant(name="ours", run=ours, requires="actors"),
        Contestant(name="bare sqlite3", run=bare, requires="actors"),
    ),
    targets=(Target(at_most=200.0),),
    note=f"200 us are 5,000 messages a second. Batches of {BATCH}; the bare table has half the columns, one index.",
)
