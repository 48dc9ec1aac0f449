"""Agents, teams and connections of a manifest as a graph, and the graph as mermaid text or as data."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from actors.config.connection import CallableConnection, Connection, FileConnection, NodeConnection
from actors.config.manifest import Manifest
from protocols.plain_text import mermaid_text

_SPACES = str.maketrans({"\n": " ", "\r": " "})
_LABEL = 80
"""Characters of a label."""
_ARROWS = {
    "step": "== {number} ==>",
    "member": "-.->",
    "picker": "-. picker .->",
    "validator": "== validator ==>",
    "file": "--> f{number}[({label})]",
    "callable": "--> f{number}({label})",
}
_SETTINGS = ("filter_condition", "stop_condition", "exit_condition")


class GraphLine(NamedTuple):
    """One line of the graph."""

    source: str
    """Name of an agent or team."""
    target: str
    """Name of an agent or team, path of a file, or import path of a function."""
    kind: str
    """`step` (member of a chain), `member`, `picker`, `validator`, `file`, `callable`, or the type of a connection."""
    number: int = 0
    """Position of a step, from 1; or number of the connection in the manifest, from 0."""
    connection: Connection | None = None
    """The connection that the line shows. None for a line from a team."""


def graph_lines(manifest: Manifest) -> Iterator[GraphLine]:
    """Yield the lines of the graph: first from teams to their members, then the connections."""
    for name, team in manifest.teams.items():
        kind = "step" if team.mode == "sequential" else "member"
        yield from (GraphLine(name, member, kind, number) for number, member in enumerate(team.members, start=1))
        for kind, other in (("picker", team.picker), ("validator", team.validator)):
            if other is not None:
                yield GraphLine(name, other, kind)
    connections = ((name, each) for name, node in manifest.nodes.items() for each in node.connections)
    for number, (name, connection) in enumerate(connections):
        match connection:
            case NodeConnection():
                target, kind = connection.name, str(connection.connection_type)
            case FileConnection():
                target, kind = connection.path, "file"
            case CallableConnection():
                target, kind = connection.callable, "callable"
        yield GraphLine(name, target, kind, number, connection)


def mermaid(manifest: Manifest) -> str:
    """Return the graph as mermaid text.

    Agents are boxes, teams boxes with double sides, files cylinders, functions rounded. A thick line with a number
    leads from a chain to its members, a dotted one from a parallel team to its members, an arrow is a connection.
    Name and description of the manifest are its title.
    """
    ids = {name: f"n{index}" for index, name in enumerate(manifest.nodes)}
    title = ": ".join(text for text in (manifest.name, manifest.description) if text)
    lines = ["---", f"title: {json.dumps(title[:_LABEL].translate(_SPACES))}", "---"] if title else []
    lines.append("flowchart LR")
    lines += [f"    {ids[name]}[{_label(name)}]" for name in manifest.agents]
    lines += [f"    {ids[name]}[[{_label(f'{name} ({team.mode})')}]]" for name, team in manifest.teams.items()]
    for line in graph_lines(manifest):
        arrow = _ARROWS.get(line.kind, f"-- {_label(line.kind)} -->")
        arrow = arrow.format(number=line.number, label=_label(line.target))
        lines.append(
            f"    {ids[line.source]} {arrow}" + ("" if line.kind in {"file", "callable"} else f" {ids[line.target]}")
        )
    return "\n".join(lines) + "\n"


def graph_data(manifest: Manifest) -> dict[str, Any]:
    """Return agents, teams and edges as data for JSON."""
    nodes = [{"name": name, "kind": "agent"} for name in manifest.agents]
    nodes += [{"name": name, "kind": f"{team.mode} team"} for name, team in manifest.teams.items()]
    return {"name": manifest.name, "nodes": nodes, "edges": [_edge(line) for line in graph_lines(manifest)]}


def _edge(line: GraphLine) -> dict[str, Any]:
    ends = {"source": line.source, "target": line.target, "kind": "member" if line.kind == "step" else line.kind}
    spec = line.connection
    if spec is None:
        return ends
    conditions = [key.removesuffix("_condition") for key in _SETTINGS if getattr(spec, key) is not None]
    return {**ends, "name": spec.label, "queued": spec.queued, "conditions": conditions}


def _label(text: str) -> str:
    return mermaid_text(text[:_LABEL])
