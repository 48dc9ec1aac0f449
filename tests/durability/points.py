"""The named places where a process dies, each one a call of our code."""

from __future__ import annotations

import os
from functools import partial
from typing import Any, Final

from actors.durable.answers import Answers
from actors.durable.delivery_window import DeliveryWindow
from actors.durable.kept_queue import KeptQueue
from actors.durable.outbox import Outbox
from actors.durable.talk_queue import TalkQueue
from actors.storage import journal_file
from actors.storage.journal_file import JournalFile
from actors.storage.journal_postgres import PostgresJournal
from actors.storage.journal_sql import SqlJournal
from actors.storage.journal_tables import JournalTables
from actors.storage.postgres_tables import PostgresTables
from tests.durability.order import DIED
from tests.durability.patch import patch
from tests.durability.plays import Shop

WRITES: Final = ("accept", "settle", "begin", "keep_step")
UPKEEP: Final = ("postpone", "replay", "discard", "prune", "move")
CHANGES: Final = {**{write: write for write in (*WRITES, *UPKEEP)}, "prune": "delete"}
"""The changes of the tables by which writes are made."""
CALLS: Final[dict[str, tuple[Any, str]]] = {
    "the file is claimed": (journal_file, "claim"),
    "the schema is made": (journal_file, "migrate"),
    "the file is made": (JournalFile, "_create"),
    "the file is checked": (JournalFile, "_check"),
    "the file is taken": (JournalFile, "_take"),
    "the file is open": (JournalFile, "open"),
    "deliveries start": (DeliveryWindow, "start"),
    "open messages are read": (KeptQueue, "_read"),
    "a message is delivered": (DeliveryWindow, "_deliver"),
    "before an effect": (Shop, "before"),
    "a run has an answer": (DeliveryWindow, "_handled"),
    "the outbox is delivered": (Outbox, "release"),
    "the answer is told": (Answers, "tell"),
    "what waits for a trigger is written": (TalkQueue, "put"),
    "what waits for a trigger is taken": (TalkQueue, "_take"),
    "what waits for a trigger is released": (TalkQueue, "_settle"),
    "the file is closed": (JournalFile, "close"),
    "the pool is found": (PostgresJournal, "_find_pool"),
    "the tables are taken": (PostgresJournal, "_take"),
}
OF_FILES: Final = tuple(name for name in CALLS if name.startswith(("the file", "the schema")))
OF_TRIGGERS: Final = tuple(name for name in CALLS if name.startswith("what waits for a trigger"))
OF_SERVERS: Final = ("the pool is found", "the tables are taken")
POINTS: Final = (
    *(f"before {name}" for name in ("the file is made", "the outbox is delivered", *OF_TRIGGERS, "the file is closed")),
    *CALLS,
    *(f"{write} {when}" for write in WRITES for when in ("before its commit", "after its commit")),
)


def die_at(point: str, turn: int) -> None:
    """Have this process die when it is at a point for the n-th time: after that call, or before it."""
    seen = 0

    def reached(name: str) -> None:
        nonlocal seen
        seen += name == point
        if name == point and seen == turn:
            os._exit(DIED)

    for name, (owner, call) in CALLS.items():
        patch(owner, call, partial(_around, name, reached))
    _note_writes(reached)


def _note_writes(reached: Any) -> None:
    written: set[str] = set()
    owners = [(tables, write) for tables in (JournalTables, PostgresTables) for write in CHANGES]
    for tables, write in owners:
        if CHANGES[write] in vars(tables):
            patch(tables, CHANGES[write], partial(_noted, write, written, reached))

    def make(committed: Any) -> Any:
        def told(journal: Any, batch: Any, results: Any) -> None:
            while written:  # a thread that prunes may add to it
                reached(f"{written.pop()} after its commit")
            committed(journal, batch, results)

        return told

    patch(SqlJournal, "_committed", make)


def _around(name: str, reached: Any, call: Any) -> Any:
    def around(*args: Any, **options: Any) -> Any:
        reached(f"before {name}")
        result = call(*args, **options)
        reached(name)
        return result

    return around


def _noted(write: str, written: set[str], reached: Any, change: Any) -> Any:
    def noted(*args: Any, **options: Any) -> Any:
        result = change(*args, **options)
        reached(f"{write} before its commit")
        written.add(write)
        return result

    return noted
