"""The journal of a manifest on the command line: open messages of durable nodes, and dead letters."""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from actors.app.dead_letters import entry_text
from actors.app.journal_paths import journal_file, open_journal
from actors.cli.exit_code import fail
from actors.cli.history_view import moment
from actors.cli.option import read_manifest
from actors.cli.output import table, write
from actors.cli.redaction import for_stdout, one_line
from actors.config.manifest import Manifest
from protocols.errors import NodeNotFoundError
from protocols.journal import DeadEntry, Entry, MailboxJournal
from protocols.limits import MAX_LIMIT

Document = dict[str, Any]
Answer = tuple[object, str]
"""What a command answers: data for programs, and text for people."""

_ID: Final = re.compile(r"[0-9a-fA-F]{1,32}")
_CELL: Final = 60
"""Characters of a message in a list."""


class JournalView:
    """What commands ask an open journal, and change in it. An unknown node is a `NodeNotFoundError`."""

    def __init__(self, manifest: Manifest, journal: MailboxJournal) -> None:
        self._manifest = manifest
        self._journal = journal
        self._pool = f"{manifest.name or 'pool'}/"

    async def status(self) -> Answer:
        """Return how many messages are open, and how large the journal is."""
        counts, now = await self._journal.counts(), self._journal.statistics()
        known = {"open": now.open, "dead": now.dead, "oldest": moment(now.oldest), "bytes": now.bytes}
        nodes = {name.removeprefix(self._pool): count for name, count in counts.items()}
        found: Document = {"journal": self._journal.location, **known, "nodes": nodes}
        return found, _lines({**found, "nodes": ", ".join(f"{name} {count:,}" for name, count in nodes.items())})

    async def open(self, node: str | None, limit: int) -> Answer:
        """Return the oldest open messages, of all nodes or one."""
        if not 0 < limit <= MAX_LIMIT:
            fail(f"--limit must be 1 to {MAX_LIMIT}, not {limit}")
        counts = await self._journal.counts()
        self._check(node, counts)
        names = counts if node is None else [self._pool + node]
        found = [entry for name in names for entry in await self._journal.waiting(name, 0, limit)]
        rows = [self._document(entry) for entry in sorted(found, key=lambda entry: entry.accepted)[:limit]]
        return rows, _table(("id", "age", "node", "sender", "attempts", "text"), rows, "no open messages")

    async def move(self, old: str, new: str) -> Answer:
        """Give what is kept for one node to another one."""
        if new not in self._manifest.nodes:
            raise NodeNotFoundError.of(new, self._manifest.nodes)
        if old == new or not self._manifest.is_durable(new):
            fail(f"node {new!r} is {'the same' if old == new else 'not durable'}; name another one")
        self._check(old, [*await self._journal.counts(), *(one.entry.mailbox for one in await self._letters())])
        moved = await self._journal.move(self._pool + old, self._pool + new)
        return {"moved": moved}, f"{moved:,} open messages moved"

    async def dead(self, node: str | None) -> Answer:
        """Return the dead letters, of all nodes or one."""
        rows = [self._dead_document(one) for one in await self._letters(node)]
        return rows, _table(("id", "node", "died", "reason", "error"), rows, "no dead letters")

    async def show(self, id: str) -> Answer:
        """Return one dead letter."""
        found = self._dead_document((await self._chosen([id]))[0])
        return found, _lines(found)

    async def replay(self, ids: Sequence[str], node: str | None, *, is_all: bool) -> Answer:
        """Make dead letters open again."""
        if bool(ids) is is_all or (node is not None and not is_all):
            fail("say which messages: either their ids, or --all, with --node for those of one node")
        letters = await (self._letters(node) if is_all else self._chosen(ids))
        done = [one.id.hex() for one in await self._journal.replay([one.entry.id for one in letters])]
        return {"replayed": done}, f"{len(done):,} messages are open again"

    async def discard(self, ids: Sequence[str]) -> Answer:
        """Delete dead letters."""
        done = await self._journal.discard([one.entry.id for one in await self._chosen(ids)])
        return {"discarded": done}, f"{done:,} dead letters deleted"

    def _check(self, node: str | None, mailboxes: Collection[str]) -> None:
        """Refuse a node that neither the manifest nor the journal knows."""
        if node is not None and node not in self._manifest.nodes and self._pool + node not in mailboxes:
            raise NodeNotFoundError.of(node, self._manifest.nodes)

    async def _letters(self, node: str | None = None) -> list[DeadEntry]:
        mailbox, found, after = None if node is None else self._pool + node, list[DeadEntry](), 0
        while page := await self._journal.dead(mailbox=mailbox, after=after, limit=MAX_LIMIT):
            found, after = [*found, *page], page[-1].entry.seq
        self._check(node, [one.entry.mailbox for one in found])
        return found

    async def _chosen(self, ids: Sequence[str]) -> list[DeadEntry]:
        """Return the dead letters whose ids begin with these texts."""
        letters, found = await self._letters(), dict[bytes, DeadEntry]()
        for text in ids:
            if not _ID.fullmatch(text):
                fail(f"{text!r:.80} is no id: that has up to 32 hex digits, as 'dead list' shows them")
            fitting = [one for one in letters if one.entry.id.hex().startswith(text.lower())]
            if len(fitting) != 1:
                many = f"{len(fitting)} dead letters have ids that begin with {text!r}; write more of it"
                fail(many if fitting else f"no dead letter has an id that begins with {text!r}")
            found[fitting[0].entry.id] = fitting[0]
        return [*found.values()]

    def _document(self, entry: Entry) -> Document:
        node, age = entry.mailbox.removeprefix(self._pool), timedelta(seconds=int(time.time() - entry.accepted))
        times = {"accepted": moment(entry.accepted), "age": str(age), "attempts": entry.attempts}
        return {"id": entry.id.hex(), "node": node, "sender": entry.sender, **times, "text": entry_text(entry, node)}

    def _dead_document(self, dead: DeadEntry) -> Document:
        return {**self._document(dead.entry), "died": moment(dead.died), "reason": dead.reason, "error": dead.error}


