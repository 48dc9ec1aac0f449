"""The memories of one agent: its own, and one for each session of the people it talks to."""

import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from weakref import WeakValueDictionary

from pydantic_ai.messages import ModelMessage

from actors.agents.memory import Memory, dump_messages
from actors.runtime.envelope import current
from actors.runtime.log import warn_once
from protocols.clock import Clock
from protocols.session import OWN

DEFAULT_SESSIONS = 1_000
"""Sessions that are kept in memory by default."""
DEFAULT_CONCURRENCY = 100
"""Runs of an agent with memory that may be open at the same time by default."""
MOST_BYTES = 256 * 1024 * 1024
"""Most bytes of data in the memories of all sessions together."""


class Sessions:
    """Keeps the memories of the sessions that were used last. A run of a session has its memory to itself.

    The runs of one session go on one after the other, those of different sessions at the same time. Safe in threads.

    Args:
        make: makes an empty memory.
        most: sessions to keep; the one that was not used for the longest time goes first.
        lifetime: seconds after its last run in which a session is kept; None for no limit.
    """

    def __init__(self, make: Callable[[], Memory], most: int = DEFAULT_SESSIONS, lifetime: float | None = None) -> None:
        self.own = make()
        """What the agent remembers of runs without a session."""
        self.load: Callable[[str], Awaitable[Sequence[ModelMessage]]] | None = None
        """Returns the stored messages of a session that is not in memory; None if nothing is stored."""
        self._make = make
        self._most = most
        self._lifetime = lifetime
        self._kept: OrderedDict[str, tuple[Memory, int, float]] = OrderedDict()
        """The memory of each session, its bytes, and when it was used last."""
        self._bytes = 0
        self._clock: Clock | None = None
        """That of the system of the last run; None without a `lifetime`, and before the first run."""
        self._used: WeakValueDictionary[str, Memory] = WeakValueDictionary()
        """The memories that are kept, and those of open runs."""
        self._lock = threading.Lock()

    def names(self) -> tuple[str, ...]:
        """Return the sessions in memory; the one that was used last comes last."""
        self._expire()
        with self._lock:
            return tuple(self._kept)

    def get(self, session: str) -> tuple[ModelMessage, ...]:
        """Return what is in memory of a session, oldest first. Empty for an unknown session."""
        self._expire()
        memory = self._used.get(session)
        return () if memory is None else memory.messages

    def export(self, session: str) -> bytes:
        """Return what is in memory of a session as JSON."""
        return dump_messages(self.get(session))

    def forget(self, session: str) -> bool:
        """Delete a session, and what its open runs would add. Returns True if it was in memory."""
        with self._lock:
            memory = self._used.pop(session, None)
            self._bytes -= self._kept.pop(session, (None, 0, 0.0))[1]
        if memory is not None:
            memory.forget()
        return memory is not None

    def reset(self) -> None:
        """Forget all that is in memory, and what open runs would add. What is stored is read again."""
        with self._lock:
            for memory in (self.own, *self._used.values()):
                memory.forget()
            self.own, self._bytes = self._make(), 0
            self._kept.clear()
            self._used.clear()

    async def open(self, session: str) -> Memory:
        """Return the memory for a run of a session, or that of the agent itself (`OWN`)."""
        if session == OWN:
            return self.own
        self._expire()
        memory = self._used.get(session)
        if memory is None:
            stored = () if self.load is None else await self.load(session)
            with self._lock:
                memory = self._used.setdefault(session, self._make())
            if stored and not memory.messages:
                memory.replace(stored)
        return memory

    def keep(self, session: str, memory: Memory) -> None:
        """Keep the memory of a run that was successful, as the one that was used last."""
        if session == OWN or memory.is_forgotten:
            return
        if self._lifetime is not None and (scope := current.get()) is not None:
            self._clock = scope.cell.system.clock
        with self._lock:
            size = memory.size
            self._bytes += size - self._kept.pop(session, (None, 0, 0.0))[1]
            self._kept[session] = (memory, size, 0.0 if self._clock is None else self._clock.now())
            is_full = False
            while len(self._kept) > self._most or (self._bytes > MOST_BYTES and len(self._kept) > 1):
                _, (_, size, _) = self._kept.popitem(last=False)
                self._bytes -= size
                is_full = True
        if is_full and self.load is None:
            warn_once("an agent has more sessions than it may keep, and forgets the oldest; add `storage` to keep them")

    def _expire(self) -> None:
        if self._lifetime is None or self._clock is None:
            return
        kept, due = self._kept, self._clock.now() - self._lifetime
        with self._lock:  # a session with an open run is not lost by it: the run has its memory, and keeps it again
            while (oldest := next(iter(kept), None)) is not None and kept[oldest][2] <= due:
                self._bytes -= kept.pop(oldest)[1]
