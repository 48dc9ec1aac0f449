"""`Reconfigure`: a node becomes like another one when its turn in the mailbox comes, so that no accepted run is cut."""

from collections.abc import Coroutine
from typing import Any, Protocol

from actors.runs.lifecycle import NodeLifecycle
from actors.runs.open_runs import OpenRuns
from actors.runs.resources import OpenResources


class Keeping(Protocol):
    """An actor that keeps a ledger of its runs."""

    ledger: OpenRuns


class Reconfigure:
    """Asks the actor of a node to have the node become like `other`.

    Is answered when every run that began before has ended. Runs that were accepted before it are done as before, those
    that come later are done as the other node would.
    """

    __slots__ = ("_before", "_is_applied", "_opened", "_other", "node")

    def __init__(self, node: NodeLifecycle, other: NodeLifecycle, opened: OpenResources) -> None:
        """Take the node, another one of its kind that nobody uses, and what that one needs, entered."""
        self.node = node
        self._other = other
        self._opened = opened
        self._before: OpenResources | None = None
        self._is_applied = False

    def apply(self) -> None:
        """Do it, if it has not been done."""
        if not self._is_applied:
            self._is_applied = True
            self._before = self.node.reconfigure(self._other, self._opened)

    def applied_by(self, actor: Keeping) -> Coroutine[Any, Any, None]:
        """Do it inside the actor, and return what waits for the runs that began before."""
        earlier = actor.ledger
        actor.ledger = OpenRuns(earlier.events, earlier)
        self.apply()
        return earlier.settled()

    async def close(self) -> None:
        """Close what the node needed before."""
        before, self._before = self._before, None
        if before is not None:
            await before.close()
