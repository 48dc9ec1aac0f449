"""What does it cost to keep a message on disk until it is handled?"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Literal

from benchmarks.question import Contestant, Question, Target, Unit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from protocols.journal import MailboxJournal

PROMPT = "x" * 100
PAYLOAD = b"x" * 207
REPLY = b"y" * 50
MAILBOXES = 20


async def _one_by_one(journal: MailboxJournal, first: int, count: int) -> None:
    """Accept a message, settle it, and only then take the next: a mailbox with one message at a time."""
    from protocols.journal import Acknowledgement, Entry

    for number in range(first, first + count):
        id = number.to_bytes(16, "big")
        await journal.accept([Entry(id, f"pool/{first}", "web", "run1", PAYLOAD, time.time())])
        await journal.settle(Acknowledgement(id, "handled", reply=REPLY))


async def _kept(count: int, sync: Literal["process", "full"], mailboxes: int) -> float:
    from actors.storage.journal_sqlite import SqliteJournal

    with tempfile.TemporaryDirectory() as folder:
        journal = SqliteJournal(Path(folder) / "pool.journal", sync=sync)
        await journal.open()
        started = perf_counter()
        share = count // mailboxes
        await asyncio.gather(*(_one_by_one(journal, n * share, share) for n in range(mailboxes)))
        taken = perf_counter() - started
        assert journal.statistics().settled == share * mailboxes
        await journal.close()
        return taken


async def ours(count: int) -> float:
    return await _kept(count, "process", MAILBOXES)


async def alone(count: int) -> float:
    return await _kept(count, "process", 1)


async def full(count: int) -> float:
    return await _kept(count, "full", MAILBOXES)


def _echo(prompt: str) -> str:
    return prompt


async def _one_after_the_other(call: Callable[[str], Awaitable[object]], count: int) -> None:
    for _ in range(count):
        await call(PROMPT)


async def _sent(journal: str | None, count: int) -> float:
    """Submit to nodes, and wait until all is acknowledged; without a journal, run them."""
    from actors import Agent, AgentPool

    nodes = [Agent.from_callback(_echo, name=f"n{number}", durable=bool(journal)) for number in range(MAILBOXES)]
    async with AgentPool(journal=journal) as pool:
        for node in nodes:
            await pool.add_node(node)
        calls = [node.submit if journal else node.run for node in nodes]
        started = perf_counter()
        await asyncio.gather(*(_one_after_the_other(call, count // MAILBOXES) for call in calls))
        for keeps in [node.durable for node in nodes if node.durable is not None]:
            await keeps.drained()
        return perf_counter() - started


async def submitted(count: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return await _sent(str(Path(folder) / "pool.journal"), count)


async def in_memory(count: int) -> float:
    return await _sent(None, count)


def bare(count: int) -> float:
    """Insert and update by hand, each in a transaction of its own, in a table with the same indices."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(sqlite3.connect(Path(folder) / "bare.db", isolation_level=None)) as connection,
    ):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("CREATE TABLE m (s INTEGER PRIMARY KEY, id BLOB UNIQUE, box, payload, done, reply)")
        connection.execute("CREATE INDEX o ON m(box, s) WHERE done IS NULL")
        connection.execute("CREATE INDEX d ON m(done) WHERE done IS NOT NULL")
        started = perf_counter()
        for number in range(count):
            id = number.to_bytes(16, "big")
            connection.execute("INSERT INTO m (id, box, payload) VALUES (?, ?, ?)", (id, "pool/clerk", PAYLOAD))
            connection.execute(
                "UPDATE m SET payload = NULL, done = ?, reply = ? WHERE id = ?", (time.time(), REPLY, id)
            )
        return perf_counter() - started


QUESTION = Question(
    title="A message accepted into a journal on disk, and settled",
    unit=Unit.MICROSECONDS,
    count=6_000,
    rounds=5,
    batches=3,
    contestants=(
        Contestant(name="ours", run=ours, requires="actors"),
        Contestant(name="one mailbox", run=alone, requires="actors"),
        Contestant(name="sync: full", run=full, requires="actors", count=2_000),
        Contestant(name="submit to 20 nodes", run=submitted, requires="actors"),
        Contestant(name="run of 20 nodes in memory", run=in_memory, requires="actors"),
        Contestant(name="bare sqlite3", run=bare, requires="actors"),
    ),
    targets=(
        Target(at_most=100.0),
        Target(subject="one mailbox", at_most=200.0),
        Target(subject="sync: full", at_most=200.0),
        Target(subject="submit to 20 nodes", at_most=100.0),
        Target(subject="submit to 20 nodes", against="run of 20 nodes in memory", more=100.0),
    ),
    note=f"100 us are 10,000 messages a second, of {MAILBOXES} mailboxes that each wait for the commit; `submit` "
    "handles and acknowledges them as well; the bare table commits each step by itself.",
)
