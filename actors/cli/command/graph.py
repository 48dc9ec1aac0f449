"""`understudy graph FILE`: a manifest as a picture."""

from __future__ import annotations

import typer

from actors.cli.option import ManifestFile


def graph(file: ManifestFile) -> None:
    """Write agents, teams and connections of a manifest as a mermaid diagram."""
    from actors.config.graph import graph as draw
    from actors.config.load import load_manifest

    typer.echo(draw(load_manifest(file)), nl=False)
