"""`TeamActor`: the supervisor behind a team. It restarts the members without another owner."""

import weakref
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Protocol, cast

from actors.nodes.team_settings import TeamSettings
from actors.runs.handle import NodeHandle
from actors.runs.node_actor import NodeActor
from actors.runs.request import Runnable
from actors.runtime.ref import ActorRef
from actors.supervision.child import ChildSpec
from actors.supervision.supervisor import Supervisor
from protocols.control import Terminated


class KeepAlive:
    """Keeps the actor of a team alive. The team and the members that are children of the actor hold it.

    The actor stops when its last holder is gone, so a team made for one run does not stop members that are still used.
    """

    __slots__ = ("__weakref__", "name")

    def __init__(self, name: str) -> None:
        self.name = name


class TeamView(Protocol):
    """A team as its actor sees it, besides what every node has."""

    lease: KeepAlive
    """Keeps the actor alive."""

    @property
    def settings(self) -> TeamSettings:
        """How the team works."""
        ...

    def members(self) -> "Sequence[NodeHandle[Any, Any]]":
        """Return all nodes that the team supervises, each once."""
        ...


class TeamActor(NodeActor, Supervisor):  # pyright: ignore[reportIncompatibleVariableOverride] - that of the node holds
    """Runs the requests of a team and supervises its members.

    A member without an owner becomes a child. The actor watches a member that has an owner or runs already, and takes
    it over when the member stops together with its owner. The requests hold the team and its members; the actor holds
    them weakly.
    """

    lends_children: ClassVar[bool] = True
    """A child may start again after this supervisor has stopped: the next team that needs the child starts it."""

    def __init__(self, node: TeamView) -> None:
        options = node.settings
        super().__init__(
            cast("Runnable", node), strategy=options.strategy, intensity=options.intensity, backoff=options.backoff
        )
        self._team = weakref.ref(node)
        self._watched: dict[ActorRef[Any], weakref.ref[NodeHandle[Any, Any]]] = {}

    async def on_start(self) -> None:
        """Start the members without an owner, in order."""
        # A generator, because the owner of a member is only known when its turn comes.
        self._actor_specs = cast("tuple[ChildSpec, ...]", self._unowned())
        await super().on_start()

    def _unowned(self) -> Iterator[ChildSpec]:
        team = self._team()
        for member in () if team is None else team.members():
            if self._is_free(member):
                assert team is not None
                member.home.lease = team.lease
                yield self._spec(member, team)

    def _is_free(self, member: "NodeHandle[Any, Any]") -> bool:
        """Return True if a member can become a child. Watch a member that runs already."""
        ref = member.home.find()
        if ref is not None:
            self._watched[ref] = weakref.ref(member)
            self.watch(ref)
        return ref is None and not member.home.is_owned

    def _spec(self, member: "NodeHandle[Any, Any]", team: TeamView | None) -> ChildSpec:
        options: dict[str, Any] = {"restart": "transient"}
        if team is not None:
            options |= team.settings.member_specs.get(member.name, {})
        return ChildSpec(member.factory(), name=member.name, **options)

    def on_terminated(self, terminated: Terminated) -> None:
        """Take over a member after the end of its owner, unless the owner has given it up.

        A team without an owner stops with its last member, such as at the end of a pool. Its next run starts it again.
        """
        found = self._watched.pop(terminated.ref, None)
        member = None if found is None else found()
        is_lost = member is None or member.is_closed or terminated.reason.is_abnormal
        if member is not None and not is_lost and self._is_free(member):
            self.start_child(self._spec(member, self._team()))
        elif not self._watched and not self.children() and self._actor_cell.parent is None:
            self.stop()
