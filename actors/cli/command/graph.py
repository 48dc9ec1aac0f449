"""`understudy graph FILE`: a manifest as a picture."""

from __future__ import annotations

from actors.cli.option import ManifestFile
from actors.cli.output import write


def graph(file: ManifestFile) -> None:
    """Write agents, teams and connections of a manifest as a mermaid diagram."""
    from actors.cli.manifest_file import read_manifest
    from actors.config.graph import graph as draw

    write(draw(read_manifest(file)).rstrip())
