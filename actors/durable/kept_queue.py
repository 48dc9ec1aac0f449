"""The open messages of a durable node: the next ones are in memory, the rest is in the journal only."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Hashable
from contextvars import Context, copy_context
from heapq import heappop, heappush
from typing import Any, Final

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from actors.durable.kept_run import KeptRun
from actors.durable.record import ASK_KIND, RUN_KIND, UndecodableError, decode_run
from actors.runs.handle import NodeHandle
from actors.runs.request import RunRequest
from actors.runtime.future import AsyncioFuture
from protocols.journal import EndOutcome, Entry, MailboxJournal
from protocols.messages import ChatMessage

WINDOW: Final = 200
"""Most open messages of a node that are in memory."""
ALONE: Final = 2
"""Deliveries that ended with the process, after which a message is delivered while no other such one of the pool is."""
SKEW: Final = 1.0
"""Seconds by which the clock of who accepted a message may be ahead."""
PAUSE: Final = 0.1
"""Seconds after which a full mailbox or a full disk is tried again."""


class KeptMessage(msgspec.Struct, eq=False):
    """A kept message in memory."""

    entry: Entry
    place: int
    request: RunRequest | None = None
    """None for one that was read from the journal and is not decoded yet."""
    key: Hashable = None
    is_suspect: bool = False
    """True if it may have been under way when a process died."""
    attempt: int = 0
    turn: asyncio.Lock | None = None
    """The turn of those that are delivered alone, while it has that."""
    deadline: float | None = None
    """When its caller gives up, in seconds of the clock of the system."""
    timeout: float | None = None
    run: KeptRun | None = None
    reply: AsyncioFuture[ChatMessage[Any]] | None = None
    """The ask that is under way."""
    context: Context | None = None
    """Trace and log context of the sender; None for one of an earlier process."""
    ended: EndOutcome | None = None
    """How its caller ended it, while it is under way."""

    def begin(self, run: KeptRun, request: RunRequest, timeout: float | None) -> None:
        """Take the run of a delivery that begins, and the seconds that it has."""
        run.turn = f"{self.place}/{self.entry.due}"
        if self.turn is not None:  # else a circle of references would keep each run
            run.pass_turn = self.pass_turn
        if self.run is not None:  # of an attempt before, which has read them
            run.texts, run.also = self.run.texts, self.run.also
        self.run, self.request, self.timeout = run, replace(request, kept=run), timeout

    def pass_turn(self) -> None:
        """Let another message be delivered alone; does nothing without the turn."""
        turn, self.turn = self.turn, None
        if turn is not None:
            turn.release()


class KeptQueue:
    """The open messages of one node, in the order of their acceptance.

    Args:
        node: the node.
        name: name of the mailbox in the journal.
        journal: what keeps the messages.
        is_strict: True if all wait for one that is due later.
        now: wall time.
    """

    is_shared = False
    """True if others put messages into the mailbox as well, so that those are counted that were read."""

    def __init__(
        self,
        node: NodeHandle[Any, Any],
        name: str,
        journal: MailboxJournal,
        *,
        is_strict: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.open = 0
        """Messages that are accepted and not acknowledged, on disk and in memory."""
        self.has_more = True
        """True if the next message is on disk only."""
        self.due_in: float | None = None
        """Seconds until the next message is due, as of the last `next`; None if all are due."""
        self.decode: Callable[[Entry, Any], RunRequest] = decoded
        """Makes the request of an entry for the node. Raises UndecodableError."""
        self._node, self._name, self._journal = node, name, journal
        self.is_strict = is_strict
        self._now = now
        self._line: deque[KeptMessage] = deque()
        self._parked: list[tuple[float, int]] = []
        """When messages are due that are on disk only, and their places: a heap. They take no place in the window."""
        self._ended: dict[bytes, bool] = {}
        """Messages that a load may find and that their callers have ended; True once that is committed."""
        self._last = 0
        """Place of the last message that was put in memory."""
        self._highest = 0
        """Place of the last message that is known."""
        self._recovered: int | None = None
        """Place of the last message of earlier processes; None until it has been in memory."""
        self._own = 0
        """Place of the first message that this process has accepted; 0 before."""
        self._is_loading = self._has_suspects = False
        self._arrived: list[KeptMessage] | None = None
        """All that was accepted during a load; None for too many, and while nothing is loaded."""
        self._noted: dict[int, KeptMessage] = {}  # what was accepted here and is to be read among that of others
        self._drained: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        """Number of messages that wait in memory."""
        return len(self._line)

    @property
    def is_empty(self) -> bool:
        """True if no message waits, in memory or on disk."""
        return not (self._line or self.has_more or self._parked)

    def add(self, entry: Entry, request: RunRequest, timeout: float | None, place: int) -> None:
        """Take note of a message that has just been accepted."""
        if place <= self._last:  # it was read from the disk before this call
            self.open += self._recovered is None or place <= self._recovered  # `load` has counted the later ones
            return
        self.open += 1
        self._highest = max(self._highest, place)
        self._own = self._own or place
        self.has_more = self.has_more or (len(self._line) >= WINDOW and self._due_now() >= WINDOW)
        if self.has_more and self._arrived is None:
            return
        message = self._made(entry, request, timeout, place)
        if not self.has_more:
            self._append(message)
        elif self._arrived is not None and len(self._arrived) < WINDOW:
            self._arrived.append(message)
        else:
            self._arrived = None

    def note(self, entry: Entry, request: RunRequest, timeout: float | None, place: int) -> None:
        """Take note of a message of a journal that others write as well: theirs may come before it."""
        self.has_more = True
        if place > self._last and len(self._noted) < WINDOW:  # else it is on disk only
            self._noted[place] = self._made(entry, request, timeout, place)

    def _made(self, entry: Entry, request: RunRequest, timeout: float | None, place: int) -> KeptMessage:
        message = KeptMessage(entry, place, request, self._node.message_key(request), timeout=timeout)
        message.context = copy_context()
        if timeout is not None:
            message.deadline = self._node.ref().system.clock.now() + timeout
        return message

    def _append(self, message: KeptMessage) -> None:
        """Put a message at the end, but one that is due later on disk only if the line has many of those."""
        self._last, due = message.place, message.entry.due
        if due is None or due <= self._now() or len(self._line) - self._due_now() < WINDOW // 2:
            self._line.append(message)
        else:
            heappush(self._parked, (due, message.place))

    def _due_now(self) -> int:
        return sum(not self._is_later(one) for one in self._line)

    def count_end(self, id: bytes) -> None:
        """Count a message that was acknowledged."""
        if self._ended.pop(id, None) is not None and self._is_loading:
            self._ended[id] = True
        self.open = max(0, self.open - 1)
        if not self.open:
            self.tell_drained()

    async def drained(self) -> None:
        """Wait until no message is open, or `tell_drained` is called."""
        if self.open:
            self._drained = self._drained or asyncio.get_running_loop().create_future()
            await asyncio.shield(self._drained)

    def tell_drained(self) -> None:
        """Let those go on who wait for the last message."""
        drained, self._drained = self._drained, None
        if drained is not None:
            drained.set_result(None)

    def holds(self, id: bytes) -> bool:
        """Return True if a message waits in memory."""
        return any(one.entry.id == id for one in (*self._line, *(self._arrived or ())))

    def take(self, id: bytes) -> KeptMessage:
        """Take a message out, also one that is on disk only."""
        for line in (self._line, self._arrived or []):
            for message in line:
                if message.entry.id == id:
                    line.remove(message)
                    if self._is_loading:  # which may find it on disk
                        self._ended[id] = False
                    return message
        self._ended[id] = False
        return KeptMessage(Entry(id, self._name, "", RUN_KIND, b"", 0.0), 0)

    def put_back(self, message: KeptMessage) -> None:
        """Put a message in its place again."""
        later = next((at for at, one in enumerate(self._line) if one.place > message.place), len(self._line))
        self._line.insert(later, message)
        self._has_suspects = self._has_suspects or message.is_suspect

    def next(self, under_way: Collection[KeptMessage]) -> KeptMessage | None:
        """Take out the message whose turn it is, if there is one. Suspects come first, and one at a time."""
        self.due_in = None
        suspect = None
        if self._has_suspects:
            suspect = next((one for one in self._line if one.is_suspect), None)
            self._has_suspects = suspect is not None or any(one.is_suspect for one in under_way)
        found = (None if under_way else suspect) if self._has_suspects else self._next(under_way)
        if found is not None:
            self._line.remove(found)
        return found

    def _next(self, under_way: Collection[KeptMessage]) -> KeptMessage | None:
        now = self._now()
        if self._parked:
            self.due_in = max(0.0, self._parked[0][0] - now)
        for message in self._line:
            due = message.entry.due
            if due is not None and due > now:
                self.due_in = due - now if self.due_in is None else min(self.due_in, due - now)
                if self.is_strict:
                    return None
            elif message.key is None or all(one.key != message.key for one in under_way):
                return message
        return None

    def _is_later(self, message: KeptMessage) -> bool:
        """Return True if a message is not due, so that it was not under way either."""
        due = message.entry.due
        return due is not None and due > self._now()

    def look(self) -> None:
        """Read again what is on disk, because another process has written."""
        self.has_more, self._arrived = True, None

    def begin_load(self) -> bool:
        """Return True if the next messages have to be read now, by `load`."""
        is_due = bool(self._parked) and self._parked[0][0] <= self._now()
        if self._is_loading or not (self.has_more or is_due) or self._due_now() >= WINDOW // 2:
            return False
        self._is_loading = True
        self._arrived = []
        return True

    async def load(self) -> None:
        """Read the next messages. Raises JournalError."""
        is_first, noted = self._recovered is None and not self._last, {*self._noted}
        try:
            await self._load_parked()
            limit = max(1, WINDOW - self._due_now())
            entries = await self._journal.waiting(self._name, self._last, limit)
        finally:
            self._is_loading, arrived, self._arrived = False, self._arrived, None
        new = [entry for entry in entries if entry.seq > self._last]  # others came into memory meanwhile
        own = {**{one.place: one for one in arrived or ()}, **self._noted}  # with the context of their senders
        found = [own.get(entry.seq) or self._read(entry) for entry in new if entry.id not in self._ended]
        self._ended = {id: False for id, is_committed in self._ended.items() if not is_committed}
        if is_first:
            older = found  # of others, too: what was accepted here is no later than what they put behind it
            if not self.is_shared:
                older = [one for one in found if one.place not in own and (not self._own or one.place < self._own)]
            _suspect([one for one in older if not self._is_later(one)], self._node.most_runs)
        self._has_suspects = self._has_suspects or any(one.is_suspect for one in found)
        for one in found:
            self._append(one)
        self._count(entries)
        is_all = len(entries) < limit
        self._noted = {at: one for at, one in self._noted.items() if at > self._last and not (is_all and at in noted)}
        self.has_more = not is_all or arrived is None or bool(self._noted)
        if not self.has_more:  # what came meanwhile is all that the disk has beyond
            for one in arrived or ():
                if one.place > self._last:
                    self._append(one)
            self._last = self._highest
        if self._recovered is None and not self.has_more:
            self._recovered = self._last

    def _count(self, entries: list[Entry]) -> None:
        self._last = max(self._last, entries[-1].seq) if entries else self._last
        if self.is_shared or self._recovered is not None:
            self.open += sum(entry.seq > self._highest for entry in entries)
        self._highest = max(self._highest, self._last)

    async def _load_parked(self) -> None:
        """Read those that are due now."""
        while self._parked and self._parked[0][0] <= self._now() and self._due_now() < WINDOW:
            place = self._parked[0][1]
            entries = await self._journal.waiting(self._name, place - 1, 1)
            heappop(self._parked)
            for entry in entries:
                if entry.seq == place:  # else it was ended
                    self.put_back(self._read(entry))

    def _read(self, entry: Entry) -> KeptMessage:
        message = KeptMessage(entry, entry.seq, attempt=entry.attempts)
        message.is_suspect = entry.attempts > 0 and not self._is_later(message)
        if self._node.is_serial and entry.kind in (RUN_KIND, ASK_KIND):
            try:
                message.request = decode_run(entry.payload, self._node)
            except UndecodableError:  # told when its turn has come
                return message
            message.key = self._node.message_key(message.request)
        return message


def _suspect(found: list[KeptMessage], most: int) -> None:
    """Mark those that may have been under way when the last process died: the first ones of as many keys.

    Of those that had to wait, it is not known when they could begin: all of them are marked.
    """
    keys: set[Hashable] = set()
    for message in found:
        if message.entry.due is not None:
            message.is_suspect = True
            continue
        key = message.entry.id if message.key is None else message.key
        if len(keys) == most:
            return
        message.is_suspect = message.is_suspect or key not in keys
        keys.add(key)


def time_left(message: KeptMessage, request: RunRequest, clock: Any, now: float) -> float | None:
    """Return the seconds for a run: what its caller has left, or else those of the node, from now on.

    Args:
        message: the message.
        request: its run.
        clock: the clock of the system.
        now: wall time. A clock that was set back by more than `SKEW` revives nothing.
    """
    if message.deadline is not None:
        rest: float = message.deadline - clock.now()
        return rest
    given = request.options.timeout
    node: Any = request.node  # a handle, or a plain actor
    limit = node.timeout if given is UNSET else given
    expires = message.entry.expires
    if expires is None:
        return limit
    accepted = message.entry.accepted
    left = min(expires - now, expires - accepted) if now + SKEW >= accepted else 0.0
    return left if limit is None else min(limit, left)


def decoded(entry: Entry, node: NodeHandle[Any, Any]) -> RunRequest:
    """Return the run that an entry holds. Raises UndecodableError."""
    if entry.kind not in (RUN_KIND, ASK_KIND):
        raise UndecodableError(f"a message of kind {entry.kind!r}, which this version does not know")
    return decode_run(entry.payload, node)
