"""A manifest as a mermaid diagram."""

import json
from collections.abc import Iterator

from actors.config.connection import CallableConnection, FileConnection, NodeConnection
from actors.config.manifest import Manifest

_ESCAPES = str.maketrans({"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "\n": " ", "\r": " "})
_SPACES = str.maketrans({"\n": " ", "\r": " "})
_LABEL = 80


def graph(manifest: Manifest) -> str:
    """Return the agents, teams and connections of a manifest as mermaid text.

    Agents are boxes, teams boxes with double sides, files cylinders, functions rounded. A thick line with a number
    leads from a chain to its members, a dotted one from a parallel team to its members, an arrow is a connection.
    Name and description of the manifest are its title.
    """
    ids = {name: f"n{index}" for index, name in enumerate(manifest.nodes)}
    parts = (_title(manifest), ["flowchart LR"], _nodes(manifest, ids), _members(manifest, ids))
    return "\n".join(line for part in (*parts, _connections(manifest, ids)) for line in part) + "\n"


def _title(manifest: Manifest) -> Iterator[str]:
    title = ": ".join(text for text in (manifest.name, manifest.description) if text)
    if title:
        yield from ("---", f"title: {json.dumps(title[:_LABEL].translate(_SPACES))}", "---")


def _label(text: str) -> str:
    return '"' + text[:_LABEL].translate(_ESCAPES) + '"'


def _nodes(manifest: Manifest, ids: dict[str, str]) -> Iterator[str]:
    for name in manifest.agents:
        yield f"    {ids[name]}[{_label(name)}]"
    for name, team in manifest.teams.items():
        yield f"    {ids[name]}[[{_label(f'{name} ({team.mode})')}]]"


def _members(manifest: Manifest, ids: dict[str, str]) -> Iterator[str]:
    for name, team in manifest.teams.items():
        for number, member in enumerate(team.members, start=1):
            line = f"== {number} ==>" if team.mode == "sequential" else "-.->"
            yield f"    {ids[name]} {line} {ids[member]}"
        if team.picker is not None:
            yield f"    {ids[name]} -. picker .-> {ids[team.picker]}"
        if team.validator is not None:
            yield f"    {ids[name]} == validator ==> {ids[team.validator]}"


def _connections(manifest: Manifest, ids: dict[str, str]) -> Iterator[str]:
    count = 0
    for name, node in manifest.nodes.items():
        for connection in node.connections:
            match connection:
                case NodeConnection():
                    yield f"    {ids[name]} -- {_label(connection.connection_type)} --> {ids[connection.name]}"
                case FileConnection():
                    yield f"    {ids[name]} --> f{count}[({_label(connection.path)})]"
                case CallableConnection():
                    yield f"    {ids[name]} --> f{count}({_label(connection.callable)})"
            count += 1
