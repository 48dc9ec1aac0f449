"""`understage graph FILE`: a manifest as a picture."""

from actors.cli.option import AsJson, ManifestFile
from actors.cli.output import write


def graph(file: ManifestFile, as_json: AsJson = False) -> None:
    """Draw agents, teams and connections of a manifest as a mermaid diagram."""
    import json

    from actors.cli.option import read_manifest
    from actors.config.graph import graph_data, mermaid

    manifest = read_manifest(file)
    write(json.dumps(graph_data(manifest), indent=2, ensure_ascii=False) if as_json else mermaid(manifest).rstrip())
