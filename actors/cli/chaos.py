"""Break a node on purpose, to show that it comes back and that no message is lost."""

from typing import Any

from actors.app import App
from actors.config.manifest import Manifest
from actors.runs.request import AddContext
from actors.runtime.event_stream import Subscription
from protocols.errors import NodeNotFoundError
from protocols.events import RunStarted, StampedEvent


class ChaosError(Exception):
    """The crash of an actor that was broken on purpose."""


class _Poison:
    """Takes the place of a node, and breaks the actor that uses it."""

    def keep_context(self, _text: str, _session: str | None) -> None:
        raise ChaosError("broken on purpose (--chaos)")


class Chaos:
    """Breaks the actor of one node while a run is on its way to it.

    A node that works first breaks before the run begins. Any other node breaks as soon as the first node works. The
    message of the run waits in the mailbox, which outlives the actor; the next incarnation handles it.

    Args:
        app: the running pool.
        manifest: its manifest.
        victim: name of the node to break.
        target: name of the node that runs.

    Raises:
        NodeNotFoundError: the manifest has no node `victim`.
    """

    def __init__(self, app: App, manifest: Manifest, *, victim: str, target: str) -> None:
        if victim not in manifest.nodes:
            raise NodeNotFoundError.of(victim, manifest.nodes, where="manifest")
        self._app = app
        self._victim = victim
        self._is_first = victim in _first(manifest, target)
        self._teams = frozenset(manifest.teams)
        self._subscription: Subscription | None = None

    def begin(self) -> None:
        """Break the node now, or subscribe for the moment to do it."""
        if self._is_first:
            self._break()
        else:
            self._subscription = self._app.system.events.subscribe(self._on_event, [RunStarted])

    def _on_event(self, event: StampedEvent) -> None:
        if event.actor not in self._teams and event.actor != self._victim and self._subscription is not None:
            self._subscription.cancel()
            self._subscription = None
            self._break()

    def _break(self) -> None:
        poison: Any = _Poison()
        self._app.pool[self._victim].ref().tell(AddContext(poison, ""))


def _first(manifest: Manifest, node: str) -> set[str]:
    """Return the nodes that a run of a node begins with, the node included."""
    team = manifest.teams.get(node)
    if team is None:
        return {node}
    members = team.members if team.mode == "parallel" else team.members[:1]
    return {node}.union(*(_first(manifest, member) for member in members))
