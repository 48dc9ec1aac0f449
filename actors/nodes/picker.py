"""Having a node choose the members that work on a task."""
from collections.abc import Sequence
from typing import Any
from actors.nodes.node import MessageNode
from actors.nodes.team_settings import TeamSettings
AnyNode = MessageNode[Any, Any]

async def pick(settings: TeamSettings, team: str, nodes: Sequence[AnyNode], task: str) -> Sequence[AnyNode]:
    raise NotImplementedError
