"""What is wrong after the last life."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from importlib import import_module
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tests.durability.order import JOURNAL, read_log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLLOWERS = {
    "source": ("source", "target"),
    "wide": ("wide",),
    "chain": ("first", "second"),
    "other": ("other", "target"),
    "clerk": ("clerk",),
    "desk": ("desk", "bank", "book"),
}
"""The nodes in which a message of a sender has its effects."""


class Effect(Struct, frozen=True):
    """One effect of a message."""

    life: int
    node: str
    text: str
    attempt: int
    key: str


class Findings:
    """The log of all lives and the journal they have left.

    Args:
        folder: where they are.
        concurrency: how many messages the concurrent nodes handle at once.
        gone: texts of messages that have no effect.
        journal: where the lives have their journal.
    """

    def __init__(
        self, folder: Path, *, concurrency: int = 8, gone: tuple[str, ...] = (), journal: str = JOURNAL
    ) -> None:
        self.folder = folder
        self.journal = journal
        self.concurrency = {"target": concurrency, "wide": concurrency}
        self.gone = gone
        self.lines = read_log(folder)
        self.effects = [Effect(life, *more) for life, what, *more in self.lines if what == "effect"]
        self.accepted: list[tuple[str, str, bool]] = [
            (node, text, is_new) for node, text, is_new in (more for _, what, *more in self.lines if what == "accepted")
        ]
        self.copies = 0

    def problems(self) -> list[str]:
        """Return what is wrong, in words."""
        found = [*self._lost(), *self._copied(), *self._disordered(), *self.problems_of_journal()]
        found += [f"wrong answer: {line}" for line in self.lines if line[1] == "wrong"]
        return found

    def _lost(self) -> Iterator[str]:
        had = {(effect.node, effect.text) for effect in self.effects}
        new = Counter((node, text) for node, text, is_new in self.accepted if is_new)
        for node, text in dict.fromkeys((node, text) for node, text, _ in self.accepted):
            for follower in FOLLOWERS[node]:
                if (follower, text) not in had and text not in self.gone:
                    yield f"lost: {text} of {follower}"
            if new[node, text] > 1:
                yield f"accepted as new twice: {text} of {node}"

    def _copied(self) -> Iterator[str]:
        known: dict[tuple[str, str], list[Effect]] = defaultdict(list)
        repeated: Counter[tuple[int, str]] = Counter()
        for effect in self.effects:
            before = known[effect.node, effect.text]
            if before:
                self.copies += 1
                repeated[effect.life, effect.node] += 1
                if not effect.attempt:
                    yield f"copy without a flag: {effect}"
                if effect.key != before[0].key:
                    yield f"copy with another key: {effect}"
                if effect.life == before[-1].life:
                    yield f"copy in the same life: {effect}"
            before.append(effect)
        for (life, node), count in repeated.items():
            if count > self.concurrency.get(node, 1):
                yield f"{count} copies of {node} in life {life}"

    def _disordered(self) -> Iterator[str]:
        last: dict[tuple[str, str], int] = {}
        seen: set[tuple[str, str]] = set()
        for effect in self.effects:
            if (effect.node, effect.text) in seen:
                continue
            seen.add((effect.node, effect.text))
            sender, _, number = effect.text.partition(":")
            if int(number) < last.get((effect.node, sender), 0):
                yield f"out of order: {effect}"
            last[effect.node, sender] = int(number)

    def problems_of_journal(self) -> list[str]:
        """Return what is wrong with the journal, in words."""
        return list(self._journal())

    def _journal(self) -> Iterator[str]:
        expected = {"message": 0, "step": 0, "dead": len(self.gone)}
        rows = {"message": "message WHERE done IS NULL", "step": "step", "dead": "dead"}
        questions = [f"SELECT count(*) FROM {where}" for where in rows.values()]
        if self.journal.startswith("url:"):
            url = self.journal.partition(" ")[2].strip("'")
            *counts, epoch = asyncio.run(_ask_server(url, [*questions, "SELECT epoch FROM understage_journal.pool"]))
        else:
            questions += ["SELECT value FROM meta WHERE key = 'epoch'", "PRAGMA integrity_check"]
            with closing(sqlite3.connect(self.folder / "shop.journal")) as connection:
                *counts, epoch, answer = (connection.execute(one).fetchone()[0] for one in questions)
            if answer != "ok":
                yield f"damaged: {answer}"
        for (what, right), count in zip(expected.items(), counts, strict=True):
            if count != right:
                yield f"{count} rows of {what} are left"
        if epoch < (opened := sum(line[1] == "opened" for line in self.lines)):
            yield f"{opened} lives have opened it, and {epoch} have taken it over"


async def _ask_server(url: str, questions: list[str]) -> list[Any]:
    driver: Any = import_module("asyncpg")  # it has no types
    connection = await driver.connect(url)
    await connection.execute("SET search_path = understage_journal_1")
    found = [await connection.fetchval(question) for question in questions]
    await connection.close()
    return found
