"""`understudy schema`: the JSON Schema of manifests."""

from __future__ import annotations

import json

import typer


def schema() -> None:
    """Write the JSON Schema of manifests, for editors."""
    from actors.config.schema import manifest_schema

    typer.echo(json.dumps(manifest_schema(), indent=2, ensure_ascii=False))
