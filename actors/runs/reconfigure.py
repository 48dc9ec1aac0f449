"""A node takes over another definition in its turn of the mailbox, so no accepted run is cut."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from actors.runs.lifecycle import NodeLifecycle
from actors.runs.resources import OpenResources
from actors.runtime.event_stream import EventStream


class OpenRuns:
    """Counts the open runs of one actor, on its loop. `serve` counts, and calls `check` if a caller waits.

    `events` is where the runs are published, `earlier` the counter of the runs that began before this one.
    """

    __slots__ = ("_earlier", "_idle", "events", "is_awaited", "open")

    def __init__(self, events: EventStream, earlier: "OpenRuns | None" = None) -> None:
        self.events = events
        self._earlier = earlier
        self.open = 0
        """Number of open runs."""
        self.is_awaited = False
        """True while a caller waits for the end of all runs."""
        self._idle = asyncio.Event()

    def check(self) -> None:
        """Wake the waiting callers if no run is open."""
        if not self.open:
            self.is_awaited = False
            self._idle.set()

    async def settled(self) -> None:
        """Wait until no run is open."""
        if self._earlier is not None:
            await self._earlier.settled()
            self._earlier = None
        while self.open:
            self.is_awaited = True
            self._idle.clear()
            await self._idle.wait()


class Reconfigure:
    """Asks the actor of a node to give the node the definition of `other`.

    The reply arrives after the end of every run that began before. Runs that were accepted before use the old
    definition, later ones the new. `other` is an unused node of the same kind, `opened` its open resources.
    """

    __slots__ = ("_before", "_is_applied", "_opened", "_other", "node")

    def __init__(self, node: NodeLifecycle, other: NodeLifecycle, opened: OpenResources) -> None:
        self.node = node
        self._other = other
        self._opened = opened
        self._before: OpenResources | None = None
        self._is_applied = False

    def apply(self) -> None:
        """Change the node, once."""
        if not self._is_applied:
            self._is_applied = True
            self._before = self.node.reconfigure(self._other, self._opened)

    def applied_by(self, actor: Any) -> Coroutine[Any, Any, None]:
        """Change the node inside its actor, and return what waits for the runs that began before."""
        earlier: OpenRuns = actor.runs
        actor.runs = OpenRuns(earlier.events, earlier)
        self.apply()
        return earlier.settled()

    async def close(self) -> None:
        """Close the resources that the node had before."""
        before, self._before = self._before, None
        if before is not None:
            await before.close()
