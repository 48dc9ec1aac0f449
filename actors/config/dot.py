"""A manifest as a graph in the language of Graphviz."""

from collections.abc import Iterator

from actors.config.connection import CallableConnection, FileConnection, NodeConnection
from actors.config.manifest import Manifest

_LABEL = 80
_ESCAPES = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": " ", "\r": " "})


def dot(manifest: Manifest) -> str:
    """Return the agents, teams and connections of a manifest as Graphviz text.

    Agents are boxes, teams boxes with double sides, files cylinders, functions ellipses. A bold line with a number
    leads from a chain to its members, a dashed one from a parallel team to its members, an arrow is a connection.
    """
    ids = {name: f"n{index}" for index, name in enumerate(manifest.nodes)}
    title = ": ".join(text for text in (manifest.name, manifest.description) if text)
    head = ["digraph {", "  rankdir=LR; node [shape=box];", *([f"  label={_quoted(title)};"] if title else [])]
    lines = (*_nodes(manifest, ids), *_members(manifest, ids), *_connections(manifest, ids))
    return "\n".join([*head, *(f"  {line};" for line in lines), "}"]) + "\n"


def _quoted(text: str) -> str:
    return '"' + text[:_LABEL].translate(_ESCAPES) + '"'


def _nodes(manifest: Manifest, ids: dict[str, str]) -> Iterator[str]:
    for name in manifest.agents:
        yield f"{ids[name]} [label={_quoted(name)}]"
    for name, team in manifest.teams.items():
        yield f"{ids[name]} [label={_quoted(f'{name} ({team.mode})')}, peripheries=2]"


def _members(manifest: Manifest, ids: dict[str, str]) -> Iterator[str]:
    for name, team in manifest.teams.items():
        for number, member in enumerate(team.members, start=1):
            style = f'style=bold, label="{number}"' if team.mode == "sequential" else "style=dashed"
            yield f"{ids[name]} -> {ids[member]} [{style}]"
        for role, other in (("picker", team.picker), ("validator", team.validator)):
            if other is not None:
                yield f'{ids[name]} -> {ids[other]} [style=dotted, label="{role}"]'


def _connections(manifest: Manifest, ids: dict[str, str]) -> Iterator[str]:
    count = 0
    for name, node in manifest.nodes.items():
        for connection in node.connections:
            if isinstance(connection, NodeConnection):
                yield f"{ids[name]} -> {ids[connection.name]} [label={_quoted(connection.connection_type)}]"
            else:
                yield _place(f"f{count}", connection)
                yield f"{ids[name]} -> f{count}"
            count += 1


def _place(place: str, connection: FileConnection | CallableConnection) -> str:
    if isinstance(connection, FileConnection):
        return f"{place} [label={_quoted(connection.path)}, shape=cylinder]"
    return f"{place} [label={_quoted(connection.callable)}, shape=ellipse]"
