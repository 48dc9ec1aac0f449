"""`NodeRouter`: the actor of a node with replicas. It has the mailbox of the node, the replicas do the runs."""

import weakref
from typing import Any, ClassVar, Protocol, cast

from actors.runs.node_actor import UNLIMITED, NodeActor, NodeFactory
from actors.runs.reconfigure import Reconfigure
from actors.runs.request import Runnable, RunRequest
from actors.supervision.child import ChildKind, ChildSpec
from actors.supervision.children import Children
from actors.supervision.replicas import Routing
from actors.supervision.router import Router

PLACES = 100
"""Runs of one replica at the same time, if the node has no limit: what waits is to wait in the mailbox of the node."""


class NodeView(Protocol):
    """A node as its router sees it, besides what every node has."""

    name: str

    @property
    def max_concurrency(self) -> int:
        """How many runs of one actor go on at the same time."""
        ...

    @property
    def replicas(self) -> int:
        """How many actors share the runs."""
        ...

    @property
    def routing(self) -> Routing:
        """Which of them gets a run."""
        ...


class Replica(NodeActor):
    """One of the actors that share the runs of a node."""

    is_address: ClassVar[bool] = False


class NodeRouter(NodeActor, Router):  # pyright: ignore[reportIncompatibleVariableOverride] - that of the node holds
    """Keeps the runs of each memory in order, as the one actor of a node does, and has its replicas do them.

    What a node remembers belongs to the node, so each replica can do the next run of a session.
    """

    child_kind: ClassVar[ChildKind] = "worker"
    """It stops within the time that the node has, not within that of a subtree."""

    def __init__(self, node: NodeView) -> None:
        parent = self._actor_cell.parent  # its limits hold for the replicas as well
        limits = parent.supervision.limits if parent and isinstance(parent.supervision, Children) else {}
        options = {"spec": _spec(node), "replicas": node.replicas, "routing": node.routing, **limits}
        super().__init__(cast("Runnable", node), **options)
        self._replicated = weakref.ref(node)

    def on_receive(self, message: Any) -> Any:
        """Have a replica do a run; do the rest itself."""
        if type(message) is RunRequest:
            return self._share(message)
        done = super().on_receive(message)
        if type(message) is Reconfigure:
            self._follow()
        return done

    async def _share(self, request: RunRequest) -> None:
        runs = self.runs
        runs.open += 1
        try:
            self._follow()
            await Router.on_receive(self, request)
        finally:
            runs.open -= 1
            if runs.is_awaited:
                runs.check()

    def _follow(self) -> None:
        """Have as many replicas as the node says now. A node without any gets another actor."""
        node = self._replicated()
        known = self._actor_replicas
        if node is None or node.replicas == 1:
            return
        if _places(node) != known.places:
            known.follow(_spec(node))
            known.fit()
        if node.replicas != len(known.staying):
            self.resize(node.replicas)


def router_factory(node: Any) -> NodeFactory:
    """Return what makes the actor of a node with replicas."""
    return NodeFactory(node, NodeRouter, _places(node) * node.replicas)


def _places(node: NodeView) -> int:
    return node.max_concurrency if node.max_concurrency < UNLIMITED else PLACES


def _spec(node: NodeView) -> ChildSpec:
    factory = NodeFactory(cast("Runnable", node), Replica, _places(node))
    return ChildSpec(factory, name=node.name, shutdown="kill")  # a run that is left has had the time of the router
