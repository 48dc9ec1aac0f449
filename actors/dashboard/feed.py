"""`Feed`: what one pool shows to all its viewers. It works only while at least one of them looks.

Twice a second the feed reads the pool, and tells all viewers the rows that have changed. A viewer first gets all rows.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any, Final

import msgspec

from actors.app.dead_letters import read_dead_letters
from actors.dashboard.event_rows import FOLLOWED, EventRows
from actors.dashboard.feed_table import FeedTable
from actors.dashboard.pool_rows import PoolRows, Rows, dead_row
from actors.pool.pool import AgentPool
from actors.runs.request import RunRequest
from actors.runtime.background_loop import current_system
from actors.runtime.event_stream import BatchSubscription, TakeEvents
from actors.runtime.system import ActorSystem
from protocols.journal import JournalError
from protocols.mailbox import MailboxStatistics

PERIOD: Final = 0.5
"""Seconds between two messages."""
SLICE: Final = 100
"""Rows that are read or written before the event loop turns."""
LETTERS: Final = 10
"""Dead letters that are read before the event loop turns: the text of a message may take a while."""
MOST_READ: Final = 1_000
"""Rows of a table that are read between two messages: of more, each is read every so many messages."""
PART: Final = 500
"""Rows of one part of a snapshot."""
BACKLOG: Final = 8
"""Messages that wait for one viewer; after more it gets all rows anew."""
MOST_EVENTS: Final = 10_000
"""Events that wait for the feed; further ones are lost and counted."""
MOST_ROWS: Final = 50_000
"""Actors, nodes or connections that are shown."""
MOST_DEAD: Final = 1_000
"""Dead letters of the system, and as many of its journal, that are shown."""
JOURNAL_ROUNDS: Final = 10
"""Messages after which the dead letters of the journal are read again."""
HEARTBEAT: Final = 15.0
"""Seconds after which a viewer is told that nothing has changed."""
_READ: Final = ("pool", "actors", "nodes", "links", "triggers", "approvals")
_log: Final = logging.getLogger("understage.dashboard")


class Feed:
    """The tables of one pool, and its viewers.

    Args:
        pool: the pool, on the event loop of the feed while it has viewers.
        can_act: True if viewers may do more than look.
    """

    def __init__(self, pool: AgentPool[Any], *, can_act: bool) -> None:
        self._pool = pool
        self._rows = PoolRows(pool, can_act=can_act)
        self._events = EventRows(pool.nodes.get)
        self._tables = {name: FeedTable(MOST_ROWS) for name in _READ} | self._events.tables
        self._tables["dead"] = FeedTable(2 * MOST_DEAD, is_ring=True)
        self._viewers: set[Viewer] = set()
        self._seq = 0
        self._since = 0.0
        """When the events began to be followed, for the first of the viewers that look now."""
        self._task: asyncio.Task[None] | None = None
        self._subscription: BatchSubscription | None = None
        self._begun: dict[str, tuple[Rows, set[str]]] = {}
        """Tables that are read in part: the rows to come, and the keys of those before."""
        self._dead = -1
        """Dead letters of the system when they were read last; -1 to read them again."""
        self._rounds = 0

    @property
    def viewers(self) -> int:
        """How many look."""
        return len(self._viewers)

    def join(self) -> "Viewer":
        """Return a new viewer, who must be left with `leave`."""
        viewer = Viewer(self)
        self._viewers.add(viewer)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work(), name="dashboard feed")
        return viewer

    def leave(self, viewer: "Viewer") -> None:
        """Forget a viewer; after the last one the feed rests."""
        self._viewers.discard(viewer)
        if not self._viewers and self._task is not None:
            self._task.cancel()
            self._task = None

    # -- work -----------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        """Read the pool and tell the viewers until the pool ends."""
        system = self._pool.system or current_system()
        subscription = self._subscription = system.events.subscribe_in_batches(_Events(self, system), FOLLOWED)
        self._begun.clear()
        self._since, most = time.time(), MOST_ROWS
        try:
            while self._pool.is_open:
                await self._read(system, most)
                self._tell()
                most = MOST_READ
                due = asyncio.Event()
                timer = system.clock.call_later(PERIOD, due.set)
                try:
                    await due.wait()
                finally:
                    timer.cancel()
        except Exception:
            _log.exception("pool %r: the dashboard failed; its viewers connect anew", self._pool.name)
        finally:
            subscription.cancel()
            if self._subscription is subscription:
                self._subscription = None
            self._events.runs.clear()
            for viewer in self._viewers:
                viewer.end()

    def read_dead_letters(self) -> None:
        """Read the dead letters again with the next message, since some were told again."""
        self._dead = -1

    def take(self) -> None:
        """Fold the events that wait."""
        if self._subscription is not None:
            self._events.add_all(self._subscription.take())

    async def _read(self, system: ActorSystem, most: int) -> None:
        now = time.time()
        rows, read_some = self._rows, partial(self._fill, most=most, slice=SLICE)
        await read_some("nodes", rows.nodes)
        await read_some("pool", partial(rows.pool, system, self._since))
        await read_some("actors", partial(rows.actors, system))
        await read_some("links", rows.links)
        await read_some("triggers", partial(rows.triggers, system))
        await read_some("approvals", rows.approvals)
        if self._dead != system.dead_letters.total or not self._rounds % JOURNAL_ROUNDS:
            self._dead = system.dead_letters.total
            with suppress(JournalError):  # the health of the pool says so
                letters = await read_dead_letters(self._pool, MOST_DEAD)
                dead = ((letter.id, dead_row(letter)) for letter in letters)
                await self._fill("dead", lambda: dead, MOST_ROWS, LETTERS)
        self._rounds += 1
        self._find_runs(system, now)
        self.take()
        self._events.renew(now)

    async def _fill(self, name: str, begin: Callable[[], Rows], most: int, slice: int) -> None:
        """Read some rows of a table further; after the last one forget those that are gone."""
        table = self._tables[name]
        rows, seen = self._begun.pop(name) if name in self._begun else (begin(), set[str]())
        for _ in range(0, most, slice):
            part = tuple(islice(rows, slice))
            for key, row in part:
                seen.add(key)
                table.put(key, row)
            if len(part) < slice:
                table.keep(seen)
                return
            await asyncio.sleep(0)
        self._begun[name] = rows, seen

    def _find_runs(self, system: ActorSystem, now: float) -> None:
        """Look up the runs in flight among the handlers that wait."""
        at = system.clock.now()
        for cell in tuple(system.cells):
            for turns, waits in ((cell.turns, False), (cell.parked, True)):
                for turn in turns or ():
                    request = turn.envelope.message
                    if type(request) is RunRequest:
                        began = now - (at - turn.envelope.at)
                        self._events.runs.see(request, began, now, waits_for_approval=waits)

    # -- messages -------------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        changed = {name: change for name, table in self._tables.items() if (change := table.take()) is not None}
        if changed and not all(viewer.needs_all for viewer in self._viewers):  # all rows at once would block the loop
            self._seq += 1
            message = _message("delta", self._seq, changed)
            for viewer in self._viewers:
                viewer.put(message)
        for viewer in self._viewers:
            viewer.is_ready.set()

    def snapshot(self) -> Iterator[bytes]:
        """Yield all rows of this moment in parts."""
        found = [(name, tuple(table.rows.items())) for name, table in self._tables.items()]
        seq = self._seq
        return _parts(seq, found)


def _parts(seq: int, found: list[tuple[str, tuple[tuple[str, Any], ...]]]) -> Iterator[bytes]:
    cuts = [(name, rows[at : at + PART]) for name, rows in found for at in range(0, len(rows), PART)]
    parts: list[dict[str, Any]] = [{}]
    size = 0
    for name, rows in cuts:
        if size + len(rows) > PART:
            parts.append({})
            size = 0
        parts[-1][name] = {"set": dict(rows), "gone": []}
        size += len(rows)
    for number, tables in enumerate(parts):
        yield _message("snapshot", seq, tables, part=number, parts=len(parts))


def _message(event: str, seq: int, tables: dict[str, Any], *, part: int = 0, parts: int = 1) -> bytes:
    data = {"seq": seq, "now": time.time(), "tables": tables, "part": part, "parts": parts}
    return b"event: %s\ndata: %s\n\n" % (event.encode(), msgspec.json.encode(data))


class Viewer:
    """One who looks at a feed, with the messages that wait for this viewer."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._waiting: deque[bytes] = deque()
        self._came = asyncio.Event()
        self.needs_all = True
        """True if all rows must be sent, so that no changes need to be."""
        self._is_over = False
        self.is_ready = asyncio.Event()
        """Set when the feed has read the pool."""

    def put(self, message: bytes) -> None:
        """Add a message; of too many none is kept, and all rows are sent anew."""
        if self.needs_all:
            return
        self._waiting.append(message)
        if len(self._waiting) > BACKLOG:
            self._waiting.clear()
            self.needs_all = True
        self._came.set()

    def end(self) -> None:
        """End the messages."""
        self._is_over = True
        self._came.set()
        self.is_ready.set()

    async def messages(self) -> AsyncGenerator[bytes]:
        """Yield the messages until `end`, and a heartbeat while nothing changes."""
        yield b"retry: 1000\n\n"
        await self.is_ready.wait()
        while not self._is_over:
            if self.needs_all:
                self.needs_all = False
                for part in self._feed.snapshot():
                    yield part
                    await asyncio.sleep(0)
            while self._waiting:
                yield self._waiting.popleft()
            if self.needs_all or self._is_over:
                continue
            self._came.clear()
            try:
                await asyncio.wait_for(self._came.wait(), HEARTBEAT)
            except TimeoutError:
                yield b": nothing has changed\n\n"


class _Events:
    """Stands for the feed as a subscriber of events in batches."""

    def __init__(self, feed: Feed, system: ActorSystem) -> None:
        self._feed = feed
        self._loop = system.loop

    def statistics(self) -> MailboxStatistics:
        return MailboxStatistics(0, MOST_EVENTS, 0.0, False)

    def notify(self, _message: TakeEvents) -> None:
        self._loop.call_soon(self._feed.take)

    def __str__(self) -> str:
        return "dashboard"
