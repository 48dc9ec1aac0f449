"""Killing a node on purpose, to see that it comes back and that nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from protocols.errors import NodeNotFoundError
from protocols.events import RunStarted, StampedEvent

if TYPE_CHECKING:
    from actors.app import App
    from actors.config.manifest import Manifest
    from actors.runtime.event_stream import Subscription


class Chaos:
    """Kills the actor of one node while a run is on its way to it.

    A node that is the first to work is killed before the run, any other one as soon as the first node works. Either way
    the message for it waits in its mailbox, which outlives the actor, and its next incarnation takes it.
    """

    def __init__(self, app: App, manifest: Manifest, *, victim: str, target: str, say: Callable[[str], object]) -> None:
        """Take whom to kill in a run of which node; NodeNotFoundError when there is no such node."""
        if victim not in manifest.nodes:
            raise NodeNotFoundError.of(victim, manifest.nodes, where="manifest")
        self._app = app
        self._victim = victim
        self._is_first = victim in _first(manifest, target)
        self._teams = frozenset(manifest.teams)
        self._say = say
        self._subscription: Subscription | None = None

    async def begin(self) -> None:
        """Kill it now, or wait for the right moment."""
        if self._is_first:
            await self._kill()
        else:
            self._subscription = self._app.system.events.subscribe(self._on_event, [RunStarted])

    def _on_event(self, event: StampedEvent) -> None:
        if event.actor not in self._teams and event.actor != self._victim and self._subscription is not None:
            self._subscription.cancel()
            self._subscription = None
            self._kill()

    def _kill(self) -> Any:
        self._say(f"{self._victim}: killed (--chaos)")
        return self._app.pool[self._victim].ref().kill(block=False)


def _first(manifest: Manifest, node: str) -> set[str]:
    """Return the nodes that a run of a node begins with, itself included."""
    team = manifest.teams.get(node)
    if team is None:
        return {node}
    members = team.members if team.mode == "parallel" else team.members[:1]
    return {node}.union(*(_first(manifest, member) for member in members))
