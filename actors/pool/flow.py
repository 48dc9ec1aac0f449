"""`PoolFlow`: the connections of a pool's nodes, seen together."""

from __future__ import annotations

from typing import Any

from actors.talk.diagram import mermaid
from actors.talk.flow_tracker import FlowTracker
from actors.talk.registry import TalkRegistry
from actors.talk.team_talk import TeamTalk


class PoolFlow:
    """What a pool shows of its connections."""

    def __init__(self) -> None:
        """Begin without connections."""
        super().__init__()
        self.connection_registry = TalkRegistry()
        """The connections of all nodes by name."""

    @property
    def pool_talk(self) -> TeamTalk:
        """The connections of all nodes, as one: numbers, `when`, `paused`, `trigger`."""
        return TeamTalk(self.connection_registry.values())

    def track_message_flow(self) -> FlowTracker:
        """Return what records the messages that the connections handle, later ones too: ``async with``."""
        return FlowTracker(self.connection_registry)

    def get_mermaid_diagram(self, *, include_details: bool = True) -> str:
        """Return all connections as the text of a mermaid flowchart.

        Args:
            include_details: whether kind, queue and conditions are written on the lines.
        """
        talks: Any = self.connection_registry.values()
        return mermaid(talks, has_details=include_details)
