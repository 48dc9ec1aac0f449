"""`Definition`: everything that a node is made with, as one frozen value."""

import msgspec

from actors.runs.request import DEFAULT_TIMEOUT


class NodeSettings(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Settings that every node has."""

    description: str | None = None
    """What the node is good for. Pickers read it, and models that use the node as a tool."""
    display_name: str | None = None
    """Name for people."""
    timeout: float | None = DEFAULT_TIMEOUT
    """Seconds that a run may take unless it says otherwise, waiting for earlier runs included. None for no limit."""
    crash_on: tuple[type[Exception], ...] = ()
    """Exceptions of a run that crash the actor of the node, so that its supervisor restarts it."""


class Definition(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What a node is made with. A node holds one definition, and a reload gives the node another one.

    The subclasses name what a kind of node needs: `AgentDefinition`, `TeamDefinition`.
    """

    settings: NodeSettings = NodeSettings()
