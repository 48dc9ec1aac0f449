"""`understudy graph FILE`: a manifest as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from actors.cli.option import ManifestFile
from actors.cli.output import write

Picture = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Write into this file: .svg, .png, .pdf (need Graphviz), .dot, .mmd or .md."),
]


def graph(file: ManifestFile, output: Picture = None) -> None:
    """Draw agents, teams and connections of a manifest: as mermaid text, or into a file."""
    from actors.cli.drawing import save_drawing
    from actors.cli.manifest_file import read_manifest
    from actors.config.graph import graph as draw

    manifest = read_manifest(file)
    if output is None:
        write(draw(manifest).rstrip())
    else:
        save_drawing(manifest, output)
