"""The nodes of a manifest and what leads from one to the other, for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from actors.config.connection import CallableConnection, FileConnection, NodeConnection

if TYPE_CHECKING:
    from actors.config.connection import Connection
    from actors.config.manifest import Manifest

_SETTINGS: Final = ("filter_condition", "stop_condition", "exit_condition")


def graph_data(manifest: Manifest) -> str:
    """Return agents, teams, and the edges between them as one JSON document."""
    nodes = [{"name": name, "kind": "agent"} for name in manifest.agents]
    nodes += [{"name": name, "kind": f"{team.mode} team"} for name, team in manifest.teams.items()]
    edges = [*_teams(manifest), *_connections(manifest)]
    return json.dumps({"name": manifest.name, "nodes": nodes, "edges": edges}, indent=2, ensure_ascii=False)


def _teams(manifest: Manifest) -> Iterator[dict[str, Any]]:
    for name, team in manifest.teams.items():
        for member in team.members:
            yield {"source": name, "target": member, "kind": "member"}
        for kind in ("picker", "validator"):
            target = getattr(team, kind)
            if target is not None:
                yield {"source": name, "target": target, "kind": kind}


def _connections(manifest: Manifest) -> Iterator[dict[str, Any]]:
    for name, node in manifest.nodes.items():
        for spec in node.connections:
            conditions = [key.removesuffix("_condition") for key in _SETTINGS if getattr(spec, key) is not None]
            yield {"source": name, **_end(spec), "name": spec.label, "queued": spec.queued, "conditions": conditions}


def _end(spec: Connection) -> dict[str, Any]:
    match spec:
        case NodeConnection():
            return {"target": spec.name, "kind": spec.connection_type}
        case FileConnection():
            return {"target": spec.path, "kind": "file"}
        case CallableConnection():
            return {"target": spec.callable, "kind": "callable"}
