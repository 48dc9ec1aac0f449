"""Having a node choose the members that work on a task."""

from collections.abc import Sequence
from typing import Any

from actors.nodes.node import MessageNode
from actors.nodes.team_settings import TeamSettings
from actors.runs.selection import MultiPick, Pick, SelectionRules, choose

AnyNode = MessageNode[Any, Any]


async def pick(settings: TeamSettings, team: str, nodes: Sequence[AnyNode], task: str) -> Sequence[AnyNode]:
    """Ask the picker of a team which members work on a task, and return them in the order of its answer.

    The picker is any node. It is told to answer with `Pick` or `MultiPick`; a function may as well return the names, or
    the nodes themselves.

    Raises:
        PickError: it answered an unknown member, one twice, too few or too many.
    """
    number = settings.num_picks
    ballot = SelectionRules(
        tuple(dict.fromkeys(nodes)), f"team {team!r}: the picker", "member", least=number or 1, most=number
    )
    kind = Pick if number == 1 else MultiPick
    choice = await choose(settings.picker, ballot, task, settings.pick_prompt, kind=kind)
    return choice.selections
