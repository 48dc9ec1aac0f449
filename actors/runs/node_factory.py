"""What makes the actor of a node: the engine keeps it for restarts, so it holds the node weakly."""

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actors.runs.node_actor import NodeActor
from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import IgnoreStart
from actors.runtime.mailbox import MailboxConfig

if TYPE_CHECKING:
    from actors.runs.handle import NodeHandle
    from actors.supervision.child import ChildKind


class NodeFactory:
    """Makes a node's actor and carries what the engine asks an actor class for."""

    def __init__(
        self,
        node: "NodeHandle[Any, Any]",
        *,
        actor_class: Callable[[Any], AsyncioActor] = NodeActor,
        max_concurrency: int = 1,
        mailbox: MailboxConfig | None = None,
    ) -> None:
        """Take the node, the class of its actor, how many runs go on at once, and the mailbox."""
        self._node = weakref.ref(node)
        self._class = actor_class
        self.__name__ = node.name
        self.max_concurrency = max_concurrency
        self.mailbox = mailbox
        self.ask_timeout: float | None = None
        self.child_kind: ChildKind = getattr(actor_class, "child_kind", "worker")

    def __call__(self) -> AsyncioActor:
        """Make the actor.

        Raises:
            IgnoreStart: when nobody holds the node any more.
        """
        node = self._node()
        if node is None:
            raise IgnoreStart
        return self._class(node)
