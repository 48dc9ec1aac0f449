"""How long does one question to a large history on SQLite take?"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.question import Contestant, Question, Target, Unit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ROWS = int(os.environ.get("UNDERSTAGE_BENCH_ROWS", "200000"))
CHUNK = 250_000
AGENTS = 20
BEGAN, STEP = 1.7e9, 6.3  # a message in 6.3 s: a year makes 5,000,000
HOUR, DAY = 3_600.0, 86_400.0

_FILL = """
WITH RECURSIVE k(n) AS (VALUES(:first) UNION ALL SELECT n + 1 FROM k WHERE n + 1 < :end)
INSERT INTO understage_history (id, conversation_id, run_id, node, role, content, model, tokens, input_tokens,
    output_tokens, cost, created, day, payload, metadata)
SELECT printf('%012x70%02x%016x', CAST(1000 * (:began + n * :step) AS INT), n % 256, abs(random())), 'c' || (n / 40),
    'r' || (n / 2), 'agent' || (n / 2 % :agents), CASE n % 2 WHEN 1 THEN 'assistant' ELSE 'user' END,
    'The answer to the question that was asked, in one sentence of the usual length.', 'openai:gpt-4o', 120, 100, 20,
    0.001, :began + n * :step, CAST((:began + n * :step) / 86400 AS INT), CASE n % 2 WHEN 1 THEN zeroblob(200) END, '{}'
FROM k
"""


def fill(file: Path) -> None:
    """Add the messages that the file lacks; what a process that was stopped has made is kept."""
    with closing(sqlite3.connect(file, isolation_level=None, timeout=60)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        (first,) = connection.execute("SELECT coalesce(max(seq), 0) FROM understage_history").fetchone()
        for start in range(first, ROWS, CHUNK):
            values = {"first": start, "end": min(start + CHUNK, ROWS), "began": BEGAN, "step": STEP, "agents": AGENTS}
            connection.execute(_FILL, values)


def asking(ask: Callable[[Any, float], Awaitable[object]]) -> Any:
    """Time one question: to a store, about a moment of its past that is another one each time."""

    async def run(count: int) -> float:
        from actors.storage import open_store

        # The file is made once for all processes: 5,000,000 messages take minutes.
        file = Path(tempfile.gettempdir(), f"understage-bench-history-{ROWS}.db")
        async with open_store(file):
            fill(file)
        async with open_store(file) as store:
            started = perf_counter()
            for number in range(count):
                await ask(store, BEGAN + STEP * ROWS * number / count)
            return perf_counter() - started

    return run


async def hour_of_agent(store: Any, when: float) -> object:
    from protocols.history import HistoryQuery

    return await store.query(HistoryQuery(agent="agent3", since=when, until=when + HOUR))


async def last_day(store: Any, _when: float) -> object:
    from protocols.history import HistoryQuery

    return await store.stats(HistoryQuery(since=BEGAN + STEP * ROWS - DAY), group_by="agent")


async def conversations(store: Any, _when: float) -> object:
    return await store.conversations()


QUESTION = Question(
    title=f"One question to a history of {ROWS:,} messages in a SQLite file",
    unit=Unit.MILLISECONDS,
    count=20,
    batches=3,
    rounds=3,
    quick=4,
    contestants=(
        Contestant(name="ours: an agent and an hour", run=asking(hour_of_agent), requires="actors"),
        Contestant(name="ours: the last day by agent", run=asking(last_day), requires="actors"),
        Contestant(name="ours: latest conversations", run=asking(conversations), requires="actors"),
    ),
    targets=(
        Target(subject="ours: an agent and an hour", at_most=20.0),
        Target(subject="ours: the last day by agent", at_most=200.0),
        Target(subject="ours: latest conversations", at_most=200.0),
    ),
    note=(
        f"{AGENTS} agents, 40 messages in a conversation, a message in {STEP} s. `UNDERSTAGE_BENCH_ROWS=5000000` asks "
        "a history of a year: 2.5 GB in the folder for temporary files, made in some minutes and kept there."
    ),
)
