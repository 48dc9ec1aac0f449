"""`MessageNode`: what users hold of every node. It runs, connects and combines."""

from typing import Any

from pydantic_ai.tools import Tool

from actors.nodes.handle import Deps, NodeHandle, Out
from actors.nodes.node_tool import tool_of


class MessageNode(NodeHandle[Deps, Out]):
    """Anything that takes messages and answers them: an agent, a team, a chain.

    A node is a handle: it holds configuration, and its actor does the work. It may be used from several event loops.
    """

    def to_tool(self, *, name: str | None = None, description: str | None = None) -> Tool[Any]:
        """Return a tool of pydantic_ai that runs this node with a prompt and gives back the content of its answer.

        The deadline and the cancellation of the run that uses the tool reach this node, and its limits of usage hold
        for both together.

        Args:
            name: by default ``ask_<name of the node>``.
            description: by default says whom it asks and what for.
        """
        return tool_of(self, name=name, description=description)
