"""`TeamActor`: the supervisor behind a team. It keeps the members running that nobody else owns."""

import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, cast

from actors.runs.node_actor import is_owned, serve
from actors.runs.open_runs import OpenRuns
from actors.runs.reconfigure import Renewal
from actors.runs.request import AddContext, RunRequest, Settle
from actors.supervision.child import ChildSpec
from actors.supervision.supervisor import Supervisor
from protocols.control import Terminated

if TYPE_CHECKING:
    from actors.nodes.base_team import BaseTeam
    from actors.runs.handle import NodeHandle
    from actors.runtime.ref import ActorRef


class TeamActor(Supervisor):
    """Runs the requests of a team, and supervises its members.

    A member that nobody owns becomes a child; one that belongs to somebody else, or runs already, is watched, and taken
    in when it has ended together with its owner. The actor holds the team and its members weakly: the requests hold
    them.
    """

    lends_children: ClassVar[bool] = True
    """Children do not end with this supervisor for good: the next one that needs them starts them again."""

    def __init__(self, node: "BaseTeam[Any, Any]") -> None:
        options = node.settings
        super().__init__(strategy=options.strategy, intensity=options.intensity, backoff=options.backoff)
        self._team = weakref.ref(node)
        self._watched: dict[ActorRef[Any], weakref.ref[NodeHandle[Any, Any]]] = {}
        cell = self.cell
        self.ledger = OpenRuns(cell.system.events)
        node.home.settle(cell.ref, cell.loop, is_owned=is_owned(cell))

    async def on_start(self) -> None:
        """Start the members that nobody owns, in their order."""
        # A generator, because whether somebody owns a member is only known when its turn comes.
        self._specs = cast("tuple[ChildSpec, ...]", self._unowned())
        await super().on_start()

    def _unowned(self) -> Iterator[ChildSpec]:
        team = self._team()
        for member in () if team is None else team.members():
            if self._is_free(member):
                assert team is not None
                member.home.lease = team.lease
                yield self._spec(member, team)

    def _is_free(self, member: "NodeHandle[Any, Any]") -> bool:
        """Whether a member can become a child; one that runs already is watched instead."""
        ref = member.home.find()
        if ref is not None:
            self._watched[ref] = weakref.ref(member)
            self.watch(ref)
        return ref is None and not member.home.is_owned

    def _spec(self, member: "NodeHandle[Any, Any]", team: "BaseTeam[Any, Any] | None") -> ChildSpec:
        options: dict[str, Any] = {"restart": "transient"}
        if team is not None:
            options |= team.settings.member_specs.get(member.name, {})
        return ChildSpec(member.factory(), name=member.name, **options)

    def on_receive(self, message: Any) -> Any:
        """Handle one request."""
        if type(message) is RunRequest:
            return serve(self, message, self.ledger)
        if type(message) is AddContext:
            return message.node.keep_context(message.text)
        if type(message) is Settle:
            return self.ledger.settled()
        if type(message) is Renewal:
            return message.applied_by(self)
        return self.unhandled(message)

    def on_terminated(self, terminated: Terminated) -> None:
        """Take a member in whose owner has ended; one that its owner has given up stays as it is.

        A team that nobody owns ends with its last member, such as at the end of their pool; its next run starts it.
        """
        found = self._watched.pop(terminated.ref, None)
        member = None if found is None else found()
        is_lost = member is None or member.is_closed or terminated.reason.is_abnormal
        if member is not None and not is_lost and self._is_free(member):
            self.start_child(self._spec(member, self._team()))
        elif not self._watched and not self.children() and self.cell.parent is None:
            self.stop()
