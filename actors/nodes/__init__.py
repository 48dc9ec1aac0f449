"""Nodes and what connects and combines them: teams, chains, operators."""

from actors.nodes.node import AnyNode, MessageNode
from actors.nodes.team import Team
from actors.nodes.team_run import TeamRun

__all__ = ["AnyNode", "MessageNode", "Team", "TeamRun"]
