"""`MessageNode`: what users hold of every node. It runs, connects and combines."""

from __future__ import annotations

from actors.nodes.handle import Deps, NodeHandle, Out


class MessageNode(NodeHandle[Deps, Out]):
    """Anything that takes messages and answers them: an agent, a team, a chain.

    A node is a handle: it holds configuration, and its actor does the work. It may be used from several event loops.
    """