def ask_journal(
    file: Path,
    question: Callable[[Any], Awaitable[Answer]],
    *,
    as_json: bool,
    as_guest: bool = True,
    view: Callable[[Manifest, Any], Any] = JournalView,
) -> None:
    """Open the journal of a manifest, ask it one question, and write the answer to standard output.

    Raises:
        ManifestError: the manifest cannot be read or is wrong.
        CommandError: the manifest has no journal, or no pool has made it yet.
        JournalError: it cannot be used; without `as_guest` also while a pool has it.
    """
    manifest = read_manifest(file)
    if view is not JournalView and not manifest.is_clustered:
        needed = "add 'cluster: postgresql://user:password@host/name' to it"
        fail(f"manifest {str(file)!r} is not that of a cluster; {needed}")
    journal, path = open_journal(manifest, as_guest=as_guest, takes_over=False), journal_file(manifest)
    if journal is None:
        fail(f"manifest {str(file)!r} has no journal; add 'journal: true' to it")
    if path is not None and not path.exists():
        fail(f"the journal {str(path)!r} has not been made yet: a pool makes it when it starts")

    async def ask() -> Answer:
        await journal.open()
        try:
            return await question(view(manifest, journal))
        finally:
            await journal.close()

    document, text = asyncio.run(ask())
    write(json.dumps(document, ensure_ascii=False, indent=2) if as_json else for_stdout(text))


def _lines(found: Document) -> str:
    return "\n".join(f"{key}: {one_line(str(value))}" for key, value in found.items())


def _table(head: Sequence[str], rows: Sequence[Document], none: str) -> str:
    return table(head, [[one_line(str(row[key]))[:_CELL] for key in head] for row in rows]) if rows else none
