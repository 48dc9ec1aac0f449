"""`understage graph FILE`: a manifest as a picture."""

from pathlib import Path
from typing import Annotated

import typer

from actors.cli.exit_code import fail
from actors.cli.option import AsJson, ManifestFile
from actors.cli.output import write

Picture = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Write into this file: .svg, .png, .pdf (need Graphviz), .dot, .mmd or .md."),
]


def graph(file: ManifestFile, output: Picture = None, as_json: AsJson = False) -> None:
    """Draw agents, teams and connections of a manifest: as mermaid text, or into a file."""
    from actors.cli.drawing import graph_data, save_drawing
    from actors.cli.option import read_manifest
    from actors.config.graph import mermaid

    manifest = read_manifest(file)
    if as_json and output is not None:
        fail("--json writes to standard output; leave out --output, or --json")
    if as_json:
        write(graph_data(manifest))
    elif output is None:
        write(mermaid(manifest).rstrip())
    else:
        save_drawing(manifest, output)
