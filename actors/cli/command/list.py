"""`understage list FILE`: what can be run?"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from actors.cli.option import AsJson, ManifestFile
from actors.cli.output import table, write

if TYPE_CHECKING:
    from actors.config.manifest import Manifest


def list_nodes(file: ManifestFile, *, as_json: AsJson = False) -> None:
    """List agents, teams and jobs of a manifest."""
    from actors.cli.option import read_manifest

    rows = list(_rows(read_manifest(file)))
    if as_json:
        write(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    lines = [(row["name"], row["kind"], row["details"], row["description"]) for row in rows]
    write(table(("name", "kind", "details", "description"), lines))


def _rows(manifest: "Manifest") -> Iterator[dict[str, str]]:
    for name in manifest.agents:
        agent = manifest.node(name)
        function, model = getattr(agent, "function", None), getattr(agent, "model", None)
        details = function or (model.name if model is not None else "(default model)")
        yield _row(name, "function" if function else "agent", details, agent.description)
    for name, team in manifest.teams.items():
        mark = " -> " if team.mode == "sequential" else " & "
        yield _row(name, f"{team.mode} team", mark.join(team.members), team.description)
    for name, job in manifest.jobs.items():
        yield _row(name, "job", "", job.description)


def _row(name: str, kind: str, details: str, description: str | None) -> dict[str, str]:
    return {"name": name, "kind": kind, "details": details, "description": description or ""}
