"""Where a node lives that keeps nothing, and lives at one host of the cluster at a time."""

from typing import Any

from actors.agents.agent import Agent
from actors.cluster.remote_run import RemoteRun
from actors.cluster.tenure import HostView
from actors.nodes.node import AnyNode
from actors.runs.handle import NodeHandle
from actors.runs.request import AddContext, RunRequest
from actors.runtime.actor import AsyncioActor
from actors.supervision.replicas import workers_of
from protocols.cluster import Lease
from protocols.errors import HostLostError
from protocols.transport import Context


class SinglePlace:
    """The tenures of one node. Runs that come to its actor while it lives elsewhere are asked at its host.

    Args:
        host: this host.
        node: the node.
        name: its address, as other hosts know it.
    """

    def __init__(self, host: HostView, node: AnyNode, name: str) -> None:
        self.node = node
        self.name = name
        self._host = host
        self._lease: Lease | None = None

    @property
    def is_here(self) -> bool:
        """True while the node is certain to live at this host."""
        return self._lease is not None and self._host.is_good(self._lease)

    @property
    def is_working(self) -> bool:
        """True while a run is under way here."""
        return bool(_turns(self.node))

    @property
    def open(self) -> int:
        """Runs that wait here or are under way."""
        ref = self.node.home.find()
        return 0 if ref is None else ref.statistics().depth + len(_turns(self.node))

    busy = open

    @property
    def parts(self) -> "tuple[SinglePlace]":
        """The places of the node: this one."""
        return (self,)

    async def gain(self, lease: Lease) -> None:
        """Let the node live here, without what it remembers of an earlier tenure."""
        forget(self.node)
        if self._host.holds(lease):
            self._lease = lease

    def pause(self, lease: Lease) -> None:
        """Begin no more runs here."""
        if self._lease == lease:
            self._lease = None

    async def lose(self, lease: Lease) -> None:
        """End what is under way here, and forget what the node remembers."""
        self.pause(lease)
        if self._lease is None:
            cut_off(self.node)
            forget(self.node)

    def pass_on(self, actor: AsyncioActor, message: RunRequest | AddContext, runs: object) -> None:
        """Have the host of the node handle what has come to its actor here; see `Runnable.place`."""
        if isinstance(message, RunRequest):
            RemoteRun(message, self._host.live.ask, self._host.live.asks).begin(actor)
        else:
            self._host.live.tell(self.name, Context(self.name, message.text, message.session))

    async def forget(self, session: str) -> None:
        """Have the node forget a session, if it lives at another host."""
        if not self.is_here:
            self._host.live.tell(self.name, Context(self.name, "", session))

    def resume(self) -> None:
        """Do nothing: what waits is in the mailbox of the actor."""

    def count(self, number: int) -> None:
        """Do nothing: no message of the node is kept."""

    async def look(self, name: str) -> None:
        """Do nothing: no message of the node is kept."""


def forget(node: NodeHandle[Any, Any]) -> None:
    """Have a node forget what it remembers."""
    node.notes.clear()
    if isinstance(node, Agent) and (sessions := node.execution.sessions) is not None:
        sessions.reset()


def cut_off(node: NodeHandle[Any, Any]) -> None:
    """End the runs of a node that are under way in memory, as the node lives elsewhere now."""
    for turn in tuple(_turns(node)):
        message, reply = turn.envelope.message, turn.envelope.reply
        is_own = isinstance(message, RunRequest) and (message.kept is None or message.kept.is_part)
        if is_own and reply is not None:  # the journal has the others
            reply.fail(lost_run(node.name, "its host has lost it"))


def lost_run(node: str, why: str) -> HostLostError:
    """Return the error of a run in memory whose end is not known."""
    text = f"node {node!r}: {why} while it had the run, so whether the run was done is not known; "
    return HostLostError(text + "run it again if that does no harm, or make the node durable", node=node)


def _turns(node: NodeHandle[Any, Any]) -> Any:
    ref = node.home.find()
    return [turn for cell in workers_of(() if ref is None else (ref,)) for turn in cell.turns or ()]
