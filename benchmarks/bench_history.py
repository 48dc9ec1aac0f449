"""How many messages a second does history hold, and what does it cost the run that hands one over?

Prints one JSON line per question. ``--postgres URL`` asks the same of a PostgreSQL server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from actors.storage import HistoryWriter, MemoryHistoryStore, open_store
from protocols.history import HistoryQuery, StoredMessage

if TYPE_CHECKING:
    from protocols.stores import HistoryStore

MESSAGES = 20_000
BATCH = 500
REPEATS = 3
PAYLOAD = b'{"kind":"response","parts":[{"part_kind":"text","content":"' + b"x" * 600 + b'"}]}'


def messages(repeat: int) -> list[StoredMessage]:
    """Return messages of the size of a short answer with its provider-level payload."""
    return [
        StoredMessage(
            id=f"{repeat}-{n}",
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
        for n in range(MESSAGES)
    ]


async def batches_per_second(store: HistoryStore, repeat: int) -> float:
    sent = messages(repeat)
    start = time.perf_counter()
    for first in range(0, MESSAGES, BATCH):
        await store.append(sent[first : first + BATCH])
    return MESSAGES / (time.perf_counter() - start)


async def writer_per_second(store: HistoryStore, repeat: int) -> float:
    sent = messages(repeat)
    start = time.perf_counter()
    async with HistoryWriter(store, capacity=MESSAGES) as writer:
        for message in sent:
            writer.offer(message)
        await writer.flush()
    return MESSAGES / (time.perf_counter() - start)


async def offer_nanoseconds(repeat: int) -> float:
    sent = messages(repeat)
    writer = HistoryWriter(MemoryHistoryStore(), capacity=MESSAGES)
    start = time.perf_counter_ns()
    for message in sent:
        writer.offer(message)
    return (time.perf_counter_ns() - start) / MESSAGES


def bare_sqlite_per_second(directory: Path, repeat: int) -> float:
    """Half of the columns and one of four indexes, by bare sqlite3 in the same batches: an upper bound."""
    rows = [(m.id, m.conversation_id, m.node, m.role, m.content, m.created, m.payload) for m in messages(repeat)]
    with closing(sqlite3.connect(directory / f"bare-{repeat}.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("CREATE TABLE m (s INTEGER PRIMARY KEY, id TEXT UNIQUE, c, node, role, content, t, payload)")
        start = time.perf_counter()
        for first in range(0, MESSAGES, BATCH):
            connection.execute("BEGIN")
            insert = "INSERT INTO m (id, c, node, role, content, t, payload) VALUES (?, ?, ?, ?, ?, ?, ?)"
            connection.executemany(insert, rows[first : first + BATCH])
            connection.execute("COMMIT")
        return MESSAGES / (time.perf_counter() - start)


def report(question: str, unit: str, values: list[float]) -> None:
    result = {
        "bench": "history",
        "question": question,
        "unit": unit,
        "median": round(statistics.median(values), 1),
        "values": [round(value, 1) for value in values],
        "messages": MESSAGES,
        "batch": BATCH,
        "python": platform.python_version(),
    }
    print(json.dumps(result), flush=True)


async def measure(kind: str, store: HistoryStore) -> None:
    async with store:
        values = [await batches_per_second(store, repeat) for repeat in range(REPEATS)]
        report(f"{kind}: append in batches", "messages/s", values)
        values = [await writer_per_second(store, repeat) for repeat in range(REPEATS, 2 * REPEATS)]
        report(f"{kind}: through the writer", "messages/s", values)
        queries = {
            "latest 100 of an agent": HistoryQuery(agent="agent3"),
            "latest 100 with a text": HistoryQuery(text="QUESTION"),
            "text that nobody said": HistoryQuery(text="nobody said this"),
        }
        for name, query in queries.items():
            start = time.perf_counter()
            await store.query(query)
            report(f"{kind}: {name}, {2 * REPEATS * MESSAGES} stored", "ms", [(time.perf_counter() - start) * 1_000])


async def main(postgres: str | None) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        report("bare sqlite3", "messages/s", [bare_sqlite_per_second(directory, repeat) for repeat in range(REPEATS)])
        await measure("sqlite", open_store(directory / "history.db"))
    if postgres:
        await measure("postgresql", open_store(postgres))
    report("offer, on the run path", "ns", [await offer_nanoseconds(repeat) for repeat in range(REPEATS)])


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--postgres", metavar="URL", help="an empty database to write to")
    asyncio.run(main(arguments.parse_args().postgres))
