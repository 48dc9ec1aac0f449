"""The nodes of a manifest and the lines between them, for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from actors.config.graph import graph_lines

if TYPE_CHECKING:
    from actors.config.graph import GraphLine
    from actors.config.manifest import Manifest

_SETTINGS: Final = ("filter_condition", "stop_condition", "exit_condition")


def graph_data(manifest: Manifest) -> str:
    """Return agents, teams and edges as one JSON document."""
    nodes = [{"name": name, "kind": "agent"} for name in manifest.agents]
    nodes += [{"name": name, "kind": f"{team.mode} team"} for name, team in manifest.teams.items()]
    lines = [_line(line) for line in graph_lines(manifest)]
    return json.dumps({"name": manifest.name, "nodes": nodes, "edges": lines}, indent=2, ensure_ascii=False)


def _line(line: GraphLine) -> dict[str, Any]:
    ends = {"source": line.source, "target": line.target, "kind": "member" if line.kind == "step" else line.kind}
    spec = line.connection
    if spec is None:
        return ends
    conditions = [key.removesuffix("_condition") for key in _SETTINGS if getattr(spec, key) is not None]
    return {**ends, "name": spec.label, "queued": spec.queued, "conditions": conditions}
