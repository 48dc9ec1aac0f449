"""Break a node on purpose, to show that it comes back and that its work is done."""

from typing import Any

from msgspec.structs import replace

from actors.app import App


class ChaosError(BaseException):
    """The crash of a node that was broken on purpose. No code of a run takes it for a failure."""


class Chaos:
    """Breaks the actor of one node once, while it has the message of a run in its hands.

    The node is told to redeliver: its next incarnation does the run again, and the answer is complete.

    Args:
        app: the running pool.
        victim: name of the node to break.
    """

    def __init__(self, app: App, victim: str) -> None:
        self._node = app.pool[victim]

    def begin(self) -> None:
        """Break the node at the next message that it takes."""
        node = self._node
        node.definition = replace(node.definition, settings=replace(node.definition.settings, redeliver=True))
        node.message_received.connect(self._break)

    def _break(self, _message: Any) -> None:
        self._node.message_received.disconnect(self._break)
        reason = "broken on purpose (--chaos)"
        raise ChaosError(reason)
