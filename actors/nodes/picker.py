"""Having a node choose the members that work on a task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from actors.nodes.node import MessageNode
from actors.nodes.team_settings import TeamSettings
from protocols.errors import PickError, nearest

AnyNode = MessageNode[Any, Any]


@dataclass(frozen=True)
class Pick:
    """Exactly one option."""

    selection: str
    """Name of the option."""
    reason: str = ""
    """Why this one."""


@dataclass(frozen=True)
class MultiPick:
    """Several options, in the order in which they are to be used."""

    selections: list[str] = field(default_factory=list[str])
    """Names of the options."""
    reason: str = ""
    """Why these."""


async def pick(settings: TeamSettings, team: str, nodes: Sequence[AnyNode], task: str) -> Sequence[AnyNode]:
    """Ask the picker of a team which members work on a task, and return them in the order of its answer.

    The picker is any node. It is told to answer with `Pick` or `MultiPick`; a function may as well return the names, or
    the nodes themselves.

    Raises:
        PickError: it answered an unknown member, one twice, too few or too many.
    """
    prompt = settings.pick_prompt or _question(task, nodes, settings.num_picks)
    kind: Any = Pick if settings.num_picks == 1 else MultiPick
    answer = await settings.picker.run(prompt, output_type=kind, store_history=False)
    labels = _labels(answer.content, team, settings.picker.name)
    _check_number(labels, settings.num_picks, team)
    return [_found(label, nodes, team) for label in labels]


def _question(task: str, nodes: Sequence[AnyNode], number: int | None) -> str:
    options = "\n".join(f"- {node.name}: {_one_line(node)}" for node in nodes)
    many = "at least one option" if number is None else f"exactly {number} option{'s' if number > 1 else ''}"
    return f"Task:\n{task}\n\nOptions:\n{options}\n\nChoose {many} for this task. Answer with the exact names."


def _one_line(node: AnyNode) -> str:
    return " ".join((node.description or node.display_name).split())


def _labels(content: object, team: str, picker: str) -> list[str]:
    """Read names out of what a picker answered."""
    chosen: object = content
    for key in ("selections", "selection"):
        value: object = (
            cast("Mapping[str, object]", content).get(key)
            if isinstance(content, Mapping)
            else getattr(content, key, None)
        )
        if value is not None:
            chosen = value
            break
    items = cast("Sequence[object]", chosen) if isinstance(chosen, list | tuple) else (chosen,)
    labels = [item.name if isinstance(item, MessageNode) else item for item in cast("Sequence[Any]", items)]
    if not all(isinstance(label, str) for label in labels):
        msg = f"team {team!r}: picker {picker!r} answered {content!r}; it must answer with names of members"
        raise PickError(msg, node=picker)
    return [label.strip() for label in labels]


def _check_number(labels: Sequence[str], number: int | None, team: str) -> None:
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        msg = f"team {team!r}: the picker chose {twice!r} twice"
        raise PickError(msg, node=team)
    if number is None and not labels:
        msg = f"team {team!r}: the picker chose nobody; at least one is needed"
        raise PickError(msg, node=team)
    if number is not None and len(labels) != number:
        problem = "few" if len(labels) < number else "many"
        msg = f"team {team!r}: the picker chose too {problem}: {len(labels)} instead of {number}: {list(labels)!r}"
        raise PickError(msg, node=team)


def _found(label: str, nodes: Sequence[AnyNode], team: str) -> AnyNode:
    for node in nodes:
        if node.name == label:
            return node
    hint = nearest(label, [node.name for node in nodes])
    msg = f"team {team!r}: the picker chose {label!r}, which is no member{hint}"
    raise PickError(msg, node=team)
